"""What a result may change in a segmentation, and what it may not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import slicer
from MetaSegmentLib import InputError
from MetaSegmentLib.scene.reader import read_painting
from MetaSegmentLib.scene.record import TAG
from MetaSegmentLib.scene.rules import EditRules, find_editor
from MetaSegmentLib.scene.writer import write_result
from scene.desk import BALL, BAR, PAINTED, QUERY, SUPPORT, Desk
from scene.nodes import (
    SHAPE,
    a_ball,
    add_segmentation,
    add_volume,
    affine,
    an_image,
    look,
    nearest_slice_result,
    only,
    repaint,
)


@pytest.mark.parametrize("shared", [False, True], ids=["own layers", "shared layer"])
@pytest.mark.parametrize("mode", ["no editor", "OverwriteNone", "OverwriteAllSegments", "OverwriteVisibleSegments"])
def test_overwrite_mode_decides_about_other_segments(desk: Desk, mode: str, shared: bool) -> None:
    seen = desk.paint("seen", BAR & ~PAINTED)
    hidden = desk.paint("hidden", np.roll(BAR, 1, axis=1) & ~PAINTED & ~BAR)
    before = {i: desk.look(i) for i in (seen, hidden)}
    if shared:
        desk.share_layers()
    desk.segmentation.GetDisplayNode().SetSegmentVisibility(hidden, False)
    if mode != "no editor":
        desk.user_editor().SetOverwriteMode(getattr(slicer.vtkMRMLSegmentEditorNode, mode))
    _, ball = desk.run([desk.ball])
    np.testing.assert_array_equal(desk.look(desk.ball), ball)
    losers = {"OverwriteAllSegments": [seen, hidden], "OverwriteVisibleSegments": [seen]}.get(mode, [])
    for segment_id in (seen, hidden):
        expected = before[segment_id] & ~(ball & QUERY) if segment_id in losers else before[segment_id]
        np.testing.assert_array_equal(desk.look(segment_id), expected)


def test_overlapping_neighbour_stays_on_painted_slices_even_when_overwriting(desk: Desk) -> None:
    bar = desk.paint("bar", BAR)
    desk.user_editor().SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteAllSegments)
    _, ball = desk.run([desk.ball])
    np.testing.assert_array_equal(desk.look(bar), BAR & ~(ball & QUERY))
    np.testing.assert_array_equal(desk.look(desk.ball), ball)


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
def test_mask_mode_limits_the_result_but_not_the_paint(desk: Desk, mode: int) -> None:
    """The mask segment is hidden, so "visible" modes do not see it."""
    bar = desk.paint("bar", BAR)
    desk.segmentation.GetDisplayNode().SetSegmentVisibility(bar, False)
    editor = desk.user_editor()
    editor.SetMaskMode(mode)
    editor.SetMaskSegmentID(bar)
    editor.SetOverwriteMode(editor.OverwriteNone)
    _, ball = desk.run([desk.ball])
    np.testing.assert_array_equal(desk.look(desk.ball), np.where(QUERY, ball & MASKS[mode], PAINTED))
    np.testing.assert_array_equal(desk.look(bar), BAR)


def test_what_a_mask_protects_is_not_removed_either(desk: Desk) -> None:
    """A second run with other paint would shrink the ball; inside the mask only."""
    _, first = desk.run([desk.ball])
    bar = desk.paint("bar", BAR)
    editor = desk.user_editor()
    editor.SetMaskMode(NODE.EditAllowedInsideSingleSegment)
    editor.SetMaskSegmentID(bar)
    editor.SetOverwriteMode(editor.OverwriteNone)
    small = PAINTED & a_ball(radius=3)
    repaint(desk.segmentation, desk.volume, desk.ball, np.where(QUERY, first, small))
    painting, second = desk.run([desk.ball])
    assert painting.slices == SUPPORT
    np.testing.assert_array_equal(desk.look(desk.ball), np.where(QUERY & ~BAR, first, second))


@pytest.mark.parametrize("other_source", [False, True], ids=["this volume", "another volume"])
def test_editable_intensity_range(desk: Desk, other_source: bool) -> None:
    editor = desk.user_editor()
    image = an_image(BALL)
    if other_source:
        image = np.random.default_rng(1).integers(0, 200, SHAPE).astype(np.int16)
        matrix = affine(np.diag([0.8, 0.8, 2.5]), (3, 4, 5))
        editor.SetAndObserveSourceVolumeNode(add_volume(desk.scene, image, matrix))
    editor.SetSourceVolumeIntensityMask(True)
    editor.SetSourceVolumeIntensityMaskRange(60, 150)
    _, ball = desk.run([desk.ball])
    allowed = (image >= 60) & (image <= 150)
    assert (ball & QUERY & ~allowed).any()
    np.testing.assert_array_equal(desk.look(desk.ball), np.where(QUERY, ball & allowed, PAINTED))


@pytest.mark.parametrize("shared", [False, True], ids=["own layers", "shared layer"])
def test_one_undo_step_restores_everything(desk: Desk, shared: bool) -> None:
    cube = np.zeros(SHAPE, bool)
    cube[SUPPORT, 0:3, 0:4] = True
    cube_id = desk.paint("cube", cube)
    bar = desk.paint("bar", BAR & ~PAINTED & ~cube)
    if shared:
        desk.share_layers()
    desk.user_editor().SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteAllSegments)
    ids = (desk.ball, cube_id, bar)
    before = {i: desk.look(i) for i in ids}
    desk.run([desk.ball, cube_id])
    assert all((desk.look(i) != before[i]).any() for i in ids)
    assert desk.editor.undo()
    for i in ids:
        np.testing.assert_array_equal(desk.look(i), before[i])
        assert not desk.segments.GetSegment(i).HasTag(TAG)
    assert not desk.editor.undo()


def test_the_users_own_editor_node_is_left_as_it_was(desk: Desk) -> None:
    editor = desk.user_editor()
    editor.SetSelectedSegmentID(desk.ball)
    editor.SetMaskMode(NODE.EditAllowedOutsideAllSegments)
    desk.run([desk.ball])
    assert editor.GetSelectedSegmentID() == desk.ball
    assert editor.GetMaskMode() == NODE.EditAllowedOutsideAllSegments
    assert find_editor(desk.segmentation) is editor


def test_paint_as_closed_surface(desk: Desk) -> None:
    """Reading converts a copy; writing makes label maps the source, and the surface follows."""
    surface = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    thick = np.zeros(SHAPE, bool)
    thick[6:9] = a_ball()[6:9]
    repaint(desk.segmentation, desk.volume, desk.ball, thick)
    desk.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(desk.volume)
    desk.segments.SetConversionParameter("Smoothing factor", "0")
    desk.segments.CreateRepresentation(surface)
    desk.segments.SetSourceRepresentationName(surface)
    desk.segments.RemoveRepresentation("Binary labelmap")

    painting = read_painting(desk.volume, desk.segmentation)
    assert desk.segments.GetSourceRepresentationName() == surface
    assert not desk.segments.ContainsRepresentation("Binary labelmap")
    read = painting.labels > 0
    assert 2 * (read & thick).sum() / (read.sum() + thick.sum()) > 0.9

    _, ball = desk.run([desk.ball])
    assert desk.segments.GetSourceRepresentationName() == "Binary labelmap"
    assert desk.segments.ContainsRepresentation(surface)
    np.testing.assert_array_equal(desk.look(desk.ball), ball)


def test_output_segmentation_gets_the_result_and_the_source_stays(desk: Desk) -> None:
    segment = desk.segments.GetSegment(desk.ball)
    segment.SetTerminology("Segmentation category and type - 3D Slicer General Anatomy list~SCT^85756007^Tissue~~~~")
    output = add_segmentation(desk.scene, affine(np.eye(3), (50, 0, 0)))
    _, ball = desk.run([desk.ball], output)
    np.testing.assert_array_equal(desk.look(desk.ball), PAINTED)
    assert not segment.HasTag(TAG)
    (made,) = output.GetSegmentation().GetSegmentIDs()
    np.testing.assert_array_equal(look(output, desk.volume, made), ball)
    copy = output.GetSegmentation().GetSegment(made)
    assert copy.GetName() == "ball"
    assert copy.GetColor() == segment.GetColor()
    assert copy.GetTerminology() == segment.GetTerminology()

    more = only(BALL, 0, [3, 5, 8, 11])
    repaint(desk.segmentation, desk.volume, desk.ball, more)
    _, ball = desk.run([desk.ball], output)
    assert output.GetSegmentation().GetSegmentIDs() == (made,)
    np.testing.assert_array_equal(look(output, desk.volume, made), ball)


def test_segments_of_the_same_name_stay_two_in_the_output(desk: Desk) -> None:
    cube = np.zeros(SHAPE, bool)
    cube[SUPPORT, 0:3, 0:4] = True
    twin = desk.paint("twin", cube)
    desk.segments.GetSegment(twin).SetName("ball")
    output = add_segmentation(desk.scene)
    for _ in range(2):
        _, ball = desk.run([desk.ball, twin], output)
        first, second = output.GetSegmentation().GetSegmentIDs()
        np.testing.assert_array_equal(look(output, desk.volume, first), ball)
        np.testing.assert_array_equal(look(output, desk.volume, second)[:, 0:3, 0:4], True)


def test_masks_hold_for_an_output_segmentation_too(desk: Desk) -> None:
    editor = desk.user_editor()
    editor.SetSourceVolumeIntensityMask(True)
    editor.SetSourceVolumeIntensityMaskRange(60, 150)
    image = an_image(BALL)
    output = add_segmentation(desk.scene)
    _, ball = desk.run([desk.ball], output)
    (made,) = output.GetSegmentation().GetSegmentIDs()
    allowed = (image >= 60) & (image <= 150)
    np.testing.assert_array_equal(look(output, desk.volume, made), np.where(QUERY, ball & allowed, PAINTED))


def test_slices_edited_during_the_run_are_the_users(desk: Desk) -> None:
    painting = read_painting(desk.volume, desk.segmentation)
    result = nearest_slice_result(painting, 0, SUPPORT)
    meanwhile = only(BALL, 0, [*SUPPORT, 9]) & ~a_ball(radius=2)
    meanwhile[SUPPORT] = PAINTED[SUPPORT]
    repaint(desk.segmentation, desk.volume, desk.ball, meanwhile)
    write_result(
        painting, result, desk.volume, desk.segmentation, desk.segmentation, EditRules(None, desk.volume), desk.editor
    )
    expected = result.labels == 1
    expected[9] = meanwhile[9]
    np.testing.assert_array_equal(desk.look(desk.ball), expected)
    assert read_painting(desk.volume, desk.segmentation).slices == [5, 8, 9, 11]


def test_visible_segments_with_paint_are_the_default(desk: Desk) -> None:
    cube = np.zeros(SHAPE, bool)
    cube[SUPPORT, 0:3, 0:4] = True
    hidden, seen = desk.paint("hidden", cube), desk.paint("seen", np.roll(cube, 8, axis=1) & ~PAINTED)
    desk.segments.AddEmptySegment("empty")
    desk.segmentation.GetDisplayNode().SetSegmentVisibility(hidden, False)
    painting = read_painting(desk.volume, desk.segmentation)
    assert painting.segment_ids == (desk.ball, seen)
    assert painting.names == {1: "ball", 2: "seen"}


def test_wrong_segments_are_named(desk: Desk) -> None:
    desk.segments.AddEmptySegment("nothing yet", "nothing yet")
    overlapping = desk.paint("shadow", PAINTED)
    with pytest.raises(InputError, match='no segment "missing"'):
        read_painting(desk.volume, desk.segmentation, ["missing"])
    with pytest.raises(InputError, match='"nothing yet" has no paint'):
        read_painting(desk.volume, desk.segmentation, ["nothing yet"])
    with pytest.raises(InputError, match='"ball" and "shadow" overlap'):
        read_painting(desk.volume, desk.segmentation, [desk.ball, overlapping])
