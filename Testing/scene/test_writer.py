"""What a result may change in a segmentation, and what it may not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import slicer
from MetaSegmentLib import InputError
from MetaSegmentLib.scene.reader import read_painting
from MetaSegmentLib.scene.record import TAG
from MetaSegmentLib.scene.rules import find_editor
from scene.bench import BALL, BAR, OBLIQUE, PAINTED, QUERY, SUPPORT, TURN, Bench
from scene.nodes import (
    SHAPE,
    a_ball,
    add_segmentation,
    add_volume,
    affine,
    an_image,
    grid_matrix,
    look,
    only,
    oriented_image,
    repaint,
)

MODES = {
    "no editor": [],
    "OverwriteNone": [],
    "OverwriteAllSegments": ["seen", "hidden"],
    "OverwriteVisibleSegments": ["seen"],
}
"""Which other segments keep their voxels for themselves; where overlap is allowed, none does."""


@pytest.mark.parametrize("shared", [False, True], ids=["own layers", "shared layer"])
@pytest.mark.parametrize("mode", MODES)
def test_other_segments_are_never_changed(bench: Bench, mode: str, shared: bool) -> None:
    bench.paint("seen", BAR & ~PAINTED)
    bench.paint("hidden", np.roll(BAR, 1, axis=1) & ~PAINTED & ~BAR)
    before = {i: bench.look(i) for i in ("seen", "hidden")}
    if shared:
        bench.share_layers()
    bench.segmentation.GetDisplayNode().SetSegmentVisibility("hidden", False)
    if mode != "no editor":
        bench.user_editor().SetOverwriteMode(getattr(slicer.vtkMRMLSegmentEditorNode, mode))
    _, ball = bench.fill([bench.ball])
    taken = np.any([before[i] for i in MODES[mode]] or [np.zeros_like(ball)], axis=0)
    np.testing.assert_array_equal(bench.look(bench.ball), ball & ~(taken & QUERY))
    for segment_id, mask in before.items():
        np.testing.assert_array_equal(bench.look(segment_id), mask)


def test_slicers_own_default_allows_no_overlap(bench: Bench) -> None:
    bar = bench.paint("bar", BAR & ~PAINTED)
    bench.user_editor()
    _, ball = bench.fill([bench.ball])
    np.testing.assert_array_equal(bench.look(bench.ball), ball & ~BAR | PAINTED)
    np.testing.assert_array_equal(bench.look(bar), BAR & ~PAINTED)


def test_paint_that_overlaps_a_neighbour_stays_even_where_overlap_is_not_allowed(bench: Bench) -> None:
    bar = bench.paint("bar", BAR)
    bench.user_editor().SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteAllSegments)
    _, ball = bench.fill([bench.ball])
    np.testing.assert_array_equal(bench.look(bar), BAR)
    np.testing.assert_array_equal(bench.look(bench.ball), ball & ~(BAR & QUERY))


NODE = slicer.vtkMRMLSegmentationNode
EVERYTHING = np.ones(SHAPE, bool)
MASKS: dict[int, Any] = {
    NODE.EditAllowedEverywhere: EVERYTHING,
    NODE.EditAllowedInsideAllSegments: BAR,
    NODE.EditAllowedInsideVisibleSegments: ~EVERYTHING,
    NODE.EditAllowedOutsideAllSegments: ~BAR,
    NODE.EditAllowedOutsideVisibleSegments: EVERYTHING,
    NODE.EditAllowedInsideSingleSegment: BAR,
}


@pytest.mark.parametrize("mode", MASKS, ids=[NODE.ConvertMaskModeToString(m) for m in MASKS])
def test_mask_mode_limits_the_result_but_not_the_paint(bench: Bench, mode: int) -> None:
    """The mask segment is hidden, so "visible" modes do not see it."""
    bar = bench.paint("bar", BAR)
    bench.segmentation.GetDisplayNode().SetSegmentVisibility(bar, False)
    editor = bench.user_editor()
    editor.SetMaskMode(mode)
    editor.SetMaskSegmentID(bar)
    editor.SetOverwriteMode(editor.OverwriteNone)
    _, ball = bench.fill([bench.ball])
    np.testing.assert_array_equal(bench.look(bench.ball), np.where(QUERY, ball & MASKS[mode], PAINTED))
    np.testing.assert_array_equal(bench.look(bar), BAR)


def test_what_a_mask_protects_is_not_removed_either(bench: Bench) -> None:
    """A second run with other paint would shrink the ball; inside the mask only."""
    _, first = bench.fill([bench.ball])
    bar = bench.paint("bar", BAR)
    editor = bench.user_editor()
    editor.SetMaskMode(NODE.EditAllowedInsideSingleSegment)
    editor.SetMaskSegmentID(bar)
    editor.SetOverwriteMode(editor.OverwriteNone)
    small = PAINTED & a_ball(radius=3)
    repaint(bench.segmentation, bench.volume, bench.ball, np.where(QUERY, first, small))
    painting, second = bench.fill([bench.ball])
    assert painting.slices == {1: SUPPORT}
    np.testing.assert_array_equal(bench.look(bench.ball), np.where(QUERY & ~BAR, first, second))


@pytest.mark.parametrize("other_source", [False, True], ids=["this volume", "another volume"])
def test_editable_intensity_range(bench: Bench, other_source: bool) -> None:
    editor = bench.user_editor()
    image = an_image(BALL)
    if other_source:
        image = np.random.default_rng(1).integers(0, 200, SHAPE).astype(np.int16)
        editor.SetAndObserveSourceVolumeNode(add_volume(bench.scene, image, OBLIQUE, TURN))
    editor.SetSourceVolumeIntensityMask(True)
    editor.SetSourceVolumeIntensityMaskRange(60, 150)
    _, ball = bench.fill([bench.ball])
    allowed = (image >= 60) & (image <= 150)
    assert (ball & QUERY & ~allowed).any()
    np.testing.assert_array_equal(bench.look(bench.ball), np.where(QUERY, ball & allowed, PAINTED))


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same segmentation", "another one"])
def test_what_is_refused_leaves_no_step_and_no_segment_behind(bench: Bench, elsewhere: bool) -> None:
    output = add_segmentation(bench.scene) if elsewhere else bench.segmentation
    bench.editor.open(output)
    bench.fill([bench.ball], output)
    segment = output.GetSegmentation().GetSegment(bench.ball)
    editor = bench.user_editor()
    editor.SetSourceVolumeIntensityMask(True)
    editor.SetAndObserveSourceVolumeNode(bench.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode"))
    if elsewhere:
        segment.SetName("renamed, so that another one has to be made")
    with pytest.raises(InputError, match="no single intensity"):
        bench.fill([bench.ball], output)
    assert output.GetSegmentation().GetNumberOfSegments() == 1
    assert bench.editor.undo() and not bench.editor.undo(), "the only step is that of the first result"


@pytest.mark.parametrize("shared", [False, True], ids=["own layers", "shared layer"])
def test_one_undo_step_restores_everything(bench: Bench, shared: bool) -> None:
    cube = np.zeros(SHAPE, bool)
    cube[SUPPORT, 0:3, 0:4] = True
    bench.paint("cube", cube)
    if shared:
        bench.share_layers()
    before = {i: bench.look(i) for i in (bench.ball, "cube")}
    bench.fill([bench.ball, "cube"])
    assert all((bench.look(i) != mask).any() for i, mask in before.items())
    assert bench.editor.undo()
    for i, mask in before.items():
        np.testing.assert_array_equal(bench.look(i), mask)
        assert not bench.segments.GetSegment(i).HasTag(TAG)
    assert not bench.editor.undo()


def test_the_users_own_editor_node_is_left_as_it_was(bench: Bench) -> None:
    editor = bench.user_editor()
    editor.SetSelectedSegmentID(bench.ball)
    editor.SetMaskMode(NODE.EditAllowedOutsideAllSegments)
    bench.fill([bench.ball])
    assert editor.GetSelectedSegmentID() == bench.ball
    assert editor.GetMaskMode() == NODE.EditAllowedOutsideAllSegments
    assert find_editor(bench.segmentation) is editor


def test_paint_as_closed_surface(bench: Bench) -> None:
    """Reading converts a copy; writing makes label maps the source, and the surface follows."""
    surface = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    thick = np.zeros(SHAPE, bool)
    thick[6:9] = a_ball()[6:9]
    repaint(bench.segmentation, bench.volume, bench.ball, thick)
    bench.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(bench.volume)
    bench.segments.SetConversionParameter("Smoothing factor", "0")
    bench.segments.CreateRepresentation(surface)
    bench.segments.SetSourceRepresentationName(surface)
    bench.segments.RemoveRepresentation("Binary labelmap")

    painting = read_painting(bench.volume, bench.segmentation)
    assert bench.segments.GetSourceRepresentationName() == surface
    assert not bench.segments.ContainsRepresentation("Binary labelmap")
    read = painting.layers[0] > 0
    assert 2 * (read & thick).sum() / (read.sum() + thick.sum()) > 0.9

    _, ball = bench.fill([bench.ball])
    assert bench.segments.GetSourceRepresentationName() == "Binary labelmap"
    assert bench.segments.ContainsRepresentation(surface)
    np.testing.assert_array_equal(bench.look(bench.ball), ball)


def test_output_segmentation_gets_the_result_and_the_source_stays(bench: Bench) -> None:
    segment = bench.segments.GetSegment(bench.ball)
    segment.SetTerminology("Segmentation category and type - 3D Slicer General Anatomy list~SCT^85756007^Tissue~~~~")
    output = add_segmentation(bench.scene, affine(np.eye(3), (50, 0, 0)))
    _, ball = bench.fill([bench.ball], output)
    np.testing.assert_array_equal(bench.look(bench.ball), PAINTED)
    assert not segment.HasTag(TAG)
    (made,) = output.GetSegmentation().GetSegmentIDs()
    np.testing.assert_array_equal(look(output, bench.volume, made), ball)
    copy = output.GetSegmentation().GetSegment(made)
    assert copy.GetName() == "ball"
    assert copy.GetColor() == segment.GetColor()
    assert copy.GetTerminology() == segment.GetTerminology()

    more = only(BALL, 0, [3, 5, 8, 11])
    repaint(bench.segmentation, bench.volume, bench.ball, more)
    _, ball = bench.fill([bench.ball], output)
    assert output.GetSegmentation().GetSegmentIDs() == (made,)
    np.testing.assert_array_equal(look(output, bench.volume, made), ball)


def test_segments_of_the_same_name_stay_two_in_the_output(bench: Bench) -> None:
    cube = np.zeros(SHAPE, bool)
    cube[SUPPORT, 0:3, 0:4] = True
    twin = bench.paint("twin", cube)
    bench.segments.GetSegment(twin).SetName("ball")
    output = add_segmentation(bench.scene)
    for _ in range(2):
        _, ball = bench.fill([bench.ball, twin], output)
        first, second = output.GetSegmentation().GetSegmentIDs()
        np.testing.assert_array_equal(look(output, bench.volume, first), ball)
        np.testing.assert_array_equal(look(output, bench.volume, second)[:, 0:3, 0:4], True)


def test_masks_hold_for_an_output_segmentation_too(bench: Bench) -> None:
    editor = bench.user_editor()
    editor.SetSourceVolumeIntensityMask(True)
    editor.SetSourceVolumeIntensityMaskRange(100, 150)
    image = an_image(BALL)
    output = add_segmentation(bench.scene)
    _, ball = bench.fill([bench.ball], output)
    (made,) = output.GetSegmentation().GetSegmentIDs()
    allowed = (image >= 100) & (image <= 150)
    assert (PAINTED & ~allowed).any()
    np.testing.assert_array_equal(look(output, bench.volume, made), np.where(QUERY, ball & allowed, PAINTED))


def test_slices_edited_during_the_run_are_the_users(bench: Bench) -> None:
    painting = read_painting(bench.volume, bench.segmentation)
    meanwhile = only(BALL, 0, [*SUPPORT, 9]) & ~a_ball(radius=2)
    meanwhile[SUPPORT] = PAINTED[SUPPORT]
    repaint(bench.segmentation, bench.volume, bench.ball, meanwhile)
    expected = bench.write(painting)
    expected[9] = meanwhile[9]
    np.testing.assert_array_equal(bench.look(bench.ball), expected)
    assert read_painting(bench.volume, bench.segmentation).slices == {1: [5, 8, 9, 11]}


def test_visible_segments_with_paint_are_the_default(bench: Bench) -> None:
    cube = np.zeros(SHAPE, bool)
    cube[SUPPORT, 0:3, 0:4] = True
    hidden, seen = bench.paint("hidden", cube), bench.paint("seen", np.roll(cube, 8, axis=1) & ~PAINTED)
    bench.segments.AddEmptySegment("empty")
    bench.segmentation.GetDisplayNode().SetSegmentVisibility(hidden, False)
    painting = read_painting(bench.volume, bench.segmentation)
    assert painting.segment_ids == (bench.ball, seen)
    assert painting.names == {1: "ball", 2: "seen"}


def test_wrong_segments_are_named(bench: Bench) -> None:
    bench.segments.AddEmptySegment("nothing yet", "nothing yet")
    with pytest.raises(InputError, match='no segment "missing"'):
        read_painting(bench.volume, bench.segmentation, ["missing"])
    with pytest.raises(InputError, match='"nothing yet" has no paint'):
        read_painting(bench.volume, bench.segmentation, ["nothing yet"])


def test_namesakes_done_one_after_the_other_do_not_take_each_others_place_in_an_output(bench: Bench) -> None:
    bar = bench.paint("bar", only(BAR, 0, SUPPORT))
    bench.segments.GetSegment(bar).SetName("ball")
    output = add_segmentation(bench.scene)
    for segment_id in (bench.ball, bar):
        bench.fill([segment_id], output)
    assert sorted(output.GetSegmentation().GetSegmentIDs()) == sorted([bench.ball, bar])
    np.testing.assert_array_equal(look(output, bench.volume, bench.ball)[SUPPORT], PAINTED[SUPPORT])
    np.testing.assert_array_equal(look(output, bench.volume, bar)[SUPPORT], BAR[SUPPORT])


def test_a_segment_without_a_name_gets_one_in_an_output(bench: Bench) -> None:
    bench.segments.GetSegment(bench.ball).SetName(None)
    output = add_segmentation(bench.scene)
    bench.fill([bench.ball], output)
    assert output.GetSegmentation().GetSegment(bench.ball).GetName() == bench.ball


@pytest.mark.parametrize("neighbour", [False, True])
def test_the_grid_for_new_strokes_stays_as_fine_as_a_neighbour(bench: Bench, neighbour: bool) -> None:
    converter = slicer.vtkSegmentationConverter
    matrix = grid_matrix(bench.volume, bench.segmentation) @ np.diag([0.5, 0.5, 0.5, 1.0])
    fine = oriented_image(np.kron(BAR, np.ones((2, 2, 2), bool)), matrix)
    name, before = converter.GetReferenceImageGeometryParameterName(), converter.SerializeImageGeometry(fine)
    bench.segments.SetConversionParameter(name, before)
    if neighbour:
        segment = slicer.vtkSegment()
        segment.AddRepresentation("Binary labelmap", fine)
        bench.segments.AddSegment(segment, "fine")
    bench.fill([bench.ball])
    assert (bench.segments.GetConversionParameter(name) == before) is neighbour


def test_a_segment_that_was_emptied_is_as_slicers_own_empty_ones(bench: Bench) -> None:
    for index in SUPPORT:
        bench.edit("remove", index)
    bench.segments.AddEmptySegment("empty")
    layers = [bench.segments.GetSegment(i).GetRepresentation("Binary labelmap") for i in (bench.ball, "empty")]
    assert len({layer.GetScalarTypeAsString() for layer in layers}) == 1
    assert all(layer.GetPointData().GetScalars() is not None for layer in layers)
