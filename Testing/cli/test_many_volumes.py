"""``metasegment segment`` with a time series, with the paint of several patients, and with paint of both kinds."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from cli.workplace import GRID, SLICES, Workplace, a_ball, an_image_of, painted_on
from MetaSegmentLib import Settings
from MetaSegmentLib.cli import main
from MetaSegmentLib.data.protocol import dice
from MetaSegmentLib.files.images import read_frames, read_image, write_image
from MetaSegmentLib.files.many import run_job
from MetaSegmentLib.files.orientation import Turn
from MetaSegmentLib.files.run import Job
from MetaSegmentLib.files.segmentations import plain_segment, read_painted, write_segmentation

FRAMES = 3
OTHERWISE = "The axes of a painted volume run otherwise than the image's"


@pytest.fixture
def place(tmp_path) -> Workplace:
    options = {"image": "image.nrrd", "support": "painted.seg.nrrd", "output": "out.nrrd", "method": "shape"}
    return Workplace(tmp_path, a_ball(), options)


def a_series(place: Workplace) -> np.ndarray:
    """Writes ``image.nrrd`` of a ball that moves, and paint on its first frame; (T, K, J, I) where it is."""
    truth = np.stack([np.roll(place.truth, 2 * t, axis=1) for t in range(FRAMES)])
    write_image(place.path("image.nrrd"), np.stack([an_image_of(frame) for frame in truth]), GRID)
    place.paint(painted_on(truth[0]))
    return truth


def test_all_frames_of_a_series_from_a_painted_one(place, capsys):
    truth = a_series(place)
    assert place.segment(frame=0, report="report.json") == 0
    labels, grid = read_frames(place.path("out.nrrd"))
    assert grid.lies_at(GRID.matrix) and labels.shape == truth.shape
    assert all(dice(found, true) > 0.9 for found, true in zip(labels, truth, strict=True))
    assert np.array_equal(labels[0][list(SLICES)] > 0, truth[0][list(SLICES)])
    report = json.loads(place.path("report.json").read_text(encoding="utf-8"))
    assert report["series"]["painted"] == [0] and len(report["series"]["voxels"]["1"]) == FRAMES
    assert "liver" in capsys.readouterr().out


def test_a_corrected_frame_is_one_more_support(place):
    truth = a_series(place)
    place.paint(painted_on(truth[2]), name="later.seg.nrrd")
    words = [*place.words(frame=0), "--support", str(place.path("later.seg.nrrd")), "--frame", "2"]
    assert main(words) == 0
    labels, _ = read_frames(place.path("out.nrrd"))
    assert np.array_equal(labels[2][list(SLICES)] > 0, truth[2][list(SLICES)])


def test_a_frame_whose_support_is_empty_is_not_passed_over(place, capsys):
    truth = a_series(place)
    write_segmentation(place.path("none.seg.nrrd"), [0 * painted_on(truth[2])], [plain_segment(1, "liver")], GRID)
    assert main([*place.words(frame=0), "--support", str(place.path("none.seg.nrrd")), "--frame", "2"]) == 1
    assert "in the support of frame 2" in capsys.readouterr().err


def test_a_sequence_as_slicer_stores_it_is_a_series(place):
    truth = a_series(place)
    frames, _ = read_frames(place.path("image.nrrd"))
    image = sitk.GetImageFromArray(np.moveaxis(frames, 0, -1), isVector=True)
    image.SetOrigin(GRID.origin), image.SetSpacing(GRID.spacing), image.SetDirection(GRID.direction)
    sitk.WriteImage(image, str(place.path("image.seq.nrrd")))
    again, grid = read_frames(place.path("image.seq.nrrd"))
    assert np.array_equal(again, frames) and grid.lies_at(GRID.matrix) and len(truth) == FRAMES


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"frame": 7}, "no frame 7"),
        ({"frame": 0, "output": "out.seg.nrrd"}, "only labels are written"),
        ({}, "name the painted frame (--frame 0)"),
        ({"frame": 0, "support": "image.nrrd"}, "of each frame, as a 3D file"),
        ({"frame": 0, "own": "painted.seg.nrrd"}, "leave --own and --channel out"),
        ({"frame": 0, "channel": 0}, "leave --own and --channel out"),
    ],
)
def test_what_a_series_cannot_be(place, capsys, changed, sentence):
    a_series(place)
    assert place.segment(**changed) == 1
    assert sentence in capsys.readouterr().err
    assert not place.path("out.nrrd").exists()


def test_a_single_volume_is_no_series(place, capsys):
    place.image(an_image_of(place.truth))
    place.paint(painted_on(place.truth))
    assert place.segment(frame=0) == 1
    assert "leave --frame out" in capsys.readouterr().err


def test_two_patients_and_a_slice_of_ones_own(place):
    for number, shift in enumerate((0, 2), start=1):
        other = np.roll(place.truth, shift, axis=1)
        place.image(an_image_of(other), name=f"other{number}.nrrd")
        place.paint(painted_on(other, value=number), name=f"other{number}.seg.nrrd")
    second = read_painted(place.path("other2.seg.nrrd"), GRID).segments[0]
    assert second.name == "spleen"  # another structure by its name, although it is the same ball
    truth = np.roll(place.truth, -2, axis=2)
    place.image(an_image_of(truth))
    place.paint(painted_on(truth, (11,)), name="own.seg.nrrd")
    words = place.words(support="other1.seg.nrrd", support_image="other1.nrrd", output="out.seg.nrrd")
    words += ["--support", str(place.path("other1.seg.nrrd")), "--support-image", str(place.path("other1.nrrd"))]
    assert main([*words, "--own", str(place.path("own.seg.nrrd")), "--report", str(place.path("r.json"))]) == 0
    found, grid = read_image(place.path("out.seg.nrrd"))
    assert grid.size == GRID.size and dice(found > 0, truth) > 0.85
    assert np.array_equal(found[11] > 0, truth[11])
    report = json.loads(place.path("r.json").read_text(encoding="utf-8"))
    assert report["found"] == {"1": 1.0} and report["segments"]["1"]["support_slices"] == [11]


def test_the_image_itself_as_support_image_is_no_other_patient(place):
    place.image(an_image_of(place.truth))
    place.paint(painted_on(np.roll(place.truth, 3, axis=1) & place.truth))  # no registration would keep that
    paint, _ = read_image(place.path("painted.seg.nrrd"))
    assert place.segment(support_image="image.nrrd", report="r.json") == 0
    found, _ = read_image(place.path("out.nrrd"))
    assert np.array_equal(found[list(SLICES)], paint[list(SLICES)])
    place.image(an_image_of(np.roll(place.truth, 1, axis=2)), name="other.nrrd")
    place.paint(painted_on(np.roll(place.truth, 1, axis=2)), name="other.seg.nrrd")
    words = place.words(support="other.seg.nrrd", support_image="other.nrrd")
    words += ["--support", str(place.path("painted.seg.nrrd")), "--support-image", str(place.path("image.nrrd"))]
    assert main(words) == 0
    found, _ = read_image(place.path("out.nrrd"))
    assert np.array_equal(found[list(SLICES)], paint[list(SLICES)])


def test_two_supports_of_the_image_itself_are_refused(place, capsys):
    """Laid onto itself as another patient's, the paint would not stay as it is."""
    place.image(an_image_of(place.truth))
    words = place.words(support_image="image.nrrd")
    place.paint(painted_on(place.truth))
    place.paint(painted_on(np.roll(place.truth, 9, axis=1), value=2), name="spleen.seg.nrrd")
    words += ["--support", str(place.path("spleen.seg.nrrd")), "--support-image", str(place.path("image.nrrd"))]
    assert main(words) == 1
    assert "put their segments into one" in capsys.readouterr().err


def test_what_only_ones_own_paint_has_keeps_its_name_and_namesakes_stay_two(place):
    place.image(an_image_of(place.truth))
    place.image(an_image_of(place.truth), name="other.nrrd")
    place.paint(painted_on(place.truth), name="other.seg.nrrd")
    twins = [replace(plain_segment(value, "lesion"), value=value) for value in (1, 2)]
    labels = painted_on(place.truth)
    labels[:, :, 17:][labels[:, :, 17:] > 0] = 2
    write_segmentation(place.path("own.seg.nrrd"), [labels], twins, GRID)
    words = place.words(support="other.seg.nrrd", support_image="other.nrrd", output="out.seg.nrrd", report="r.json")
    assert main([*words, "--own", str(place.path("own.seg.nrrd"))]) == 0
    segments = json.loads(place.path("r.json").read_text(encoding="utf-8"))["segments"]
    assert [segment["name"] for segment in segments.values()] == ["liver", "lesion", "lesion"]
    found, _ = read_image(place.path("out.seg.nrrd"))
    assert all((found[list(SLICES)] == value).any() for value in (2, 3))


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(
    ("turn", "axis", "stray", "slices"),
    [
        (Turn((0, 1, 2), ()), 0, 1, [5, 9, 13, 17]),
        (Turn((0, 1, 2), (0, 1)), 0, 22, [6, 10, 14, 18]),
        (Turn((2, 0, 1), ()), 1, 1, [5, 9, 13, 17]),
    ],
    ids=["alike", "from the other end", "across another axis"],
)
def test_painted_slices_are_counted_as_in_their_own_file(place, turn, axis, stray, slices, several):
    """In the report and in sentences, however the axes of a painted volume run against the image's; and all alike
    where there are several."""
    place.image(an_image_of(place.truth))
    labels = painted_on(place.truth)
    labels[1, 3, 3] = 1
    place.image(turn.apply(an_image_of(place.truth)), turn.grid(GRID), "other.nrrd")
    place.paint(turn.apply(labels), turn.grid(GRID), "other.seg.nrrd")
    words = place.words(support="other.seg.nrrd", support_image="other.nrrd", report="r.json")
    if several:
        place.image(an_image_of(place.truth), name="second.nrrd")
        place.paint(painted_on(place.truth), name="second.seg.nrrd")
        words += ["--support", str(place.path("second.seg.nrrd"))]
        words += ["--support-image", str(place.path("second.nrrd"))]
    assert main(words) == 0
    report = json.loads(place.path("r.json").read_text(encoding="utf-8"))
    assert (report["axis"], report["support_slices"]) == (axis, slices)
    assert report["segments"]["1"]["support_slices"] == slices
    assert {one["axis"] for one in report["suggested_slices"]} == {0}
    first, *more = report["warnings"]
    assert first.startswith(f"{'Support 1: ' if several else ''}Slice {stray} holds no more than a stray mark")
    assert [one.split(";")[0] for one in more] == ([] if turn == Turn((0, 1, 2), ()) else [OTHERWISE])
    assert dice(read_image(place.path("out.nrrd"))[0], place.truth) > 0.9


@pytest.mark.parametrize("own", [False, True])
def test_a_segment_has_its_axis_in_the_report_where_that_is_another(place, own):
    """That of the first support that has it; slices painted on the image itself are told alone."""
    spleen = np.roll(place.truth, 9, axis=1) & ~place.truth
    image = an_image_of(place.truth | spleen)
    turn = Turn((2, 0, 1), ())
    for name in ("image.nrrd", "a.nrrd"):
        place.image(image, name=name)
    place.paint(painted_on(place.truth), name="a.seg.nrrd")
    place.image(turn.apply(image), turn.grid(GRID), "b.nrrd")
    place.paint(turn.apply(painted_on(spleen, (9, 13), value=2)), turn.grid(GRID), "b.seg.nrrd")
    words = place.words(support="a.seg.nrrd", support_image="a.nrrd", report="r.json")
    words += ["--support", str(place.path("b.seg.nrrd")), "--support-image", str(place.path("b.nrrd"))]
    if own:
        place.paint(painted_on(place.truth, (11,)), name="own.seg.nrrd")
        words += ["--own", str(place.path("own.seg.nrrd"))]
    assert main(words) == 0
    report = json.loads(place.path("r.json").read_text(encoding="utf-8"))
    of_liver, of_spleen = report["segments"].values()
    painted = [11] if own else [5, 9, 13, 17]
    assert (report["axis"], report["support_slices"], of_liver["support_slices"]) == (0, painted, painted)
    assert (of_spleen.get("axis"), of_spleen["support_slices"]) == ((None, []) if own else (1, [9, 13]))
    assert "axis" not in of_liver


def test_what_draws_a_result_is_told_the_axis_in_the_image(place):
    """Not the painted volume's."""
    place.image(an_image_of(place.truth))
    turn = Turn((2, 0, 1), ())
    place.image(turn.apply(an_image_of(place.truth)), turn.grid(GRID), "other.nrrd")
    place.paint(turn.apply(painted_on(place.truth)), turn.grid(GRID), "other.seg.nrrd")
    files = (place.path(name) for name in ("image.nrrd", "other.seg.nrrd", "out.nrrd", "other.nrrd"))
    axes = []
    report = run_job(Job(*files, settings=Settings("shape")), beside=lambda done: axes.append(done.axis))
    assert axes == [0] and report["axis"] == 1


def test_named_slices_of_several_volumes_are_those_of_each_file(place):
    """Of one whose axes run the other way they are counted from its own end."""
    place.image(an_image_of(place.truth))
    turn = Turn((0, 1, 2), (0,))
    words = place.words(support="a.seg.nrrd", support_image="a.nrrd", report="r.json")
    for name, grid in (("a", turn.grid(GRID)), ("b", GRID)):  # stored from end to end, each is painted on 9 and 14
        mask = turn.apply(place.truth) if name == "a" else place.truth
        place.image(an_image_of(mask), grid, f"{name}.nrrd")
        place.paint(painted_on(mask, (9, 14)), grid, f"{name}.seg.nrrd")
    words += ["--support", str(place.path("b.seg.nrrd")), "--support-image", str(place.path("b.nrrd"))]
    assert main([*words, "--slices", "1,9,14"]) == 0
    assert json.loads(place.path("r.json").read_text(encoding="utf-8"))["support_slices"] == [1, 9, 14]
    assert dice(read_image(place.path("out.nrrd"))[0], place.truth) > 0.8


def two_paints(place, own: str = "lesion") -> list[str]:
    """The liver painted on another patient, ``own`` on the image itself."""
    place.image(an_image_of(place.truth))
    place.image(an_image_of(place.truth), name="other.nrrd")
    place.paint(painted_on(place.truth), name="other.seg.nrrd")
    labels = painted_on(place.truth, value=2)
    write_segmentation(place.path("own.seg.nrrd"), [labels], [plain_segment(2, own)], GRID)
    words = place.words(support="other.seg.nrrd", support_image="other.nrrd", output="out.seg.nrrd", report="r.json")
    return [*words, "--own", str(place.path("own.seg.nrrd"))]


@pytest.mark.parametrize("wanted", ["liver,lesion", "lesion,1"])
def test_segments_are_chosen_among_those_of_all_paints(place, wanted):
    assert main([*two_paints(place), "--segments", wanted]) == 0
    segments = json.loads(place.path("r.json").read_text(encoding="utf-8"))["segments"]
    assert [segment["name"] for segment in segments.values()] == ["liver", "lesion"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--segments", "liver,spleen"), "has no segment 'spleen'; it has: liver (1), lesion (2)"),
        (("--segments", "liver"), "has none of the segments to be segmented"),
    ],
)
def test_what_several_paints_cannot_mean(place, capsys, more, sentence):
    assert main([*two_paints(place), *more]) == 1
    assert sentence in capsys.readouterr().err
    assert not place.path("out.seg.nrrd").exists()


def test_each_of_several_supports_needs_its_image(place, capsys):
    place.image(an_image_of(place.truth))
    place.paint(painted_on(place.truth))
    assert main([*place.words(), "--support", "other.seg.nrrd"]) == 1
    assert "its own --support-image" in capsys.readouterr().err


def a_library(place: Workplace) -> None:
    """Two painted balls in ``library/``, one of them on a grid that runs another way, and an image of noise."""
    for folder in ("images", "labels"):
        place.path(f"library/{folder}").mkdir(parents=True)
    for number, shift in enumerate((0, 2)):
        other = np.roll(place.truth, shift, axis=1)
        place.image(an_image_of(other), name=f"library/images/{number}.nrrd")
        place.paint(painted_on(other), name=f"library/labels/{number}.seg.nrrd")
    noise = np.random.default_rng(1).normal(0, 8, place.truth.shape).astype(np.int16)
    place.image(noise, name="library/images/noise.nrrd")
    place.paint(painted_on(place.truth), name="library/labels/noise.seg.nrrd")


def from_library(place: Workplace, *more: str) -> int:
    words = ["segment", "--image", str(place.path("image.nrrd")), "--library", str(place.path("library"))]
    words += ["--method", "shape", "--output", str(place.path("out.seg.nrrd")), "--report", str(place.path("r.json"))]
    return main([*words, *more])


def test_nothing_is_painted_but_in_a_library(place):
    a_library(place)
    truth = np.roll(place.truth, -2, axis=2)
    place.image(an_image_of(truth))
    before = place.listing()
    assert from_library(place) == 0
    labels, _ = read_image(place.path("out.seg.nrrd"))
    assert dice(labels > 0, truth) > 0.85
    text = place.path("r.json").read_text(encoding="utf-8")
    report = json.loads(text)
    assert report["library"]["looked_at"] == 3 and len(report["library"]["likeness"]) == 2
    assert report["library"]["likeness"][0] > 0.8 and report["segments"]["1"]["name"] == "liver"
    assert "nrrd" not in text and "images" not in text
    assert {name: state for name, state in place.listing().items() if name in before} == before


def test_what_cannot_be_read_in_a_library_is_left_out(place, capsys):
    a_library(place)
    place.image(an_image_of(place.truth))
    place.path("library/images/noise.nrrd").write_bytes(b"nothing")
    assert from_library(place) == 0
    assert "1 of the 3 images of the library could not be read" in capsys.readouterr().err


def test_nothing_like_it_in_the_library_is_no_error(place, capsys):
    a_library(place)
    noise = np.random.default_rng(2).normal(0, 8, place.truth.shape).astype(np.int16)
    place.image(noise)
    for number in (0, 1):
        place.path(f"library/images/{number}.nrrd").unlink()
        place.path(f"library/labels/{number}.seg.nrrd").unlink()
    assert from_library(place) == 0
    labels, _ = read_image(place.path("out.seg.nrrd"))
    assert not labels.any()
    assert "liver was not found in this volume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ((), "The library holds no painted volumes"),
        (("--slices", "3,9"), "leave --support-image, --frame and --slices"),
    ],
)
def test_what_a_library_cannot_be(place, capsys, more, sentence):
    for folder in ("images", "labels"):
        place.path(f"library/{folder}").mkdir(parents=True)
    place.image(an_image_of(place.truth))
    assert from_library(place, *more) == 1
    assert sentence in capsys.readouterr().err
    assert not place.path("out.seg.nrrd").exists()


@pytest.mark.parametrize("output", ["output", "report", "uncertainty"])
@pytest.mark.parametrize("kept", ["library/labels/noise.seg.nrrd", "library/images/noise.nrrd"])
def test_nothing_of_a_library_is_written_over(place, capsys, output, kept):
    """Not even what was not taken from it."""
    a_library(place)
    place.image(an_image_of(place.truth))
    before = place.listing()
    assert from_library(place, f"--{output}", str(place.path(kept))) == 1
    assert "overwrite an input" in capsys.readouterr().err
    assert place.listing() == before
