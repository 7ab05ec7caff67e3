"""The stand-in for Slicer refuses what the real application does not have, or else it would prove nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host.source_check import problems


def cases() -> list[tuple[str, Callable[[Any, Any, Any], Any]]]:
    return [
        ("a method that is a property", lambda qt, ctk, slicer: slicer.qMRMLNodeComboBox().setNoneEnabled(True)),
        ("a property that is not there", lambda qt, ctk, slicer: setattr(ctk.ctkCollapsibleButton(), "folded", True)),
        ("an attribute made up", lambda qt, ctk, slicer: setattr(qt.QLabel(), "remark", "x")),
        ("a signal without arguments", lambda qt, ctk, slicer: qt.QTableWidget().connect("cellClicked", print)),
        ("a signal of another type", lambda qt, ctk, slicer: qt.QCheckBox().connect("clicked(int)", print)),
        ("a signal of MRML", lambda qt, ctk, slicer: slicer.qMRMLNodeComboBox().connect("nodeChanged()", print)),
        ("a method of an editor", lambda qt, ctk, slicer: slicer.qMRMLSegmentEditorWidget().canUndo()),
        ("a class of Qt", lambda qt, ctk, slicer: qt.QFancyLabel),
        ("a name of the application", lambda qt, ctk, slicer: slicer.app.mainWindow()),
    ]


@pytest.mark.parametrize("wrong", [case for _, case in cases()], ids=[name for name, _ in cases()])
@pytest.mark.usefixtures("module")
def test_wrong_names_are_refused(wrong: Callable[[Any, Any, Any], Any]) -> None:
    import ctk
    import qt

    import slicer

    with pytest.raises(AttributeError):
        wrong(qt, ctk, slicer)


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    "change",
    [
        ('name="noneEnabled"', 'name="nobodyEnabled"'),
        ('class="QProgressBar"', 'class="QProgressFoo"'),
        ("<slot>setMRMLScene(vtkMRMLScene*)</slot>", "<slot>setScene(vtkMRMLScene*)</slot>"),
        ("<signal>mrmlSceneChanged(vtkMRMLScene*)</signal>", "<signal>mrmlSceneChanged()</signal>"),
    ],
    ids=["property", "class", "slot", "signal"],
)
def test_wrong_names_in_a_ui_file_are_refused(repository: Path, tmp_path: Path, change: tuple[str, str]) -> None:
    import slicer

    text = (repository / "MetaSegment" / "Resources" / "UI" / "MetaSegment.ui").read_text(encoding="utf-8")
    assert change[0] in text
    (tmp_path / "wrong.ui").write_text(text.replace(change[0], change[1], 1), encoding="utf-8")
    with pytest.raises((AttributeError, RuntimeError)):
        slicer.util.loadUI(str(tmp_path / "wrong.ui"))


def test_the_module_uses_only_names_that_slicer_has(repository: Path) -> None:
    assert problems(repository / "MetaSegment") == []


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("MetaSegment.py", "slicer.util.loadUI", "slicer.util.loadUi"),
        ("MetaSegment.py", "from slicer.parameterNodeWrapper", "from slicer.parameterNodeWrap"),
        ("MetaSegment.py", "import VTKObservationMixin", "import VTKObserverMixin"),
        ("MetaSegment.py", "waitCursor=True", "cursor=True"),
        ("MetaSegment.py", "slicer.vtkMRMLSegmentEditorNode()", "slicer.vtkMRMLSegmentEditNode()"),
        ("MetaSegment.py", '"startupCompleted()"', '"startupComplete()"'),
        ("MetaSegment.py", "segmentEditor.setupViewObservations()", "segmentEditor.canUndo()"),
        ("MetaSegment.py", "qt.QTimer.singleShot", "qt.QTimer.singleshot"),
        ("MetaSegment.py", "self._choosing = qt.QTimer()", "self._choosing = qt.QClock()"),
        ("MetaSegmentLib/scene/rules.py", "slicer.vtkMRMLSegmentationNode.Edit", "slicer.vtkMRMLSegmentationNode.Mask"),
        ("MetaSegmentLib/gui/panel.py", "ui.statusLabel.text", "ui.statusLine.text"),
        ("MetaSegmentLib/gui/panel.py", "self._pause.isActive()", "self._pause.active()"),
        ("MetaSegmentLib/gui/panel.py", "self._pause.isActive()", "self._pause.isActive"),
        ("MetaSegmentLib/gui/panel.py", "ui.progressBar.visible = running", "ui.progressBar.show = running"),
        ("MetaSegmentLib/gui/panel.py", '"timeout()"', '"timeout"'),
        ("MetaSegmentLib/gui/panel.py", '"clicked(bool)"', '"clicked(int)"'),
        ("MetaSegmentLib/gui/process.py", "self._qt.QProcess.NotRunning", "self._qt.QProcess.Stopped"),
        ("MetaSegmentLib/gui/paint_editor.py", "ctk.ctkCollapsibleGroupBox", "ctk.ctkFoldingGroupBox"),
        ("MetaSegmentLib/gui/paint_editor.py", "masking.collapsed", "masking.folded"),
        ("Resources/UI/MetaSegment.ui", 'name="noneEnabled"', 'name="nobodyEnabled"'),
        ("Resources/UI/MetaSegment.ui", 'class="QProgressBar"', 'class="QProgressFoo"'),
        ("Resources/UI/MetaSegment.ui", "<slot>setMRMLScene(vtkMRMLScene*)", "<slot>setScene(vtkMRMLScene*)"),
        ("Resources/UI/MetaSegment.ui", "<signal>mrmlSceneChanged(vtkMRMLScene*)", "<signal>mrmlSceneChanged()"),
    ],
)
def test_a_wrong_name_in_the_module_is_found(
    repository: Path, tmp_path: Path, file: str, right: str, wrong: str
) -> None:
    for kept in ("MetaSegment.py", "Resources/UI/MetaSegment.ui", file):
        (tmp_path / kept).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repository / "MetaSegment" / kept, tmp_path / kept)
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert right in text and problems(tmp_path) == []
    (tmp_path / file).write_text(text.replace(right, wrong), encoding="utf-8")
    assert problems(tmp_path)


def test_properties_are_attributes_and_classes_are_the_same_every_time(module: Any) -> None:
    import qt

    label = qt.QLabel("a")
    assert label.text == "a" and qt.QLabel is type(label)
    label.text = "b"
    assert label.text == "b"
    label.name = "c"
    assert label.objectName == "c"
