"""The base class of the qMRML stand-ins."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from host.pythonqt import Wrapped


class qMRMLWidget(Wrapped, QtWidgets.QWidget):
    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            super().__getattribute__("mrmlSceneChanged").emit(scene)
