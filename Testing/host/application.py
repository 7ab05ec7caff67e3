"""A small stand-in for the application: enough of it to show a scripted module's panel on slicer-core's real MRML."""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6 import QtCore, QtWidgets

import slicer
from host import inventory, loop
from host.loader import QUiLoader
from host.parameter_node import parameterNodeWrapper
from host.pythonqt import QtModule, Refused, qt_class
from host.widgets import CTK, QMRML, let_go_of_the_scene
from MetaSegmentLib.scene import runtime

_SPARE = 1_000_000
MODULE = Path(__file__).resolve().parents[2] / "MetaSegment"


class Application:
    """``slicer.app``"""

    applicationName = "Slicer"
    slicerHome = str(Path(sys.executable).parents[1])

    def __init__(self) -> None:
        self._qt = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        _spare_references()
        _settings_of_its_own()
        self._on_start: list[Any] = []
        self._modules: dict[str, Any] = {}
        self._bin = ""

    def __getattribute__(self, name: str) -> Any:
        known = inventory.names("qSlicerApplication")
        if not name.startswith("_") and known is not None and name not in known | {"testingEnabled"}:
            raise Refused(f"slicer.app has no attribute {name}.")
        return super().__getattribute__(name)

    def applicationDirPath(self) -> str:
        """A folder with the ``PythonSlicer`` of this stand-in: the Python that runs it."""
        if not self._bin:
            self._bin = tempfile.mkdtemp(prefix="stand-in ")
            atexit.register(shutil.rmtree, self._bin, ignore_errors=True)
            program = Path(self._bin) / "PythonSlicer"
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
            program.chmod(0o755)
        return self._bin

    def connect(self, signal: str, slot: Any) -> None:
        assert signal == "startupCompleted()"
        self._on_start.append(slot)

    def moduleManager(self) -> Any:
        return SimpleNamespace(module=self._modules.get)

    def testingEnabled(self) -> bool:
        return True

    def topLevelWidgets(self) -> list[Any]:
        return [w for w in self._qt.topLevelWidgets() if isinstance(w, qt_class("QMainWindow"))]

    def setOverrideCursor(self, _cursor: Any) -> None:
        pass

    def restoreOverrideCursor(self) -> None:
        pass

    def processEvents(self) -> None:
        loop.process_events()


class Widget:
    """``ScriptedLoadableModuleWidget``"""

    def __init__(self, parent: Any = None) -> None:
        self.parent = parent or qt_class("QWidget")()
        if self.parent.layout() is None:
            self.parent.setLayout(qt_class("QVBoxLayout")())
        self.layout = self.parent.layout()

    def resourcePath(self, filename: str) -> str:
        return str(MODULE / "Resources" / filename)

    def setup(self) -> None:
        pass

    def cleanup(self) -> None:
        pass


class Logic:
    """``ScriptedLoadableModuleLogic``"""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self) -> Any:
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(self.moduleName)
            node.SetModuleName(self.moduleName)
            node = scene.AddNode(node)
        return node


class LoadableModule:
    """``slicer.modules.metasegment``, whose panel is made when it is first asked for."""

    def __init__(self, name: str, widget: type) -> None:
        self.name = name
        self._widget = widget
        self._made: Any = None

    def widgetRepresentation(self) -> Any:
        if self._made is None:
            self._made = ModuleWidget(self._widget())
        return self._made


class ModuleWidget:
    """``qSlicerScriptedLoadableModuleWidget``"""

    def __init__(self, widget: Any) -> None:
        self._widget = widget
        widget.setup()

    def self(self) -> Any:
        return self._widget


@contextmanager
def application() -> Iterator[Any]:
    """The modules of the application, put in place and taken away again; gives the module file, imported anew."""
    scene = runtime.current_scene()
    scripted = _module(
        "slicer.ScriptedLoadableModule",
        ScriptedLoadableModule=runtime.ScriptedLoadableModule,
        ScriptedLoadableModuleWidget=Widget,
        ScriptedLoadableModuleLogic=Logic,
        ScriptedLoadableModuleTest=runtime.ScriptedLoadableModuleTest,
    )
    modules = {
        "qt": QtModule(QUiLoader, loop.QEventLoop),
        "ctk": _module("ctk", **CTK),
        "slicer.ScriptedLoadableModule": scripted,
        "slicer.parameterNodeWrapper": _module(
            "slicer.parameterNodeWrapper", parameterNodeWrapper=parameterNodeWrapper
        ),
    }
    before = {name: sys.modules.pop(name, None) for name in (*modules, "MetaSegment")}
    sys.modules.update(modules)
    app = Application()
    names = {
        "app": app,
        "qSlicerScriptedLoadableModule": LoadableModule,
        "qSlicerScriptedLoadableModuleWidget": ModuleWidget,
        **QMRML,
    }
    for name, value in names.items():
        setattr(slicer, name, value)
    window = qt_class("QMainWindow")()
    window.setObjectName("qSlicerMainWindow")
    try:
        import MetaSegment

        app._modules["MetaSegment"] = LoadableModule("MetaSegment", MetaSegment.MetaSegmentWidget)
        yield MetaSegment
    finally:
        let_go_of_the_scene()
        scene.Clear(True)
        window.deleteLater()
        for name in names:
            delattr(slicer, name)
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def _spare_references() -> None:
    """PySide6 6.12.0, made for Pythons whose None is immortal, gives back references to None and True that it never
    took; on Python 3.11 some 100,000 calls of Qt later the interpreter would end itself."""
    if sys.version_info < (3, 12):
        take = ctypes.pythonapi.Py_IncRef
        take.argtypes = [ctypes.py_object]
        for one in (None, True, False):
            for _ in range(_SPARE):
                take(one)


def _settings_of_its_own() -> None:
    """Settings of the tests are never the user's, and end with them."""
    folder = tempfile.mkdtemp(prefix="settings ")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings = QtCore.QSettings
    settings.setDefaultFormat(settings.Format.IniFormat)
    settings.setPath(settings.Format.IniFormat, settings.Scope.UserScope, folder)


def _module(name: str, **names: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(names)
    return module
