"""The stand-in for Slicer refuses what the real application does not have, or else it would prove nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def known(module: Any) -> None:
    from host import inventory

    if not inventory.present():
        pytest.skip("the inventory of Slicer's names in ../shared/slicer-api is not here")


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
@pytest.mark.usefixtures("known")
def test_wrong_names_are_refused(wrong: Callable[[Any, Any, Any], Any]) -> None:
    import ctk
    import qt

    import slicer

    with pytest.raises(AttributeError):
        wrong(qt, ctk, slicer)


@pytest.mark.usefixtures("known")
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
    tool = repository.parent / "shared" / "tools" / "check_slicer_api.py"
    if not tool.is_file():
        pytest.skip("the checker ../shared/tools/check_slicer_api.py is not here")
    done = subprocess.run(
        [sys.executable, str(tool), str(repository / "MetaSegment")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_properties_are_attributes_and_classes_are_the_same_every_time(module: Any) -> None:
    import qt

    label = qt.QLabel("a")
    assert label.text == "a" and qt.QLabel is type(label)
    label.text = "b"
    assert label.text == "b"
    label.name = "c"
    assert label.objectName == "c"
