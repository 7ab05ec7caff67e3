"""The whole way of a user: other segments, other planes, volumes of all sizes, and what is shown afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import slicer
from gui.desk import BALL, PAINTED
from MetaSegmentLib.scene.views import overlay_of
from scene.nodes import a_ball, a_rotation, add_segmentation, add_volume, affine, an_image, look, only, paint


def test_a_neighbour_keeps_its_voxels_under_slicers_own_settings(desk: Any) -> None:
    desk.put_ball()
    bar = np.zeros_like(BALL)
    bar[5:8, 8:10, 4:16] = True
    paint(desk.segmentation, desk.volume, "bar", bar)
    desk.segmentation.GetDisplayNode().SetSegmentVisibility("bar", False)
    desk.settle()
    editor = desk.logic.session.editor_node
    assert editor.GetOverwriteMode() == slicer.vtkMRMLSegmentEditorNode().GetOverwriteMode(), "as Slicer has it"
    result = desk.segment().labels == 1
    np.testing.assert_array_equal(look(desk.segmentation, desk.volume, "bar"), bar)
    np.testing.assert_array_equal(desk.look(), result & ~bar)
    assert "belong to other segments" in desk.ui.summaryLabel.text
    editor.SetOverwriteMode(editor.OverwriteNone)
    result = desk.segment().labels == 1
    np.testing.assert_array_equal(desk.look(), result)
    np.testing.assert_array_equal(look(desk.segmentation, desk.volume, "bar"), bar)
    assert "belong to other" not in desk.ui.summaryLabel.text


def test_a_segment_that_is_done_already_is_noticed(desk: Any) -> None:
    desk.put_ball()
    done = np.zeros_like(BALL)
    done[1:15, 1:15, 1:15] = True
    done &= ~BALL
    paint(desk.segmentation, desk.volume, "liver", done)
    desk.settle()
    assert desk.ui.statusLabel.text == "liver counts as painted wherever it is; hide it if it is done already."
    desk.segmentation.GetDisplayNode().SetSegmentVisibility("liver", False)
    desk.settle()
    assert desk.ui.statusLabel.text == "" and len(desk.rows()) == len(PAINTED)
    desk.segment()
    np.testing.assert_array_equal(look(desk.segmentation, desk.volume, "liver"), done)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_painting_in_any_plane_of_an_oblique_volume_under_a_transform(desk: Any, axis: int) -> None:
    desk.add_views()
    place = affine(a_rotation((12, -18, 9)) @ np.diag([0.7, 0.9, 2.4]), (-30, 20, 5))
    volume = add_volume(desk.scene, an_image(BALL), place, affine(a_rotation((0, 0, 25)), (4, 5, 6)))
    segmentation = add_segmentation(desk.scene)
    ball = paint(segmentation, volume, "ball", only(BALL, axis, [6, 8, 11]), cropped=True)
    desk.parameters.method = "shape"
    desk.parameters.inputVolume, desk.parameters.segmentation = volume, segmentation
    desk.settle()
    plane = ("Axial", "Coronal", "Sagittal")[axis]
    assert desk.rows() == [("ball", plane, str(i), "painted") for i in (6, 8, 11)]
    result = desk.segment()
    assert result.report["axis"] == axis
    np.testing.assert_array_equal(look(segmentation, volume, ball), result.labels == 1)
    desk.ui.acceptButton.click()
    best = result.suggested_slices[0]["index"]
    assert ("ball", plane, str(best), "painted") in desk.rows(), "the suggested slice is shown after a run"


@pytest.mark.parametrize("shape", [(3, 6, 6), (1, 24, 24), (4, 24, 300)], ids=str)
def test_volumes_of_odd_sizes(desk: Any, shape: tuple[int, ...]) -> None:
    middle = tuple(n / 2 for n in shape)
    truth = a_ball(middle, radius=min(shape[1:]) / 3, shape=shape)
    volume, segmentation = add_volume(desk.scene, an_image(truth)), add_segmentation(desk.scene)
    paint(segmentation, volume, "ball", only(truth, 0, [0, shape[0] - 1]))
    desk.parameters.method = "shape"
    desk.parameters.inputVolume, desk.parameters.segmentation = volume, segmentation
    desk.settle()
    if desk.ui.applyButton.enabled:
        desk.ui.applyButton.click()
        desk.settle()
    assert desk.ui.applyButton.text == "Segment" and all("log" not in error for error in desk.errors)


def test_the_overlay_is_no_volume_to_choose_and_gives_the_foreground_back(desk: Any) -> None:
    desk.add_views()
    desk.put_ball()
    other = add_volume(desk.scene, an_image(BALL))
    composite = desk.scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetForegroundVolumeID(other.GetID())
    composite.SetForegroundOpacity(0.3)
    desk.segment()
    desk.ui.uncertaintyCheckBox.setChecked(True)
    overlay = overlay_of(desk.scene)
    assert composite.GetForegroundVolumeID() == overlay.GetID()
    assert overlay.GetHideFromEditors() and not overlay.GetSaveWithScene()
    assert overlay not in desk.ui.inputSelector._nodes
    desk.segment()
    desk.ui.uncertaintyCheckBox.setChecked(False)
    assert composite.GetForegroundVolumeID() == other.GetID()
    assert composite.GetForegroundOpacity() == pytest.approx(0.3)


def test_a_result_that_was_taken_back_or_left_is_not_shown_any_more(desk: Any) -> None:
    desk.add_views()
    desk.put_ball()
    desk.ui.uncertaintyCheckBox.setChecked(True)
    desk.segment()
    assert overlay_of(desk.scene) is not None and desk.ui.suggestButton.enabled
    desk.ui.undoButton.click()
    assert desk.ui.summaryLabel.text == "Nothing was segmented yet." and not desk.ui.suggestButton.enabled
    assert overlay_of(desk.scene) is None
    desk.segment()
    assert overlay_of(desk.scene) is not None
    desk.parameters.segmentation = add_segmentation(desk.scene)
    assert desk.panel.view.result is None and overlay_of(desk.scene) is None


def test_the_panel_begins_with_what_is_there(desk: Any) -> None:
    label_map = desk.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    first = add_volume(desk.scene, an_image(BALL))
    seen = add_volume(desk.scene, an_image(BALL))
    segmentation = add_segmentation(desk.scene)
    desk.widget.exit()
    desk.widget.enter()
    assert desk.parameters.inputVolume is first and desk.parameters.segmentation is segmentation
    desk.parameters.inputVolume = None
    desk.add_views()
    composite = desk.scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetBackgroundVolumeID(label_map.GetID())
    desk.scene.GetNthNodeByClass(1, "vtkMRMLSliceCompositeNode").SetBackgroundVolumeID(seen.GetID())
    desk.widget.exit()
    desk.widget.enter()
    assert desk.parameters.inputVolume is seen


def test_only_the_effects_for_painting_are_offered(desk: Any) -> None:
    editor = desk.ui.segmentEditor
    assert editor._effects == ["Paint", "Draw", "Erase", "Scissors", "Threshold"]
    assert editor.unorderedEffectsVisible is False and editor.maximumNumberOfUndoStates == 10


@pytest.mark.parametrize("gpu", ["", "NVIDIA", "Apple"])
def test_a_computer_without_gpu_is_told_what_to_expect(desk: Any, module: Any, monkeypatch: Any, gpu: str) -> None:
    from MetaSegmentLib.gui import panel

    monkeypatch.setattr(panel, "gpu", lambda: gpu)
    widget = module.MetaSegmentWidget()
    widget.setup()
    assert (f"{gpu} GPU found" if gpu else "No GPU found") in widget.ui.deviceBox.toolTip
    label = widget.ui.expectationLabel
    assert label.isVisibleTo(widget.parent) == (not gpu) and "seconds" in label.text
    widget.cleanup()
