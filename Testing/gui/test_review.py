"""Review without a model: through the doubtful slices of any filled segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gui.desk import BALL
from MetaSegmentLib.scene.views import shown_slice
from scene.nodes import add_segmentation, paint, repaint

pytestmark = pytest.mark.usefixtures("in_a_thread")


@pytest.fixture
def finished(desk: Any, tmp_path: Path) -> Any:
    """The panel with a whole ball from a file, of which slice 6 is moved, and a whole bar without slice 10."""
    desk.add_views()
    desk.put_ball()
    made = add_segmentation(desk.scene)
    wrong = BALL.copy()
    wrong[6] = np.roll(wrong[6], 4, axis=1)
    paint(made, desk.volume, "ball", wrong)
    bar = np.zeros_like(BALL)
    bar[:, 1:3, 1:3] = True
    bar[10] = False
    paint(made, desk.volume, "bar", bar)
    storage = desk.scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(tmp_path / "finished.seg.nrrd"))
    assert storage.WriteData(made)
    desk.scene.RemoveNode(made)
    desk.segmentation = desk.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert storage.ReadData(desk.segmentation)
    desk.segmentation.CreateDefaultDisplayNodes()
    desk.parameters.segmentation = desk.segmentation
    desk.settle()
    return desk


def place(desk: Any) -> tuple[str, int] | None:
    one = desk.panel.review.current
    if one is None:
        return None
    assert shown_slice(desk.volume, one.axis) == (one.axis, one.index), "the views are there"
    assert desk.ui.segmentEditor.currentSegmentID() == one.segment_id
    return one.name, one.index


def begin(desk: Any) -> None:
    desk.ui.reviewButton.click()
    desk.settle()


def test_the_most_doubtful_slices_of_a_file_come_first(finished: Any) -> None:
    assert not finished.ui.reviewNextButton.enabled
    begin(finished)
    assert place(finished) == ("bar", 10)
    assert finished.ui.reviewLabel.text.startswith("1 of ") and "bar, slice 10" in finished.ui.reviewLabel.text
    finished.ui.reviewNextButton.click()
    assert place(finished) == ("ball", 6)
    finished.ui.reviewPreviousButton.click()
    assert place(finished) == ("bar", 10)
    finished.ui.reviewPreviousButton.click()
    assert finished.ui.reviewLabel.text.split()[0] == finished.ui.reviewLabel.text.split()[2].rstrip(":")


def test_accepted_slices_are_not_shown_again_and_nothing_is_changed(finished: Any) -> None:
    begin(finished)
    before = finished.segmentation.GetSegmentation().GetSegment(finished.panel.review.current.segment_id)
    finished.ui.reviewAcceptButton.click()
    assert place(finished) == ("ball", 6) and not before.HasTag("MetaSegment.Slices")
    begin(finished)
    assert place(finished) == ("ball", 6)
    while finished.panel.review.current is not None:
        finished.ui.reviewAcceptButton.click()
    assert "Nothing is doubtful" in finished.ui.reviewLabel.text and not finished.ui.reviewAcceptButton.enabled
    assert not finished.errors


def test_a_corrected_slice_fits(finished: Any) -> None:
    begin(finished)
    finished.ui.reviewNextButton.click()
    segment_id = finished.panel.review.current.segment_id
    repaint(finished.segmentation, finished.volume, segment_id, BALL)
    finished.settle()
    begin(finished)
    assert ("ball", 6) not in {(one.name, one.index) for one in finished.panel.review._walk._slices}


def test_accepting_a_slice_that_a_run_filled_counts_it_as_painted(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("MetaSegmentLib.scene.review._LEAST_MISFIT", -1.0)  # shapes in between fit well
    desk.add_views()
    desk.put_ball([4, 8, 12])
    desk.segment()
    edited = desk.look()
    begin(desk)
    painted = {4, 8, 12}
    one = desk.panel.review.current
    assert one is not None and not painted & {s.index for s in desk.panel.review._walk._slices}
    desk.ui.reviewAcceptButton.click()
    assert ("ball", "Axial", str(one.index), "painted") in desk.rows()
    assert desk.ui.undoButton.text == f"Undo: accept slice {one.index}"
    np.testing.assert_array_equal(desk.look(), edited)


def test_review_waits_for_something_to_review(desk: Any) -> None:
    assert not desk.ui.reviewButton.enabled and desk.ui.reviewButton.toolTip
    desk.put_ball()
    assert desk.ui.reviewButton.enabled
    begin(desk)
    desk.scene.Clear(False)
    assert desk.panel.review.current is None and desk.ui.reviewLabel.text == ""
    assert not desk.ui.reviewNextButton.enabled


def test_a_segment_that_is_removed_meanwhile_is_passed_over(finished: Any) -> None:
    begin(finished)
    finished.segmentation.GetSegmentation().RemoveSegment(finished.panel.review.current.segment_id)
    finished.settle()
    finished.ui.reviewNextButton.click()
    finished.ui.reviewAcceptButton.click()
    assert not finished.errors
