"""A second run knows which slices the user painted, after corrections, undo, saving and loading."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from MetaSegmentLib import InputError, Settings
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import write_image
from MetaSegmentLib.files.run import Job, run
from MetaSegmentLib.files.segmentations import plain_segment, write_segmentation
from MetaSegmentLib.scene.reader import read_painting
from MetaSegmentLib.scene.record import TAG, SliceRecord, record_of
from MetaSegmentLib.task.parts import Part
from scene.bench import BALL, OBLIQUE, PAINTED, SUPPORT, Bench
from scene.nodes import SHAPE, a_ball, add_volume, an_image, only, repaint


def test_second_run_sees_the_painted_slices_only(bench: Bench) -> None:
    _, ball = bench.fill([bench.ball])
    assert np.flatnonzero(ball.any(axis=(1, 2))).size == SHAPE[0]
    painting = read_painting(bench.volume, bench.segmentation)
    assert (painting.slices, painting.axis) == ({1: SUPPORT}, 0)
    np.testing.assert_array_equal(painting.layers[0], PAINTED)


def test_corrected_added_and_emptied_slices_are_the_users(bench: Bench) -> None:
    repaint(bench.segmentation, bench.volume, bench.ball, PAINTED)
    _, ball = bench.fill([bench.ball])
    edited = ball.copy()
    edited[6, 9, 9] = ~edited[6, 9, 9]  # corrected by one voxel
    edited[14:] = False  # leaked there: emptied
    repaint(bench.segmentation, bench.volume, bench.ball, edited)
    painting = read_painting(bench.volume, bench.segmentation)
    assert painting.slices == {1: [5, 6, 8, 11, 14, 15]}
    np.testing.assert_array_equal(painting.layers[0], only(edited, 0, [5, 6, 8, 11]))


def test_named_empty_slices_are_remembered(bench: Bench) -> None:
    painting = read_painting(bench.volume, bench.segmentation, slices=[1, *SUPPORT])
    assert painting.slices == [1, *SUPPORT]
    bench.write(painting)
    assert not bench.look(bench.ball)[1].any()
    assert read_painting(bench.volume, bench.segmentation).slices == {1: [1, *SUPPORT]}


def test_what_was_named_as_empty_is_known_where_nothing_is_left_of_a_segment(bench: Bench) -> None:
    bench.write(read_painting(bench.volume, bench.segmentation, slices=[1, *SUPPORT]))
    record = record_of(bench.segments.GetSegment(bench.ball))
    assert record.named_empty(Part.nothing(SHAPE)) == [1]
    assert record.named_empty(Part.nothing((SHAPE[0] + 1, *SHAPE[1:]))) == []


def test_a_segment_painted_anew_forgets(bench: Bench) -> None:
    bench.fill([bench.ball])
    fresh = only(a_ball(radius=4), 0, [7, 9])
    repaint(bench.segmentation, bench.volume, bench.ball, fresh)
    painting = read_painting(bench.volume, bench.segmentation)
    assert painting.slices is None
    np.testing.assert_array_equal(painting.layers[0], fresh)


def test_named_slices_overrule_the_record(bench: Bench) -> None:
    bench.fill([bench.ball])
    painting = read_painting(bench.volume, bench.segmentation, slices=[5, 11])
    assert painting.slices == [5, 11]
    np.testing.assert_array_equal(painting.layers[0], only(BALL, 0, [5, 11]))


def test_slices_of_a_segment_are_its_own(bench: Bench) -> None:
    """What an earlier run filled on a slice that another segment is painted on stays filled."""
    bench.fill([bench.ball])
    cube = np.zeros(SHAPE, bool)
    cube[[2, 8], 0:3, 0:4] = True
    bench.paint("cube", cube)
    painting = read_painting(bench.volume, bench.segmentation)
    assert painting.slices == {1: SUPPORT}, "the cube has no record, so that its paint tells"
    np.testing.assert_array_equal(painting.layers[0] == 1, PAINTED)
    np.testing.assert_array_equal(painting.layers[0] == 2, cube)


def test_segments_of_different_axes_are_refused(bench: Bench) -> None:
    bench.fill([bench.ball])
    other = bench.paint("other", np.roll(PAINTED, 1, axis=0))
    record = SliceRecord.take(Part.of(bench.look(other)), 1, [3])
    bench.segments.GetSegment(other).SetTag(TAG, record.to_text())
    with pytest.raises(InputError, match="different axes"):
        read_painting(bench.volume, bench.segmentation, [bench.ball, other])


def test_record_survives_saving_and_loading(bench: Bench, tmp_path: Path) -> None:
    bench.fill([bench.ball])
    storage = bench.scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(tmp_path / "painted.seg.nrrd"))
    assert storage.WriteData(bench.segmentation)
    loaded = bench.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert storage.ReadData(loaded)
    (segment_id,) = loaded.GetSegmentation().GetSegmentIDs()
    before, after = (
        s.GetSegmentation().GetSegment(i) for s, i in ((bench.segmentation, bench.ball), (loaded, segment_id))
    )

    assert record_of(after) == record_of(before) is not None
    painting = read_painting(bench.volume, loaded)
    assert painting.slices == {1: SUPPORT}
    np.testing.assert_array_equal(painting.layers[0], PAINTED)


@pytest.mark.parametrize(
    "text",
    ["", "axis=0", "axis=7;shape=16,18,20;painted=;filled=", "axis=0;shape=2,2,2;painted=5.ab;filled=", "later;format"],
)
def test_unreadable_records_are_ignored(bench: Bench, text: str) -> None:
    bench.segments.GetSegment(bench.ball).SetTag(TAG, text)
    assert SliceRecord.from_text(text) is None
    assert read_painting(bench.volume, bench.segmentation).slices is None


def test_record_text_is_safe_in_a_segmentation_file() -> None:
    record = SliceRecord.take(Part.of(a_ball()), 2, [3, 9])
    assert SliceRecord.from_text(record.to_text()) == record
    assert not set(record.to_text()) & set("|:~^\n")


def test_a_scene_and_files_read_each_others_records(bench: Bench, tmp_path: Path) -> None:
    """Filled in Slicer, filled again from files, read in Slicer: the painted slices stay the painted ones."""
    bench = Bench(bench.scene, transforms=(None, None))
    bench.fill([bench.ball])
    for node, kind, name in (
        (bench.segmentation, "vtkMRMLSegmentationStorageNode", "a.seg.nrrd"),
        (bench.volume, "vtkMRMLVolumeArchetypeStorageNode", "image.nrrd"),
    ):
        storage = bench.scene.AddNewNodeByClass(kind)
        storage.SetFileName(str(tmp_path / name))
        assert storage.WriteData(node)
    job = Job(tmp_path / "image.nrrd", tmp_path / "a.seg.nrrd", tmp_path / "b.seg.nrrd")
    report = run(replace(job, settings=Settings(method="shape", device="cpu")))
    assert report["support_slices"] == SUPPORT
    storage = bench.scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(tmp_path / "b.seg.nrrd"))
    loaded = bench.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert storage.ReadData(loaded)
    painting = read_painting(bench.volume, loaded)
    assert painting.slices == {1: SUPPORT}
    np.testing.assert_array_equal(painting.layers[0], PAINTED)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("depth", [2.0, -2.0])
def test_slicer_turns_left_handed_volumes_over_and_the_record_with_them(
    bench: Bench, tmp_path: Path, depth: float, axis: int
) -> None:
    support = [5, 8, 12]
    grid = Grid(SHAPE[::-1], (1.0, 2.0, 3.0), (0.8, 0.9, abs(depth)), (1, 0, 0, 0, 1, 0, 0, 0, np.sign(depth)))
    write_image(tmp_path / "image.nrrd", an_image(BALL), grid)
    write_segmentation(tmp_path / "a.seg.nrrd", [only(BALL, axis, support).astype(np.uint8)], [plain_segment(1)], grid)
    settings = Settings(method="shape", device="cpu")
    for support_name, output in (("a", "b"), ("b", "c")):
        names = ("image.nrrd", f"{support_name}.seg.nrrd", f"{output}.seg.nrrd")
        report = run(replace(Job(*(tmp_path / name for name in names)), settings=settings))
        assert (report["support_slices"], report["axis"]) == (support, axis)
    volume, loaded = (bench.scene.AddNewNodeByClass(f"vtkMRML{kind}Node") for kind in ("ScalarVolume", "Segmentation"))
    reader = bench.scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    reader.SetSingleFile(1)
    for storage, name, node in (
        (reader, "image.nrrd", volume),
        (bench.scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode"), "c.seg.nrrd", loaded),
    ):
        storage.SetFileName(str(tmp_path / name))
        assert storage.ReadData(node)
    painting = read_painting(volume, loaded)
    reverse = axis == 0 and depth < 0
    assert painting.slices == {1: sorted(SHAPE[0] - 1 - i for i in support) if reverse else support}
    there = painting.layers[0][::-1] if depth < 0 else painting.layers[0]
    np.testing.assert_array_equal(there, only(BALL, axis, support))


@pytest.mark.parametrize("corner", [(2, 2, 1), (-4, -2, -3)], ids=["cut", "extended"])
def test_the_volume_may_be_cut_or_extended_meanwhile(scene: Any, corner: tuple[int, int, int]) -> None:
    """As by Slicer's Crop Volume, without resampling; the segment's voxels keep counting from the old corner."""
    bench = Bench(scene, transforms=(None, None))
    bench.fill([bench.ball])
    image, (k, j, i) = an_image(BALL), corner
    image = image[k:, j:, i:] if k > 0 else np.pad(image, ((-k, 1), (-j, 2), (-i, 0)))
    place = OBLIQUE.copy()
    place[:3, 3] = (OBLIQUE @ [i, j, k, 1])[:3]
    volume = add_volume(scene, image, place)
    painting = read_painting(volume, bench.segmentation)
    assert (painting.slices, painting.axis) == ({1: [index - k for index in SUPPORT]}, 0)


@pytest.mark.parametrize("columns", [[0, 1, 2], [1, 2, 0]], ids=["turned over", "other axes"])
def test_the_volume_may_be_stored_otherwise_meanwhile(scene: Any, columns: list[int]) -> None:
    bench = Bench(scene, transforms=(None, None))
    bench.fill([bench.ball])
    axis = 2 - columns.index(2)
    image = np.ascontiguousarray(an_image(BALL).transpose([2 - column for column in reversed(columns)]))
    place = OBLIQUE[:, [*columns, 3]]
    if axis == 0:
        image = np.ascontiguousarray(image[::-1])
        place[:, 3], place[:, 2] = place @ [0, 0, len(image) - 1, 1], -place[:, 2]
    volume = add_volume(scene, image, place)
    painting = read_painting(volume, bench.segmentation)
    assert (painting.slices, painting.axis) == ({1: SUPPORT}, 0)
    found = {painting.paint_grid.to_volume(0, index) for index in SUPPORT}
    assert found == {(axis, SHAPE[0] - 1 - index if axis == 0 else index) for index in SUPPORT}


def test_a_volume_that_was_cut_through_the_segment_is_refused(scene: Any) -> None:
    """What was cut off cannot be told from what was corrected."""
    bench = Bench(scene, transforms=(None, None))
    bench.fill([bench.ball])
    place = OBLIQUE.copy()
    place[:3, 3] = (OBLIQUE @ [0, 8, 0, 1])[:3]
    volume = add_volume(scene, an_image(BALL)[:, 8:], place)
    with pytest.raises(InputError, match="volume of another size; choose that volume"):
        read_painting(volume, bench.segmentation)
