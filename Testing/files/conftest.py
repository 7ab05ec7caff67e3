"""Slicer's own classes, without the application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def slicer() -> Any:
    return pytest.importorskip("slicer")


@pytest.fixture
def scene(slicer: Any) -> Iterator[Any]:
    scene = slicer.vtkMRMLScene()
    # It knows the conversions, and so which of their parameters a segmentation may have.
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    yield scene
    logic.SetMRMLScene(None)
    scene.Clear(True)
