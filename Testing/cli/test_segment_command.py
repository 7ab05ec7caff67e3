"""``metasegment segment`` from files to files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from benchmarks.kill import MINUTE
from cli.workplace import GRID, SLICES, Workplace, a_ball, an_image_of, painted_on
from files.dicom_series import PATIENT, write_series
from MetaSegmentLib.cli import main
from MetaSegmentLib.data.protocol import dice
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import read_image
from MetaSegmentLib.files.segmentations import plain_segment, read_painted, write_segmentation
from MetaSegmentLib.task.record import TAG

REPORT_FIELDS = {
    "method",
    "device",
    "axis",
    "support_slices",
    "segments",
    "suggested_slices",
    "warnings",
    "seconds",
    "peak_memory_mb",
    "versions",
    "weights_sha256",
    "seed",
}


@pytest.mark.parametrize("output", ["out.seg.nrrd", "out.nrrd", "out.nii.gz", "out.mha"])
def test_the_output_lies_on_the_image_and_keeps_the_paint(workplace: Workplace, output: str) -> None:
    assert workplace.segment(output=output) == 0
    labels, grid = read_image(workplace.path(output))
    assert grid.size == GRID.size
    assert np.allclose(grid.matrix, GRID.matrix, atol=1e-4)
    assert np.array_equal(labels[list(SLICES)], painted_on(workplace.truth)[list(SLICES)])
    assert dice(labels > 0, workplace.truth) > 0.9


def test_names_and_colours_are_kept(workplace: Workplace) -> None:
    assert workplace.segment() == 0
    given, found = (read_painted(workplace.path(name), GRID).segments for name in ("painted.seg.nrrd", "out.seg.nrrd"))
    plain = tuple(replace(one, fields={**one.fields, "tags": {}}) for one in found)
    assert plain == given, "the record of what was filled is all that is new"
    assert all(TAG in one.tags for one in found)
    assert found[0].name == "liver"


@pytest.mark.parametrize("image", ["image.nrrd", "image.nii.gz", "image.mha"])
def test_every_image_format_gives_the_same(workplace: Workplace, image: str) -> None:
    workplace.image(an_image_of(workplace.truth), name=image)
    assert workplace.segment(image=image) == 0
    assert dice(read_image(workplace.path("out.seg.nrrd"))[0], workplace.truth) > 0.9


def test_a_dicom_folder_is_an_image(workplace: Workplace) -> None:
    upright = replace(GRID, direction=tuple(np.eye(3).ravel()))
    write_series(workplace.path("series"), an_image_of(workplace.truth), GRID.spacing, GRID.origin)
    workplace.paint(painted_on(workplace.truth), upright)
    assert workplace.segment(image="series", report="r.json") == 0
    labels, grid = read_image(workplace.path("out.seg.nrrd"))
    assert np.allclose(grid.matrix, upright.matrix)
    assert dice(labels, workplace.truth) > 0.9
    for name in ("r.json", "out.seg.nrrd"):
        assert PATIENT.encode() not in workplace.path(name).read_bytes()


def test_the_report_says_what_the_contract_promises_and_no_paths(workplace: Workplace) -> None:
    assert workplace.segment(report="r.json", seed=7) == 0
    text = workplace.path("r.json").read_text(encoding="utf-8")
    report = json.loads(text)
    assert set(report) == REPORT_FIELDS
    assert report["method"] == "shape"
    assert report["device"] == "cpu"
    assert report["axis"] == 0
    assert report["support_slices"] == list(SLICES)
    assert report["seed"] == 7
    (segment,) = report["segments"].values()
    assert set(segment) == {"name", "voxels", "filled_voxels", "volume_ml", "estimated_dice", "support_slices"}
    voxels = int(np.count_nonzero(read_image(workplace.path("out.seg.nrrd"))[0]))
    assert segment["name"] == "liver"
    assert segment["voxels"] == voxels
    painted = int(np.count_nonzero(read_image(workplace.path("out.seg.nrrd"))[0][list(SLICES)]))
    assert segment["filled_voxels"] == voxels - painted > 0
    assert segment["volume_ml"] == pytest.approx(voxels * np.prod(GRID.spacing) / 1000, abs=0.01)
    assert {"read", "write"} < set(report["seconds"])
    assert max(report["seconds"].values()) == report["seconds"]["total"]
    assert all(set(suggestion) == {"axis", "index", "score"} for suggestion in report["suggested_slices"])
    assert str(workplace.folder) not in text and "painted.seg" not in text


def tilted(degrees: float) -> Grid:
    """The grid of the scan as a gantry tilted about a row makes it."""
    matrix = GRID.matrix
    matrix[:3, 2] += matrix[:3, 1] / GRID.spacing[1] * np.tan(np.deg2rad(degrees)) * GRID.spacing[2]
    return Grid.from_matrix(GRID.size, matrix)


def test_a_tilt_is_kept_and_makes_no_volume(workplace: Workplace) -> None:
    upright = tilted(0)
    for grid in (upright, tilted(25)):
        workplace.image(an_image_of(workplace.truth), grid)
        workplace.paint(painted_on(workplace.truth), grid)
        assert workplace.segment(report="r.json") == 0
        labels, found = read_image(workplace.path("out.seg.nrrd"))
        np.testing.assert_allclose(found.matrix, grid.matrix, atol=1e-6)
        segment = json.loads(workplace.path("r.json").read_text(encoding="utf-8"))["segments"]["1"]
        expected = np.count_nonzero(labels) * np.prod(GRID.spacing) / 1000
        assert segment["volume_ml"] == pytest.approx(expected, rel=1e-6)


def test_paint_that_passed_over_a_tilt_is_refused_with_the_way_out(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    workplace.image(an_image_of(workplace.truth), tilted(15))
    assert workplace.segment() == 1
    assert "acquisition geometry regularization" in capsys.readouterr().err
    assert not workplace.path("out.seg.nrrd").exists()


def test_probabilities_and_uncertainty(workplace: Workplace) -> None:
    assert workplace.segment(probabilities="p.nrrd", uncertainty="u.nrrd") == 0
    image = sitk.ReadImage(str(workplace.path("p.nrrd")))
    assert image.GetDimension() == 4
    probabilities = sitk.GetArrayFromImage(image)
    assert probabilities.shape == (2, *workplace.truth.shape)
    assert np.allclose(probabilities.sum(axis=0), 1, atol=2e-3)
    uncertainty, grid = read_image(workplace.path("u.nrrd"))
    assert np.allclose(grid.matrix, GRID.matrix)
    assert uncertainty.min() >= 0 and uncertainty.max() <= 1
    assert not uncertainty[list(SLICES)].any()


def test_slices_along_another_axis_and_one_named_as_empty(workplace: Workplace) -> None:
    workplace.paint(painted_on(workplace.truth, (10, 15, 20, 25), axis=2))
    assert workplace.segment(axis="2", slices="4,10,15,20,25", report="r.json") == 0
    report = json.loads(workplace.path("r.json").read_text(encoding="utf-8"))
    assert (report["axis"], report["support_slices"]) == (2, [4, 10, 15, 20, 25])
    assert not read_image(workplace.path("out.seg.nrrd"))[0][:, :, 4].any()


def test_only_the_chosen_segments(workplace: Workplace) -> None:
    small = a_ball((11.5, 20.0, 30.0), (9, 6, 3))
    big = workplace.truth & ~small
    workplace.paint(painted_on(big) + painted_on(small, value=2))
    assert workplace.segment(segments="spleen") == 0
    painted = read_painted(workplace.path("out.seg.nrrd"), GRID)
    assert [segment.name for segment in painted.segments] == ["spleen"]
    assert np.array_equal(np.unique(painted.layers[0]), [0, 2])


def test_paint_that_slicer_saved_as_a_part_of_the_grid(workplace: Workplace) -> None:
    assert workplace.segment(output="whole.nrrd") == 0
    box = (slice(4, 20), slice(7, 35), slice(6, 30))
    part = Grid((24, 28, 16), tuple((GRID.matrix @ [6, 7, 4, 1])[:3]), GRID.spacing, GRID.direction)
    workplace.paint(painted_on(workplace.truth)[box], part)
    assert workplace.segment(output="part.nrrd") == 0
    assert np.array_equal(read_image(workplace.path("part.nrrd"))[0], read_image(workplace.path("whole.nrrd"))[0])


def test_overlapping_segments_are_both_found_whole(workplace: Workplace) -> None:
    tumour = a_ball(radii=(7, 4, 4))
    both = (5, 7, 9, 11, 13, 15, 17)  # where paint overlaps, segments may share voxels
    layers = [painted_on(workplace.truth, both), painted_on(tumour, both, value=2)]
    segments = [plain_segment(1, "liver"), replace(plain_segment(2, "tumour"), layer=1)]
    write_segmentation(workplace.path("painted.seg.nrrd"), layers, segments, GRID)
    options = {"report": "r.json", "probabilities": "p.nrrd", "uncertainty": "u.nrrd"}
    assert workplace.segment(**options) == 0
    painted = read_painted(workplace.path("out.seg.nrrd"), GRID)
    assert [segment.name for segment in painted.segments] == ["liver", "tumour"]
    liver, found = (painted.layers[segment.layer] == segment.value for segment in painted.segments)
    assert dice(liver, workplace.truth) > 0.9
    assert dice(found, tumour) > 0.85
    assert (liver & found).sum() > 0.9 * found.sum()
    report = json.loads(workplace.path("r.json").read_text(encoding="utf-8"))
    assert set(report) == REPORT_FIELDS
    assert [segment["name"] for segment in report["segments"].values()] == ["liver", "tumour"]
    assert report["support_slices"] == list(both)
    assert sitk.ReadImage(str(workplace.path("p.nrrd"))).GetSize()[3] == 3


def test_what_overlaps_beside_the_named_slices_is_left_out_with_a_note(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = [painted_on(workplace.truth, (7, 10)), painted_on(workplace.truth, (*SLICES, 10), value=2)]
    segments = [plain_segment(1, "other"), replace(plain_segment(2, "liver"), layer=1)]
    write_segmentation(workplace.path("painted.seg.nrrd"), layers, segments, GRID)
    assert workplace.segment(slices="5,9,13,17", report="r.json") == 0
    report = json.loads(workplace.path("r.json").read_text())
    assert list(report["segments"]) == ["2"] and report["support_slices"] == list(SLICES)
    assert any("'other' is left out" in note for note in report["warnings"])
    assert "'other' is left out" in capsys.readouterr().err


def test_overlapping_segments_lie_across_one_axis(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    layers = [painted_on(workplace.truth), painted_on(workplace.truth, (10, 17, 24), 2, 2)]
    segments = [plain_segment(1, "liver"), replace(plain_segment(2, "tumour"), layer=1)]
    write_segmentation(workplace.path("painted.seg.nrrd"), layers, segments, GRID)
    assert workplace.segment() == 1
    assert "lies on slices of axis 2, not of axis 0" in capsys.readouterr().err
    assert not workplace.path("out.seg.nrrd").exists()


@pytest.fixture
def two_painted(workplace: Workplace) -> Workplace:
    """The liver on SLICES, and beside it a spleen on slices of its own."""
    spleen = a_ball((11.5, 20.0, 29.0), (9, 8, 6)) & ~workplace.truth
    workplace.image(an_image_of(workplace.truth | spleen))
    workplace.paint(painted_on(workplace.truth) + painted_on(spleen, (7, 11, 15), value=2))
    return workplace


def labels_of(workplace: Workplace, *slices: str) -> np.ndarray:
    named = [word for some in slices for word in ("--slices", some)]
    assert main([*workplace.words(report="r.json"), *named]) == 0
    return read_image(workplace.path("out.seg.nrrd"))[0]


def test_segments_are_painted_each_on_slices_of_its_own(two_painted: Workplace) -> None:
    labels = labels_of(two_painted)
    assert (labels[11] == 1).any() and (labels[9] == 2).any(), "complete for one, and not for the other"
    spleen = a_ball((11.5, 20.0, 29.0), (9, 8, 6)) & ~two_painted.truth
    assert dice(labels == 1, two_painted.truth) > 0.9 and dice(labels == 2, spleen) > 0.85
    report = json.loads(two_painted.path("r.json").read_text(encoding="utf-8"))
    assert report["support_slices"] == sorted({*SLICES, 7, 11, 15})


def test_slices_are_named_for_all_segments_or_for_each(two_painted: Workplace) -> None:
    liver, spleen = ",".join(map(str, SLICES)), "7,11,15"
    usual = labels_of(two_painted)
    assert np.array_equal(labels_of(two_painted, f"1:{liver}", f"2:{spleen}"), usual)
    assert np.array_equal(labels_of(two_painted, f"1:{liver}", "2:7,11", "2:15"), usual)
    ended = labels_of(two_painted, f"1:{liver}", f"2:{spleen},17")
    assert not (ended[17:] == 2).any() and (usual[17] == 2).any()
    assert np.array_equal(ended[:15] == 2, usual[:15] == 2)
    for_all = labels_of(two_painted, f"{liver},{spleen}")
    assert not (for_all[list(SLICES)] == 2).any() and not (for_all[[7, 11, 15]] == 1).any()


def test_slices_named_for_one_segment_leave_the_other_as_it_is(two_painted: Workplace) -> None:
    usual = labels_of(two_painted)
    ended = labels_of(two_painted, "2:7,11,15,17")
    assert not (ended[17:] == 2).any()
    assert np.array_equal(ended[list(SLICES)] == 1, usual[list(SLICES)] == 1)
    assert np.array_equal(ended[:17] == 1, usual[:17] == 1)


def test_paint_on_another_image(workplace: Workplace) -> None:
    elsewhere = a_ball((12.0, 18.0, 19.0), (8, 10, 9))
    grid = Grid((36, 40, 24), (0.0, 0.0, 0.0), (0.8, 0.9, 2.5), tuple(np.eye(3).ravel()))
    workplace.image(an_image_of(elsewhere), grid, "other.nrrd")
    assert workplace.segment(image="other.nrrd", support_image="image.nrrd", method="pixels") == 0
    labels, found = read_image(workplace.path("out.seg.nrrd"))
    assert np.allclose(found.matrix, grid.matrix)
    assert labels.shape == elsewhere.shape


@pytest.mark.parametrize("ending", ["seg.nrrd", "nii.gz"])
def test_the_same_seed_gives_the_same_file(workplace: Workplace, ending: str) -> None:
    for name in ("a", "b"):
        assert workplace.segment(method="pixels", output=f"{name}.{ending}", seed=3) == 0
    a, b = (MINUTE.sub(b"", workplace.path(f"{name}.{ending}").read_bytes()) for name in "ab")
    assert a == b


def test_real_scan(workplace: Workplace, shared_data: Path) -> None:
    case = "patient001_frame01.nii.gz"
    image, labels = shared_data / "acdc" / "images" / case, shared_data / "acdc" / "labels" / case
    truth, grid = read_image(labels)
    cavity = np.where(truth == 3, 3, 0).astype(np.uint8)
    slices = [int(k) for k in np.flatnonzero(cavity.any(axis=(1, 2)))]
    workplace.paint(painted_on(cavity > 0, tuple(slices[1::2]), value=3), grid, "painted.nii.gz")
    assert workplace.segment(image=image, support="painted.nii.gz", output="out.nii.gz") == 0
    found, place = read_image(workplace.path("out.nii.gz"))
    assert np.allclose(place.matrix, grid.matrix, atol=1e-3)
    assert dice(found == 3, cavity == 3) > 0.8
