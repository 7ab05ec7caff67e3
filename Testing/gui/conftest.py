"""The panel, unchanged, under the stand-in for Slicer's Qt half."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="package")
def module() -> Iterator[Any]:
    """The module file, imported as Slicer would."""
    why = "PySide6-Essentials, or a system library that Qt needs (libegl1, libgl1, libxkbcommon0), is not installed"
    pytest.importorskip("PySide6.QtWidgets", reason=why, exc_type=ImportError)
    from host.application import application

    # The collector may run in any thread, and ends Qt's timers only in their own: panels are collected as desks close.
    gc.disable()
    with application() as module:
        from MetaSegmentLib.gui.process import QtChild
        from scene.lasting import LastingExecutor

        executor = LastingExecutor(launch=QtChild)
        module._executor = lambda: executor
        yield module
        executor.end()
    gc.enable()


@pytest.fixture
def desk(module: Any) -> Iterator[Any]:
    """The panel, shown, with nothing in the scene."""
    from gui.desk import Desk

    desk = Desk(module)
    yield desk
    desk.close()


@pytest.fixture
def in_a_thread(desk: Any) -> None:
    """Runs are computed where the tests can reach them."""
    from MetaSegmentLib.executors import InProcessExecutor

    desk.logic.session._background = InProcessExecutor()


@pytest.fixture
def heartbeat(module: Any) -> Any:
    """Measures, while it is entered, the longest time for which the main thread did not come back to its loop."""
    from host.loop import Heartbeat

    return Heartbeat()


@pytest.fixture
def vtk_log() -> Iterator[Any]:
    """What VTK complains of, as text; called as ``vtk_log()``."""
    import vtk

    before, window = vtk.vtkOutputWindow.GetInstance(), vtk.vtkStringOutputWindow()
    vtk.vtkOutputWindow.SetInstance(window)
    yield window.GetOutput
    vtk.vtkOutputWindow.SetInstance(before)
