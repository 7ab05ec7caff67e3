"""The panel in a real Slicer with its main window:

    Slicer --additional-module-paths MetaSegment --python-script Testing/slicer/check_panel.py

Everything that the stand-in for Slicer's Qt half cannot show: that the panel loads, follows the scene, segments in the
background while nobody touches anything, and can be left at any moment. The exit status is 0 when all pass.

Nothing here waits by sleeping or by asking for events again and again: that would give a background thread the time
that the idle application does not.
"""

from __future__ import annotations

import runpy
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

HERE = Path(__file__).resolve().parent
MODULE = HERE.parents[1] / "MetaSegment"
BALL = runpy.run_path(str(HERE / "check_scene.py"))

LIMIT = 2.0
"""Seconds of a run in the panel for each second of the same run on the command line."""


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
    """Leave the application alone until something holds, which is looked at ten times a second."""
    import qt

    loop, look, patience = qt.QEventLoop(), qt.QTimer(), qt.QTimer()
    look.connect("timeout()", lambda: loop.quit() if until() else None)
    look.start(100)
    patience.singleShot = True
    patience.connect("timeout()", loop.quit)
    patience.start(round(1000 * seconds))
    if not until():
        loop.exec_()
    look.stop()
    patience.stop()
    assert until(), "nothing happened in time"


def segment(widget: Any, seconds: float = 240.0) -> float:
    """Press Segment and leave the application alone until the run has ended, which ends the loop; its seconds."""
    import qt

    loop, patience = qt.QEventLoop(), qt.QTimer()
    patience.singleShot = True
    patience.connect("timeout()", loop.quit)
    patience.start(round(1000 * seconds))
    panel_ended = widget.panel._on_ended

    def ended(error: Exception | None) -> None:
        panel_ended(error)
        loop.quit()

    widget.panel._on_ended = ended
    try:
        start = time.perf_counter()
        widget.ui.applyButton.click()
        assert widget.logic.session.running, widget.ui.statusLabel.text
        loop.exec_()
        return time.perf_counter() - start
    finally:
        patience.stop()
        widget.panel._on_ended = panel_ended
        assert not widget.logic.session.running, f"not done after {seconds:.0f} s"


def save(node: Any, storage: str, file: Path) -> str:
    writer = slicer.mrmlScene.AddNewNodeByClass(storage)
    writer.SetFileName(str(file))
    assert writer.WriteData(node), file.name
    slicer.mrmlScene.RemoveNode(writer)
    return str(file)


def interpreter() -> str:
    """``PythonSlicer`` beside the application; under the stand-in the Python that runs it."""
    import qt

    name = "PythonSlicer.exe" if sys.platform == "win32" else "PythonSlicer"
    folder = Path(qt.QCoreApplication.applicationDirPath())
    places = (folder / name, folder / "bin" / name, folder.parent / "bin" / name)
    return next((str(place) for place in places if place.is_file()), sys.executable)


def segment_on_the_command_line(volume: Any, segmentation: Any, method: str) -> float:
    """The same run as a program of its own; its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        image = save(volume, "vtkMRMLVolumeArchetypeStorageNode", Path(folder) / "image.nrrd")
        support = save(segmentation, "vtkMRMLSegmentationStorageNode", Path(folder) / "painted.seg.nrrd")
        files = ["--image", image, "--support", support, "--output", str(Path(folder) / "result.seg.nrrd")]
        command = [interpreter(), "-m", "MetaSegmentLib", "segment", "--quiet", "--method", method, *files]
        start = time.perf_counter()
        subprocess.run(command, cwd=MODULE, check=True)
        return time.perf_counter() - start


def check_a_run_that_is_left_alone(method: str = "fusion") -> None:
    widget = open_panel()
    volume, segmentation, _ball = put_ball(widget)
    widget._parameterNode.method = method
    elsewhere = segment_on_the_command_line(volume, segmentation, method)
    first, again = segment(widget), segment(widget)
    factor = first / elsewhere
    print(
        f"{method}: {first:.1f} s in the panel, {again:.1f} s once more, {elsewhere:.1f} s on the command line; "
        f"factor {factor:.2f}",
        flush=True,
    )
    assert factor <= LIMIT, f"{factor:.1f} times as long as on the command line"


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
        slicer.app.processEvents()
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


CHECKS = (
    check_a_run_that_is_left_alone,
    check_segment_and_undo,
    check_controls,
    check_scene_close_and_module_switch,
    check_scene_round_trip,
)


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
