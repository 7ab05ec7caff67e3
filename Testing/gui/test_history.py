"""Results that come back with a redo, suggestions that were followed, the time a user waited."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gui.desk import BALL
from MetaSegmentLib.app import results
from MetaSegmentLib.app.results import ResultHistory, ShownResult
from MetaSegmentLib.errors import Cancelled, MetaSegmentError
from MetaSegmentLib.scene.views import overlay_of
from scene.nodes import add_segmentation, repaint

NOTHING = "Nothing was segmented yet."


def redo(desk: Any) -> None:
    desk.ui.segmentEditor.redo()
    desk.settle()


def summary(desk: Any) -> str:
    return str(desk.ui.summaryLabel.text)


def test_a_result_comes_back_with_a_redo(desk: Any) -> None:
    desk.add_views()
    desk.put_ball()
    desk.ui.uncertaintyCheckBox.setChecked(True)
    desk.segment()
    text, suggestion, filled = summary(desk), desk.ui.suggestButton.text, desk.look()
    desk.ui.undoButton.click()
    assert summary(desk) == NOTHING and overlay_of(desk.scene) is None
    redo(desk)
    np.testing.assert_array_equal(desk.look(), filled)
    assert summary(desk) == text and desk.ui.suggestButton.text == suggestion
    assert overlay_of(desk.scene) is not None and desk.ui.uncertaintyCheckBox.enabled


def test_an_undo_to_an_earlier_result_shows_that_one(desk: Any) -> None:
    desk.put_ball()
    shown = []
    for method in ("shape", "propagation"):
        desk.parameters.method = method
        desk.segment()
        shown.append(summary(desk))
    assert shown[0] != shown[1]
    desk.ui.undoButton.click()
    assert summary(desk) == shown[0]
    desk.ui.undoButton.click()
    assert summary(desk) == NOTHING
    redo(desk)
    assert summary(desk) == shown[0]
    redo(desk)
    assert summary(desk) == shown[1]


def test_a_result_comes_back_with_its_segmentation(desk: Any) -> None:
    desk.put_ball()
    desk.segment()
    text = summary(desk)
    desk.parameters.segmentation = add_segmentation(desk.scene)
    assert summary(desk) == NOTHING
    desk.parameters.segmentation = desk.segmentation
    assert summary(desk) == text


def test_a_result_stays_while_paint_is_added_and_slices_are_accepted(desk: Any) -> None:
    axial, *_ = desk.add_views()
    desk.put_ball()
    desk.segment()
    text = summary(desk)
    desk.ui.segmentEditor.saveStateForUndo()
    edited = desk.look()
    edited[6] = BALL[6]
    edited[6, 2:4, 2:4] = True
    repaint(desk.segmentation, desk.volume, desk.ball, edited)
    desk.settle()
    assert summary(desk) == text
    axial.JumpSliceByOffsetting(0, 0, 5 + 2.0 * 10)
    desk.ui.acceptButton.click()
    assert summary(desk) == text and not desk.errors
    for _ in range(2):
        desk.ui.undoButton.click()
        assert summary(desk) == text
    desk.ui.undoButton.click()
    assert summary(desk) == NOTHING


def go(desk: Any, index: int) -> None:
    desk.scene.GetFirstNodeByClass("vtkMRMLSliceNode").JumpSliceByOffsetting(0, 0, 5 + 2.0 * index)


def offered(desk: Any) -> list[int]:
    return [s["index"] for s in desk.panel.view.suggestions]


@pytest.mark.parametrize("how", ["accepted", "painted", "empty"])
def test_a_suggested_slice_that_was_settled_is_not_suggested_again(desk: Any, how: str) -> None:
    desk.add_views()
    desk.put_ball()
    first, second, *others = [s["index"] for s in desk.segment().suggested_slices]
    assert offered(desk) == [first, second, *others]
    desk.ui.suggestButton.click()
    go(desk, first)
    if how == "painted":
        desk.ui.segmentEditor.saveStateForUndo()
        edited = desk.look()
        edited[first, 2:4, 2:4] = ~edited[first, 2:4, 2:4]
        repaint(desk.segmentation, desk.volume, desk.ball, edited)
        desk.settle()
    else:
        (desk.ui.acceptButton if how == "accepted" else desk.ui.emptyButton).click()
    assert not desk.errors and offered(desk) == [second, *others]
    assert desk.ui.suggestButton.text.endswith(str(second))
    desk.ui.suggestButton.click()
    assert desk.scene.GetFirstNodeByClass("vtkMRMLSliceNode").GetSliceOffset() == pytest.approx(5 + 2.0 * second)
    desk.ui.undoButton.click()
    assert set(offered(desk)) == {first, second, *others}


def test_when_all_suggestions_are_followed_the_button_says_so(desk: Any) -> None:
    desk.add_views()
    desk.put_ball()
    for suggestion in desk.segment().suggested_slices:
        go(desk, suggestion["index"])
        desk.ui.emptyButton.click()
    assert not desk.errors and not desk.ui.suggestButton.enabled
    assert "segment again" in desk.ui.suggestButton.toolTip


def test_the_time_shown_is_what_the_user_waited(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the press to the sight of it, whatever the engine counted."""
    from MetaSegmentLib.app import flow

    clock = iter([100.0, 107.25])
    monkeypatch.setattr(flow, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    desk.put_ball()
    desk.segment()
    assert summary(desk).endswith("7.2 s on cpu")


def test_an_undo_too_many_does_nothing_and_is_silent(desk: Any, vtk_log: Any) -> None:
    desk.put_ball()
    before = desk.look()
    desk.segment()
    assert desk.logic.undo()
    for _ in range(3):
        assert not desk.logic.undo()
        desk.ui.undoButton.click()
    assert desk.ui.statusLabel.text == "There is nothing to take back."
    np.testing.assert_array_equal(desk.look(), before)
    assert vtk_log() == ""


def test_a_cancelled_run_ends_with_its_own_sentence(desk: Any) -> None:
    desk.put_ball()
    desk.panel._on_ended(Cancelled("The volume was removed; nothing was written."))
    assert desk.ui.statusLabel.text == "The volume was removed; nothing was written." and not desk.errors


def test_probabilities_and_labels_are_not_held_for_the_panel(desk: Any) -> None:
    desk.put_ball()
    result = desk.segment()
    with pytest.raises(MetaSegmentError):
        _ = result.probabilities
    held = weakref.ref(result.labels)
    del result
    desk.results.clear()
    desk.logic.session.forget()
    gc.collect()
    assert held() is None
    assert desk.panel.view.has_uncertainty


class Segmentations:
    """Stands for a segmentation node whose only segment carries a record."""

    def __init__(self) -> None:
        self.state = 0

    def GetID(self) -> str:
        return "node"


def test_memory_for_results_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Segmentations()
    monkeypatch.setattr(results, "records_of", lambda segmentation: segmentation.state)
    monkeypatch.setattr(results, "_UNCERTAINTY_BYTES", 2500)
    history, made = ResultHistory(), []
    for node.state in range(40):
        made.append(ShownResult(str(node.state), (), np.zeros(1000, np.uint8)))
        history.add(node, node, made[-1])
    assert [one.uncertainty is not None for one in made] == [False] * 38 + [True] * 2
    known = []
    for node.state in range(40):
        known.append(history.find(node, node))
    assert known == [None] * 8 + made[8:]
    large = ShownResult("large", (), np.zeros(9000, np.uint8))
    history.add(SimpleNamespace(GetID=lambda: "other"), node, large)
    assert large.uncertainty is not None, "the one on screen is never dropped"
