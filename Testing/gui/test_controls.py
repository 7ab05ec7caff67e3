"""Every control does what it says, and says why when it cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gui.desk import BALL, PAINTED
from scene.nodes import add_segmentation, add_volume, an_image, paint, repaint


def dice(a: Any, b: Any) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_an_empty_scene_asks_for_a_volume(desk: Any) -> None:
    assert not desk.ui.applyButton.enabled
    assert "volume" in desk.ui.applyButton.toolTip and desk.ui.statusLabel.text == desk.ui.applyButton.toolTip
    for name in ("removeButton", "emptyButton", "acceptButton", "suggestButton", "undoButton"):
        button = getattr(desk.ui, name)
        assert not button.enabled and button.toolTip, name
    assert not desk.ui.progressBar.visible and not desk.ui.uncertaintyCheckBox.enabled


def test_segment_says_what_is_missing_step_by_step(desk: Any) -> None:
    volume = add_volume(desk.scene, an_image(BALL))
    desk.parameters.inputVolume = volume
    assert "segmentation" in desk.ui.statusLabel.text
    segmentation = desk.ui.segmentationSelector.addNode()
    assert desk.parameters.segmentation is segmentation
    assert "Add a segment" in desk.ui.statusLabel.text
    paint(segmentation, volume, "ball", np.zeros_like(BALL))
    desk.settle()
    assert "Paint the structure" in desk.ui.statusLabel.text and not desk.ui.applyButton.enabled
    one = np.zeros_like(BALL)
    one[8] = BALL[8]
    repaint(segmentation, volume, "ball", one)
    desk.settle()
    assert desk.ui.applyButton.enabled and "One slice" in desk.ui.statusLabel.text
    across = one.copy()
    across[:, :, 10] |= BALL[:, :, 10]
    repaint(segmentation, volume, "ball", across)
    desk.settle()
    assert not desk.ui.applyButton.enabled and "axes" in desk.ui.applyButton.toolTip


def test_segment_fills_and_reports(desk: Any) -> None:
    desk.put_ball()
    assert desk.rows() == [("ball", "Axial", str(i), "painted") for i in PAINTED]
    result = desk.segment()
    np.testing.assert_array_equal(desk.look(), result.labels == 1)
    assert dice(desk.look(), BALL) > 0.85
    summary = desk.ui.summaryLabel.text
    volume = BALL.sum() * 0.8 * 0.8 * 2 / 1000
    assert summary.startswith("ball: ") and abs(float(summary.split()[1]) - volume) < 0.2 * volume
    assert "estimated Dice" in summary and "Shape interpolation, 3 painted slices" in summary
    assert not desk.ui.progressBar.visible and desk.ui.applyButton.text == "Segment" and not desk.errors
    assert desk.rows() == [("ball", "Axial", str(i), "painted") for i in PAINTED]


def test_two_runs_in_a_row_and_a_correction(desk: Any) -> None:
    desk.put_ball()
    first = desk.segment().labels
    np.testing.assert_array_equal(desk.segment().labels, first)
    edited = desk.look()
    edited[6] = BALL[6]
    edited[6, 2:4, 2:4] = True
    repaint(desk.segmentation, desk.volume, desk.ball, edited)
    desk.settle()
    assert ("ball", "Axial", "6", "painted") in desk.rows()
    assert desk.segment().report["support_slices"] == sorted([*PAINTED, 6])
    assert desk.look()[6, 2:4, 2:4].all()


def test_undo_is_one_step(desk: Any) -> None:
    desk.put_ball()
    before = desk.look()
    desk.segment()
    desk.ui.undoButton.click()
    np.testing.assert_array_equal(desk.look(), before)


def test_a_preview_and_its_result_are_one_step(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from MetaSegmentLib.app import flow

    monkeypatch.setattr(flow, "PREVIEW_METHOD", "shape")
    desk.put_ball()
    before = desk.look()
    desk.parameters.method = "propagation"
    desk.parameters.showPreview = True
    seen: list[str] = []
    shown = desk.panel._on_shown
    monkeypatch.setattr(desk.panel, "_on_shown", lambda result, last: (shown(result, last), seen.append(summary())))

    def summary() -> str:
        return str(desk.ui.summaryLabel.text)

    desk.segment()
    assert len(seen) == 2 and seen[0].startswith("Preview") and "propagation" in seen[1]
    desk.ui.undoButton.click()
    np.testing.assert_array_equal(desk.look(), before)
    seen.clear()
    desk.segment()
    assert len(seen) == 1, "what the method has learned before needs no preview"


def test_paint_between_preview_and_result_is_a_step_of_its_own(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from MetaSegmentLib.app import flow

    monkeypatch.setattr(flow, "PREVIEW_METHOD", "shape")
    desk.put_ball()
    desk.parameters.method = "propagation"
    desk.parameters.showPreview = True
    shown = desk.panel._on_shown
    edited: list[Any] = []

    def edit(result: Any, last: bool) -> None:
        shown(result, last)
        if not last:
            # In the middle of the next run, as a user would.
            desk.logic.session._schedule(lambda: edited.append(stroke()), 20)

    def stroke() -> Any:
        desk.ui.segmentEditor.saveStateForUndo()
        mask = desk.look()
        mask[2, 2:5, 2:5] = True
        repaint(desk.segmentation, desk.volume, desk.ball, mask)
        return mask

    monkeypatch.setattr(desk.panel, "_on_shown", edit)
    desk.segment()
    assert edited and desk.look()[2, 2:5, 2:5].all()
    desk.ui.undoButton.click()
    np.testing.assert_array_equal(desk.look(), edited[0])


def test_table_jumps_and_removes(desk: Any) -> None:
    axial, *_ = desk.add_views()
    desk.put_ball()
    desk.ui.sliceTable.cellClicked.emit(2, 0)
    assert axial.GetSliceOffset() == pytest.approx(5 + 2.0 * PAINTED[2])
    desk.ui.sliceTable.selectRow(2)
    assert desk.ui.removeButton.enabled
    desk.ui.removeButton.click()
    assert [row[2] for row in desk.rows()] == ["4", "8"] and not desk.look()[12].any()
    desk.ui.undoButton.click()
    assert [row[2] for row in desk.rows()] == ["4", "8", "12"] and desk.look()[12].any()


def test_the_selected_slice_stays_selected_when_others_come(desk: Any) -> None:
    axial, *_ = desk.add_views()
    desk.put_ball()
    desk.ui.sliceTable.selectRow(2)
    axial.JumpSliceByOffsetting(0, 0, 5 + 2.0 * 2)
    desk.ui.emptyButton.click()
    assert [row[2] for row in desk.rows()] == ["2", "4", "8", "12"]
    assert desk.ui.sliceTable.currentRow() == 3 and desk.ui.removeButton.enabled


def test_an_empty_slice_bounds_the_structure(desk: Any) -> None:
    axial, *_ = desk.add_views()
    desk.put_ball()
    axial.JumpSliceByOffsetting(0, 0, 5 + 2.0 * 14)
    desk.ui.emptyButton.click()
    assert desk.rows()[-1] == ("ball", "Axial", "14", "empty")
    result = desk.segment()
    assert 14 in result.report["support_slices"] and not desk.look()[14:].any()
    assert desk.rows()[-1] == ("ball", "Axial", "14", "empty")


def test_accepting_a_slice_makes_it_painted(desk: Any) -> None:
    axial, *_ = desk.add_views()
    desk.put_ball()
    assert not desk.ui.acceptButton.enabled
    desk.segment()
    assert desk.ui.acceptButton.enabled
    axial.JumpSliceByOffsetting(0, 0, 5 + 2.0 * 6)
    before = desk.look()
    desk.ui.acceptButton.click()
    assert ("ball", "Axial", "6", "painted") in desk.rows()
    np.testing.assert_array_equal(desk.look(), before)
    assert desk.segment().report["support_slices"] == sorted([*PAINTED, 6])
    axial.JumpSliceByOffsetting(0, 0, 5 + 2.0 * 6)
    desk.ui.acceptButton.click()
    assert desk.errors and "not filled in" in desk.errors[-1]


def test_the_suggested_slice_is_shown_after_a_run_and_on_request(desk: Any) -> None:
    axial, *_ = desk.add_views()
    desk.put_ball()
    suggestions = desk.segment().suggested_slices
    assert len(suggestions) > 1
    assert axial.GetSliceOffset() == pytest.approx(5 + 2.0 * suggestions[0]["index"])
    desk.ui.suggestButton.click()
    assert axial.GetSliceOffset() == pytest.approx(5 + 2.0 * suggestions[0]["index"])
    assert desk.ui.suggestButton.text.endswith(str(suggestions[1]["index"]))
    desk.ui.suggestButton.click()
    assert axial.GetSliceOffset() == pytest.approx(5 + 2.0 * suggestions[1]["index"])


def test_uncertainty_overlay(desk: Any) -> None:
    import slicer
    from MetaSegmentLib.scene.views import overlay_of

    desk.add_views()
    desk.put_ball()
    result = desk.segment()
    assert overlay_of(desk.scene) is None
    desk.ui.uncertaintyCheckBox.setChecked(True)
    node = overlay_of(desk.scene)
    percent = slicer.util.arrayFromVolume(node)
    np.testing.assert_allclose(percent, result.uncertainty * 100, atol=0.6)
    composite = desk.scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert composite.GetForegroundVolumeID() == node.GetID() and composite.GetForegroundOpacity() > 0
    desk.segment()
    assert overlay_of(desk.scene) is node
    desk.ui.uncertaintyCheckBox.setChecked(False)
    assert overlay_of(desk.scene) is None and not composite.GetForegroundVolumeID()


def test_methods_and_devices_are_chosen(desk: Any) -> None:
    desk.put_ball()
    ui = desk.ui
    assert ui.methodBox.count == 3 and ui.methodBox.currentData == "shape"
    ui.methodBox.setCurrentIndex(0)
    assert desk.parameters.method == "protonet" and "instant" in ui.methodBox.currentText
    assert ui.allMethodsBox.currentData == "protonet" and ui.methodBox.count == 2
    ui.allMethodsBox.setCurrentIndex(ui.allMethodsBox.findData("maml"))
    assert desk.parameters.method == "maml" and ui.methodBox.currentData == "maml"
    assert "gradient" in ui.allMethodsBox.toolTip
    ui.deviceBox.setCurrentIndex(ui.deviceBox.findData("cpu"))
    assert desk.parameters.device == "cpu"
    ui.previewCheckBox.setChecked(True)
    assert desk.parameters.showPreview is True


def test_the_editor_and_the_3d_button_follow_the_choice(desk: Any) -> None:
    desk.put_ball()
    editor = desk.ui.segmentEditor.mrmlSegmentEditorNode()
    assert editor is desk.logic.session.editor_node
    assert editor.GetSegmentationNode() is desk.segmentation and editor.GetSourceVolumeNode() is desk.volume
    assert desk.ui.show3DButton.segmentationNode() is desk.segmentation
    other = add_segmentation(desk.scene)
    desk.ui.segmentationSelector.setCurrentNode(other)
    assert editor.GetSegmentationNode() is other and desk.rows() == []


def test_other_segments_are_left_alone(desk: Any) -> None:
    desk.put_ball()
    bar = np.zeros_like(BALL)
    bar[2:14, 8:10, 4:16] = True
    paint(desk.segmentation, desk.volume, "bar", bar)
    desk.segmentation.GetDisplayNode().SetSegmentVisibility("bar", False)
    desk.settle()
    desk.segment()
    from scene.nodes import look

    np.testing.assert_array_equal(look(desk.segmentation, desk.volume, "bar"), bar)


def test_hidden_segments_are_not_listed(desk: Any) -> None:
    desk.put_ball()
    desk.segmentation.GetDisplayNode().SetSegmentVisibility(desk.ball, False)
    desk.settle()
    assert desk.rows() == [] and not desk.ui.applyButton.enabled


def test_renaming_a_segment_reaches_the_table(desk: Any) -> None:
    desk.put_ball()
    desk.segmentation.GetSegmentation().GetSegment(desk.ball).SetName("liver")
    desk.settle()
    assert desk.rows()[0][0] == "liver"


def test_all_segments_hidden_is_said(desk: Any) -> None:
    desk.put_ball()
    desk.segmentation.GetDisplayNode().SetSegmentVisibility(desk.ball, False)
    desk.panel.refresh()
    assert not desk.ui.applyButton.enabled and "hidden" in desk.ui.applyButton.toolTip
    desk.segmentation.GetDisplayNode().SetSegmentVisibility(desk.ball, True)
    desk.panel.refresh()
    assert desk.ui.applyButton.enabled
