"""What Slicer's application provides and the bare slicer-core package does not.

In Slicer nothing here changes anything: whatever is there is used as it is.
"""

from __future__ import annotations

import unittest
from types import SimpleNamespace
from typing import Any

import slicer


def current_scene() -> Any:
    """The scene of the application; on bare slicer-core one is made, with the module logics, on the first call."""
    scene = getattr(slicer, "mrmlScene", None)
    if scene is None:
        scene = slicer.vtkMRMLScene()
        slicer.mrmlScene = scene
    if not hasattr(slicer, "modules"):
        slicer.modules = SimpleNamespace()
        for name, kind in (
            ("segmentations", slicer.vtkSlicerSegmentationsModuleLogic),
            ("volumes", slicer.vtkSlicerVolumesLogic),
        ):
            setattr(slicer.modules, name, _module(kind, scene))
    return scene


def _module(kind: Any, scene: Any) -> SimpleNamespace:
    """A stand-in for ``slicer.modules.<name>``: the logic must know its scene before any segment is added."""
    logic = kind()
    logic.SetMRMLScene(scene)
    return SimpleNamespace(logic=lambda: logic)


def nodes_of_class(scene: Any, name: str) -> list[Any]:
    """All nodes of a class in ``scene``, which need not be the application's."""
    found = scene.GetNodesByClass(name)
    found.UnRegister(scene)  # the caller owns the collection; without this it would never be freed
    return [found.GetItemAsObject(i) for i in range(found.GetNumberOfItems())]


def tr(text: str) -> str:
    """Text as it is, where Slicer would translate it."""
    return text


def translate(context: str, text: str) -> str:
    """Text as it is, where Slicer would translate it."""
    return text


def parameterNodeWrapper(cls: Any) -> Any:
    """A parameter node needs Slicer's own wrapper; without it the class stays a description."""
    return cls


class ScriptedLoadableModule:
    """Stand-in for Slicer's base class of module descriptions, where there is no application."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent


class ScriptedLoadableModuleWidget:
    """Stand-in for Slicer's base class of panels; a panel cannot be shown without the application."""

    def __init__(self, parent: Any = None) -> None:
        self.parent = parent


class ScriptedLoadableModuleLogic:
    """Stand-in for Slicer's base class of module logics."""

    def __init__(self, parent: Any = None) -> None:
        self.parent = parent


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Stand-in for Slicer's base class of module tests."""

    def runTest(self) -> None:
        """Overridden by the module."""
