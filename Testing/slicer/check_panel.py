"""The panel in a real Slicer with its main window:

    Slicer --additional-module-paths MetaSegment --python-script Testing/slicer/check_panel.py

Everything that the stand-in for Slicer's Qt half cannot show: that the panel loads, follows the scene, segments in the
background while events go on, and can be left at any moment. The exit status is 0 when all pass.
"""

from __future__ import annotations

import runpy
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

HERE = Path(__file__).resolve().parent
BALL = runpy.run_path(str(HERE / "check_scene.py"))


def open_panel() -> Any:
    slicer.mrmlScene.Clear(False)
    slicer.util.selectModule("MetaSegment")
    return slicer.util.getModuleWidget("MetaSegment")


def put_ball(widget: Any) -> tuple[Any, Any, str]:
    widget._parameterNode.method = "shape"
    widget._parameterNode.showPreview = False
    volume, segmentation, ball = BALL["a_painted_ball"](slicer.mrmlScene)
    widget._parameterNode.inputVolume = volume
    widget._parameterNode.segmentation = segmentation
    settle(lambda: widget.ui.applyButton.enabled)
    return volume, segmentation, ball


def settle(until: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not until():
        slicer.app.processEvents()
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.01)


def segment(widget: Any) -> None:
    widget.ui.applyButton.click()
    settle(lambda: not widget.logic.session.running)


def check_segment_and_undo() -> None:
    widget = open_panel()
    assert not widget.ui.applyButton.enabled and widget.ui.applyButton.toolTip
    volume, segmentation, ball = put_ball(widget)
    before = BALL["dice"](segmentation, ball, volume)
    assert widget.ui.sliceTable.rowCount == 4, widget.ui.sliceTable.rowCount
    for _ in range(2):
        segment(widget)
        assert BALL["dice"](segmentation, ball, volume) > 0.9
        assert "estimated Dice" in widget.ui.summaryLabel.text
    while widget.logic.undo():  # a second run that changes nothing may leave no step of its own
        pass
    assert BALL["dice"](segmentation, ball, volume) == before
    segment(widget)
    summary = widget.ui.summaryLabel.text
    widget.ui.undoButton.click()
    assert BALL["dice"](segmentation, ball, volume) == before
    assert "estimated Dice" not in widget.ui.summaryLabel.text
    widget.ui.segmentEditor.redo()
    settle(lambda: widget.ui.summaryLabel.text == summary, 10)


def check_controls() -> None:
    widget = open_panel()
    put_ball(widget)
    segment(widget)
    widget.ui.uncertaintyCheckBox.click()
    overlay = slicer.util.getNode("Uncertainty*")
    composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    if composite is not None:
        settle(lambda: True)
        assert composite.GetForegroundVolumeID() == overlay.GetID(), "the slice views let go of a hidden volume"
    widget.ui.uncertaintyCheckBox.click()
    widget.ui.suggestButton.click()
    widget.ui.acceptButton.click()
    widget.ui.sliceTable.selectRow(0)
    widget.ui.removeButton.click()
    widget.ui.methodBox.setCurrentIndex(0)
    assert widget._parameterNode.method == "protonet"
    widget._parameterNode.method = "shape"
    assert widget.ui.methodBox.currentData == "shape"


def check_scene_close_and_module_switch() -> None:
    widget = open_panel()
    put_ball(widget)
    widget.ui.applyButton.click()
    slicer.mrmlScene.Clear(False)
    settle(lambda: not widget.logic.session.running)
    assert not widget.ui.applyButton.enabled
    put_ball(widget)
    widget.ui.applyButton.click()
    assert widget.shortcuts.installed
    slicer.util.selectModule("Data")
    assert not widget.shortcuts.installed
    settle(lambda: not widget.logic.session.running)
    slicer.util.selectModule("MetaSegment")
    assert widget.shortcuts.installed


def check_scene_round_trip() -> None:
    widget = open_panel()
    put_ball(widget)
    segment(widget)
    rows = widget.ui.sliceTable.rowCount
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "scene.mrb")
        assert slicer.util.saveScene(file)
        slicer.mrmlScene.Clear(False)
        slicer.util.loadScene(file)
    settle(lambda: widget.ui.sliceTable.rowCount == rows)
    assert widget._parameterNode.method == "shape"


CHECKS = (check_segment_and_undo, check_controls, check_scene_close_and_module_switch, check_scene_round_trip)


def run_all() -> None:
    """Run every check; the first one that fails raises."""
    for check in CHECKS:
        check()


if __name__ == "__main__":
    try:
        run_all()
    except Exception:
        traceback.print_exc()
        slicer.util.exit(1)
    else:
        slicer.util.exit(0)
