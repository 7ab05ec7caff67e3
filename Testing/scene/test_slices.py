"""Painted slices listed and changed one at a time; slice views and the overlay, by MRML nodes alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import slicer
from MetaSegmentLib.errors import InputError
from MetaSegmentLib.scene.slices import SliceList, painted_slices
from MetaSegmentLib.scene.views import hide_uncertainty, jump, orientations, overlay_of, show_uncertainty, shown_slice
from scene.bench import BALL, SUPPORT, Bench
from scene.nodes import add_volume, affine, an_image, look, only, repaint


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_painted_slices_before_and_after_a_run(scene: Any, axis: int) -> None:
    bench = Bench(scene, axis)
    rows = [(axis, i, False) for i in SUPPORT]
    assert bench.rows() == rows
    bench.run()
    assert bench.rows() == rows
    filled = painted_slices(bench.volume, bench.segmentation).filled
    assert filled is not None and 7 in filled["ball"] and 8 not in filled["ball"]


def test_only_segments_that_changed_are_looked_at_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from MetaSegmentLib.scene import slices

    bench.paint("other", np.roll(bench.painted, 1, axis=0))
    looked: list[str] = []
    find = slices._find
    monkeypatch.setattr(
        slices, "_find", lambda segment, grid: (looked.append(segment.GetName()), find(segment, grid))[1]
    )
    listing = SliceList()
    first = listing.look(bench.volume, bench.segmentation)
    assert looked == ["ball", "other"] and listing.look(bench.volume, bench.segmentation) == first
    assert looked == ["ball", "other"]
    repaint(bench.segmentation, bench.volume, bench.ball, only(BALL, 0, [6, 9]))
    assert {row.index for row in listing.look(bench.volume, bench.segmentation).slices if row.name == "ball"} == {6, 9}
    assert looked == ["ball", "other", "ball"]


@pytest.mark.parametrize("run_first", [False, True], ids=["before a run", "after a run"])
def test_removing_takes_the_paint_off_and_is_filled_again(scene: Any, run_first: bool) -> None:
    bench = Bench(scene)
    if run_first:
        bench.run()
    before = bench.look()
    bench.edit("remove", 8)
    assert bench.rows() == [(0, 5, False), (0, 11, False)] and not bench.look()[8].any()
    np.testing.assert_array_equal(np.delete(bench.look(), 8, 0), np.delete(before, 8, 0))
    assert bench.run().report["support_slices"] == [5, 11]
    assert bench.look()[8].any()


@pytest.mark.parametrize("run_first", [False, True], ids=["before a run", "after a run"])
def test_an_empty_slice_is_learned_from_and_stays_empty(scene: Any, run_first: bool) -> None:
    bench = Bench(scene)
    if run_first:
        bench.run()
    bench.edit("mark_empty", 13)
    assert bench.rows()[-1] == (0, 13, True)
    assert bench.run().report["support_slices"] == [5, 8, 11, 13]
    assert not bench.look()[13].any() and bench.rows()[-1] == (0, 13, True)
    bench.edit("remove", 13)
    assert bench.rows() == [(0, i, False) for i in SUPPORT]


def test_an_accepted_slice_counts_as_painted(scene: Any) -> None:
    bench = Bench(scene)
    with pytest.raises(InputError, match="not filled in"):
        bench.edit("accept", 7)
    bench.run()
    before = bench.look()
    bench.edit("accept", 7)
    np.testing.assert_array_equal(bench.look(), before)
    assert (0, 7, False) in bench.rows()
    assert bench.run().report["support_slices"] == [5, 7, 8, 11]


def test_a_correction_is_kept_when_another_slice_is_changed(scene: Any) -> None:
    bench = Bench(scene)
    bench.run()
    edited = look(bench.segmentation, bench.volume, bench.ball)
    edited[6, 2:5, 2:5] = True
    repaint(bench.segmentation, bench.volume, bench.ball, edited)
    bench.edit("mark_empty", 14)
    assert [index for _, index, _ in bench.rows()] == [5, 6, 8, 11, 14]


def test_every_change_is_one_undo_step(scene: Any) -> None:
    bench = Bench(scene)
    bench.run()
    rows, mask = bench.rows(), bench.look()
    for change, index in (("remove", 8), ("mark_empty", 13), ("accept", 7)):
        bench.edit(change, index)
        assert bench.rows() != rows
        assert bench.editor.undo()
        assert bench.rows() == rows
        np.testing.assert_array_equal(bench.look(), mask)


@pytest.mark.parametrize(
    ("index", "axis", "message"), [(8, 1, "another axis"), (99, 0, "outside"), (-1, 0, "outside")], ids=str
)
def test_what_cannot_be_marked_is_refused(scene: Any, index: int, axis: int, message: str) -> None:
    bench = Bench(scene)
    with pytest.raises(InputError, match=message):
        bench.edit("mark_empty", index, axis)
    assert bench.rows() == [(0, i, False) for i in SUPPORT]


def test_a_segment_without_paint_cannot_be_marked(scene: Any) -> None:
    bench = Bench(scene)
    bench.segmentation.GetSegmentation().AddEmptySegment("bare", "bare")
    with pytest.raises(InputError, match="at least one slice"):
        bench.edits.mark_empty(bench.volume, bench.segmentation, "bare", 0, 3)


def test_paint_along_two_axes_is_a_problem_not_an_error(scene: Any) -> None:
    bench = Bench(scene)
    both = only(BALL, 0, [8]) | only(BALL, 2, [10])
    repaint(bench.segmentation, bench.volume, bench.ball, both)
    overview = painted_slices(bench.volume, bench.segmentation)
    assert overview.slices == () and "axes" in overview.problem


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_views_go_to_a_slice_and_tell_which_is_shown(scene: Any, axis: int) -> None:
    bench = Bench(scene)
    assert not jump(bench.volume, axis, 5) and shown_slice(bench.volume) is None
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    views = [scene.AddNewNodeByClass("vtkMRMLSliceNode") for _ in range(3)]
    for view, orientation in zip(views, ("Axial", "Coronal", "Sagittal"), strict=True):
        assert view.SetOrientation(orientation)
    offsets = [view.GetSliceOffset() for view in views]
    assert jump(bench.volume, axis, 5)
    moved = [view.GetSliceOffset() != before for view, before in zip(views, offsets, strict=True)]
    assert moved == [i == axis for i in range(3)]
    assert shown_slice(bench.volume, axis) == (axis, 5)
    assert jump(bench.volume, axis, 11)
    assert shown_slice(bench.volume, axis) == (axis, 11)


def test_slices_are_called_as_in_slicer(scene: Any) -> None:
    plain = add_volume(scene, an_image(BALL), affine(np.diag([1, 1, 3])))
    sagittal = add_volume(scene, an_image(BALL), affine([[0, 0, 1.3], [-1, 0, 0], [0, -1, 0]]))
    assert orientations(plain) == ("Axial", "Coronal", "Sagittal")
    assert orientations(sagittal) == ("Sagittal", "Axial", "Coronal")


def test_a_view_beside_the_volume_shows_no_slice(scene: Any) -> None:
    volume = add_volume(scene, an_image(BALL))
    view = scene.AddNewNodeByClass("vtkMRMLSliceNode")
    view.SetSliceOffset(500)
    assert shown_slice(volume, 0) is None


def test_the_overlay_lies_where_the_volume_is(scene: Any) -> None:
    from scene.nodes import world

    bench = Bench(scene)
    uncertainty = np.linspace(0, 1, BALL.size).reshape(BALL.shape).astype(np.float16)
    node = show_uncertainty(bench.volume, uncertainty)
    np.testing.assert_allclose(slicer.util.arrayFromVolume(node), uncertainty * 100, atol=0.6)
    np.testing.assert_allclose(world(node), world(bench.volume))
    hide_uncertainty(scene)
    assert overlay_of(scene) is None and bench.volume.GetScene() is scene
    hide_uncertainty(scene)


@pytest.mark.parametrize("corner", [(0, 0, 0), (3, 4, 5), (-2, -3, 10), (14, 15, 16), (20, 0, 0), (-9, 0, 0)], ids=str)
def test_a_label_map_may_stick_out_of_the_volume(scene: Any, corner: tuple[int, int, int]) -> None:
    from MetaSegmentLib.scene.geometry import grid_of
    from MetaSegmentLib.scene.reader import read_mask
    from scene.nodes import grid_matrix, oriented_image

    bench = Bench(scene)
    box = np.random.default_rng(0).random((6, 7, 8)) < 0.5
    segment = bench.segmentation.GetSegmentation().GetSegment(bench.ball)
    segment.AddRepresentation(
        "Binary labelmap", oriented_image(box, grid_matrix(bench.volume, bench.segmentation), corner)
    )
    found = read_mask(segment, grid_of(bench.volume, bench.segmentation))
    np.testing.assert_array_equal(found, look(bench.segmentation, bench.volume, bench.ball))


def test_a_large_solid_segment_is_listed_without_looking_for_paint(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not painted by hand, and looking closely would hold the panel."""

    def never(*_arguments: object) -> None:
        raise AssertionError

    solid = np.zeros(BALL.shape, bool)
    solid[1:15, 2:16, 2:18] = True
    repaint(bench.segmentation, bench.volume, bench.ball, solid)
    monkeypatch.setattr("MetaSegmentLib.scene.slices.read_segment", never)
    monkeypatch.setattr("MetaSegmentLib.scene.slices._SOLID_VOXELS", 1000)
    assert bench.rows() == [(0, index, False) for index in range(1, 15)]
