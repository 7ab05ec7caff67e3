"""Cancel, errors, closed scenes and other modules in the middle of a run; what a saved scene remembers."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gui.desk import PAINTED
from scene.nodes import add_volume, an_image


@pytest.fixture
def gate(desk: Any, in_a_thread: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Holds every run until it is opened; opened at the end in any case."""
    import MetaSegmentLib.engine as engine

    opened, entered, adapt = threading.Event(), threading.Event(), engine.adapt

    def slow(*args: Any) -> Any:
        entered.set()
        assert opened.wait(30)
        return adapt(*args)

    monkeypatch.setattr(engine, "adapt", slow)
    opened.entered = entered  # type: ignore[attr-defined]
    yield opened
    opened.set()


def start(desk: Any, gate: Any) -> None:
    desk.ui.applyButton.click()
    desk.settle(gate.entered.is_set)


def test_cancel(desk: Any, gate: Any) -> None:
    desk.put_ball()
    before = desk.look()
    start(desk, gate)
    assert desk.ui.applyButton.text == "Cancel" and desk.ui.applyButton.enabled and desk.ui.progressBar.maximum == 0
    for name in ("inputSelector", "segmentationSelector", "methodBox", "undoButton", "emptyButton", "tryButton"):
        assert not getattr(desk.ui, name).enabled, name
    for name in ("undoButton", "emptyButton", "tryButton", "acceptButton", "suggestButton"):
        assert getattr(desk.ui, name).toolTip == "Wait for the segmentation to end, or cancel it.", name
    desk.ui.applyButton.click()
    gate.set()
    desk.settle()
    assert desk.ui.statusLabel.text == "Cancelled." and not desk.errors
    assert desk.ui.applyButton.text == "Segment" and desk.ui.inputSelector.enabled
    np.testing.assert_array_equal(desk.look(), before)
    desk.segment()


@pytest.fixture
def stopped(desk: Any) -> Any:
    """The process that computes, which does not move any more; the panel waits for it."""
    executor = desk.logic.session._background
    desk.put_ball()
    desk.segment()
    desk.ui.undoButton.click()
    os.kill(executor.pid, signal.SIGSTOP)
    desk.ui.applyButton.click()
    desk.settle(lambda: desk.logic.session._job.waiting)
    return executor.pid


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_a_worker_that_is_killed_is_one_sentence(desk: Any, stopped: int) -> None:
    before = desk.look()
    os.kill(stopped, signal.SIGKILL)
    desk.settle()
    assert len(desk.errors) == 1 and "ended unexpectedly" in desk.errors[0]
    np.testing.assert_array_equal(desk.look(), before)
    desk.segment()


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_a_worker_that_does_not_move_does_not_hold_up_a_cancel(desk: Any, stopped: int) -> None:
    begin = time.monotonic()
    desk.ui.applyButton.click()
    desk.settle()
    assert time.monotonic() - begin < 1
    assert desk.ui.statusLabel.text == "Cancelled." and not desk.errors


def test_cancelling_after_the_preview_keeps_the_preview(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import qt

    from MetaSegmentLib.app import flow

    monkeypatch.setattr(flow, "PREVIEW_METHOD", "shape")
    desk.put_ball()
    before = desk.look()
    desk.parameters.method = "propagation"
    desk.parameters.showPreview = True
    shown = desk.panel._on_shown

    def then_cancel(result: Any, last: bool) -> None:
        shown(result, last)
        qt.QTimer.singleShot(0, desk.ui.applyButton.click)  # before the next run is looked at for the first time

    monkeypatch.setattr(desk.panel, "_on_shown", then_cancel)
    desk.ui.applyButton.click()
    desk.settle()
    assert desk.ui.statusLabel.text == "Cancelled." and desk.ui.summaryLabel.text.startswith("Preview")
    preview = desk.look()
    assert preview[6].any()
    desk.ui.undoButton.click()
    np.testing.assert_array_equal(desk.look(), before)


def test_progress_tells_stage_and_time_left(desk: Any) -> None:
    desk.panel._on_progress("Adapting", 30, 120, 12.3)
    assert desk.ui.progressBar.value == 25 and desk.ui.statusLabel.text == "Adapting, 12 s left"
    desk.panel._on_progress("Adapting", 90, 120, 150.0)
    assert desk.ui.statusLabel.text == "Adapting, 2 min left"


def test_closing_the_scene_lets_go_of_the_volume_and_its_result(desk: Any, in_a_thread: None) -> None:
    desk.put_ball()
    desk.segment()
    desk.scene.Clear(False)
    assert desk.ui.summaryLabel.text == "Nothing was segmented yet." and desk.panel.view.result is None
    assert desk.logic.session._background.engine.empty


def test_closing_the_scene_in_the_middle(desk: Any, gate: Any) -> None:
    desk.put_ball()
    start(desk, gate)
    desk.scene.Clear(False)
    assert desk.parameters is not None and desk.parameters.inputVolume is None
    gate.set()
    desk.settle()
    assert not desk.errors and not desk.ui.applyButton.enabled and desk.rows() == []
    desk.put_ball()
    desk.segment()


@pytest.mark.parametrize("gone", ["volume", "segmentation"])
def test_removing_a_node_in_the_middle(desk: Any, gate: Any, gone: str) -> None:
    desk.put_ball()
    start(desk, gate)
    desk.scene.RemoveNode(getattr(desk, gone))
    gate.set()
    desk.settle()
    assert not desk.errors and not desk.ui.applyButton.enabled
    assert desk.ui.statusLabel.text == "The volume or the segmentation was removed; nothing was written."


def test_removing_the_segment_in_the_middle_is_told(desk: Any, gate: Any) -> None:
    desk.put_ball()
    start(desk, gate)
    desk.segmentation.GetSegmentation().RemoveSegment(desk.ball)
    gate.set()
    desk.settle()
    assert len(desk.errors) == 1 and "segment was removed" in desk.errors[0]
    assert desk.ui.applyButton.text == "Segment" and not desk.ui.applyButton.enabled


def test_renaming_in_the_middle_changes_nothing(desk: Any, gate: Any) -> None:
    desk.put_ball()
    start(desk, gate)
    desk.segmentation.SetName("another name")
    gate.set()
    desk.settle()
    assert desk.panel.view.result is not None and not desk.errors


def test_another_module_in_the_middle(desk: Any, gate: Any) -> None:
    desk.put_ball()
    start(desk, gate)
    desk.widget.exit()
    gate.set()
    desk.settle()
    assert desk.panel.view.result is not None
    desk.widget.enter()
    assert desk.rows() and desk.ui.applyButton.enabled


def test_leaving_slicer_in_the_middle(desk: Any, gate: Any) -> None:
    desk.put_ball()
    before = desk.look()
    start(desk, gate)
    desk.widget.cleanup()
    gate.set()
    desk.settle()
    np.testing.assert_array_equal(desk.look(), before)
    assert desk.ui.applyButton.text == "Cancel", "controls that are about to go are not touched any more"


def test_a_flat_volume_is_explained_in_a_sentence(desk: Any) -> None:
    desk.put_ball()
    flat = add_volume(desk.scene, np.full_like(an_image(desk.look()), 7))
    flat.CopyOrientation(desk.volume)
    desk.parameters.inputVolume = flat
    desk.ui.applyButton.click()
    desk.settle()
    assert len(desk.errors) == 1 and "same value" in desk.errors[0]
    assert desk.ui.statusLabel.text == desk.errors[0] and "Traceback" not in desk.errors[0]


def test_an_unforeseen_error_points_to_the_log(
    desk: Any, in_a_thread: None, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    import MetaSegmentLib.engine as engine

    def broken(*_args: Any) -> Any:
        raise RuntimeError("a detail")

    monkeypatch.setattr(engine, "adapt", broken)
    desk.put_ball()
    desk.ui.applyButton.click()
    desk.settle()
    assert "log" in desk.errors[0] and "a detail" not in desk.errors[0]
    assert "a detail" in caplog.text
    assert desk.ui.applyButton.enabled


def test_a_callback_that_fails_does_not_hold_up_the_run(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any) -> None:
        raise RuntimeError("a widget is gone")

    monkeypatch.setattr(desk.panel, "_on_progress", broken)
    desk.put_ball()
    desk.segment()
    assert desk.ui.applyButton.text == "Segment"


def test_shortcuts_exist_only_while_shown(desk: Any) -> None:
    import slicer

    def keys() -> set[str]:
        found = slicer.util.mainWindow().children()
        return {child.key.toString() for child in found if type(child).__name__ == "QShortcut" and child.enabled}

    assert "Ctrl+Return" in keys() and len(keys()) == 4
    editor = desk.ui.segmentEditor
    assert editor._keyboard and editor._views
    desk.widget.exit()
    assert keys() == set() and not editor._keyboard and not editor._views
    desk.widget.enter()
    assert len(keys()) == 4
    desk.widget.enter()
    assert len(keys()) == 4


def test_no_effect_stays_active_when_another_module_is_shown(desk: Any) -> None:
    node = desk.ui.segmentEditor.mrmlSegmentEditorNode()
    node.SetActiveEffectName("Paint")
    desk.widget.exit()
    assert not node.GetActiveEffectName()


def test_a_shortcut_presses_its_button(desk: Any) -> None:
    desk.put_ball()
    desk.widget.shortcuts._shortcuts[0][0].activated.emit()
    desk.settle()
    assert desk.panel.view.result is not None


@pytest.mark.parametrize("kind", ["mrml", "mrb"])
def test_choices_and_slices_come_back_with_the_scene(desk: Any, tmp_path: Path, kind: str) -> None:
    desk.add_views()[0].JumpSliceByOffsetting(0, 0, 5 + 2.0 * 14)
    desk.put_ball()
    desk.ui.emptyButton.click()
    desk.segment()
    desk.ui.deviceBox.setCurrentIndex(desk.ui.deviceBox.findData("cpu"))
    rows, mask = desk.rows(), desk.look()
    save, load = {"mrml": (save_scene, load_scene), "mrb": (save_bundle, load_bundle)}[kind]
    save(desk, tmp_path)
    desk.scene.Clear(False)
    assert desk.parameters.method == "fusion" and desk.rows() == []
    load(desk, tmp_path)
    desk.settle()
    assert (desk.parameters.method, desk.parameters.device) == ("shape", "cpu")
    assert desk.ui.methodBox.currentData == "shape" and desk.ui.deviceBox.currentData == "cpu"
    assert desk.ui.inputSelector.currentNode() is desk.parameters.inputVolume is not None
    assert desk.rows() == rows
    desk.volume, desk.segmentation = desk.parameters.inputVolume, desk.parameters.segmentation
    np.testing.assert_array_equal(desk.look(), mask)
    assert desk.segment().report["support_slices"] == [*PAINTED, 14]


def save_scene(desk: Any, folder: Path) -> None:
    for node, kind, name in (
        (desk.volume, "vtkMRMLVolumeArchetypeStorageNode", "volume.nrrd"),
        (desk.segmentation, "vtkMRMLSegmentationStorageNode", "segmentation.seg.nrrd"),
    ):
        storage = desk.scene.AddNewNodeByClass(kind)
        storage.SetFileName(str(folder / name))
        node.SetAndObserveStorageNodeID(storage.GetID())
        assert storage.WriteData(node)
    desk.scene.SetRootDirectory(str(folder))
    desk.scene.SetURL(str(folder / "scene.mrml"))
    assert desk.scene.Commit()


def load_scene(desk: Any, folder: Path) -> None:
    desk.scene.SetURL(str(folder / "scene.mrml"))
    assert desk.scene.Import()


def bundles(desk: Any) -> Any:
    import slicer

    logic = slicer.vtkMRMLApplicationLogic()
    logic.SetMRMLScene(desk.scene)
    return logic


def save_bundle(desk: Any, folder: Path) -> None:
    """As Slicer saves an .mrb: every node into one folder, which is zipped."""
    together = folder / "bundle"
    together.mkdir()
    assert bundles(desk).SaveSceneToSlicerDataBundleDirectory(str(together), None)
    assert bundles(desk).Zip(str(folder / "scene.mrb"), str(together))


def load_bundle(desk: Any, folder: Path) -> None:
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    assert bundles(desk).OpenSlicerDataBundle(str(folder / "scene.mrb"), str(unpacked))


def test_the_panel_is_made_without_torch_and_without_a_window(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    import slicer

    for name in ("torch", "monai"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: None)
    widget = module.MetaSegmentWidget()
    widget.setup()
    widget.enter()
    assert not widget.shortcuts.installed
    widget.exit()
    widget.cleanup()
