"""The button that segments every time point of a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import slicer
from gui.desk import BALL, PAINTED
from scene.nodes import an_image

TIMES = 3


@pytest.fixture
def beating(desk: Any) -> Any:
    """The desk with its volume as the first time point of a sequence; has ``browser`` too."""
    desk.put_ball()
    sequence = desk.scene.AddNode(slicer.vtkMRMLSequenceNode())
    for t in reversed(range(TIMES)):
        slicer.util.updateVolumeFromArray(desk.volume, an_image(np.roll(BALL, t, axis=1)))
        sequence.SetDataNodeAtValue(desk.volume, str(t))
    desk.browser = desk.scene.AddNode(slicer.vtkMRMLSequenceBrowserNode())
    desk.browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    desk.browser.AddProxyNode(desk.volume, sequence, False)
    desk.browser.SetSelectedItemNumber(0)
    desk.panel.refresh()
    return desk


def test_it_is_there_for_a_time_point_of_a_sequence_only(desk: Any) -> None:
    desk.put_ball()
    assert desk.ui.framesButton.isHidden()


def test_it_segments_all_time_points_and_undo_takes_them_back(beating: Any) -> None:
    button = beating.ui.framesButton
    assert not button.isHidden() and button.enabled
    before = beating.look()
    button.click()
    assert beating.logic.session.running and button.isHidden() and beating.ui.applyButton.text == "Cancel"
    beating.settle()
    assert beating.errors == [] and not button.isHidden()
    own = beating.browser.GetSequenceNode(beating.segmentation)
    assert own.GetNumberOfDataNodes() == TIMES
    assert beating.look()[6].any() and np.array_equal(beating.look()[PAINTED], BALL[PAINTED])
    assert "segment all frames" in beating.ui.undoButton.text
    assert "time points, 1 of them painted" in beating.ui.summaryLabel.text
    beating.ui.undoButton.click()
    assert np.array_equal(beating.look(), before)


def test_it_can_be_cancelled(beating: Any) -> None:
    before = beating.look()
    beating.ui.framesButton.click()
    beating.ui.applyButton.click()
    beating.settle()
    assert beating.errors == [] and np.array_equal(beating.look(), before)


def test_scripts_do_the_same(beating: Any) -> None:
    result = beating.logic.processSequence(beating.volume, beating.segmentation, method="shape")
    assert result.labels.shape[0] == TIMES
    assert beating.logic.undo()


def test_without_paint_it_cannot_be_used(beating: Any) -> None:
    segment = beating.segmentation.GetSegmentation().GetSegment(beating.ball)
    segment.AddRepresentation("Binary labelmap", slicer.vtkOrientedImageData())
    beating.panel.refresh()
    assert not beating.ui.framesButton.enabled and "aint" in beating.ui.framesButton.toolTip


def test_where_nothing_is_painted_other_time_points_may_be(beating: Any) -> None:
    beating.ui.framesButton.click()
    beating.settle()
    beating.browser.SetSelectedItemNumber(2)
    own = beating.browser.GetSequenceNode(beating.segmentation)
    beating.segmentation.CopyContent(own.GetDataNodeAtValue("2", True), False)
    beating.panel.refresh()
    ui = beating.ui
    assert not ui.applyButton.enabled and "Paint the structure" in ui.applyButton.toolTip
    assert ui.framesButton.enabled and ui.emptyButton.enabled and ui.acceptButton.enabled
    ui.framesButton.click()
    beating.settle()
    assert beating.errors == [] and beating.look()[6].any()


@pytest.mark.parametrize("gone", ["segmentation", "volume", "scene"])
def test_what_is_removed_once_it_is_written_is_no_failure(beating: Any, monkeypatch: Any, gone: str) -> None:
    def show(*_about: Any) -> None:
        if gone == "scene":
            beating.scene.Clear(False)
        else:
            beating.scene.RemoveNode(getattr(beating, gone))

    beating.segmentation.CreateClosedSurfaceRepresentation()
    monkeypatch.setattr("MetaSegmentLib.scene.editor.Editor.show", show)
    beating.ui.framesButton.click()
    beating.settle()
    assert beating.errors == [] and not beating.logic.session.running
    assert beating.ui.statusLabel.text == "Done."
