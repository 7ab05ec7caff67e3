"""A real MRML scene for every test of the scene."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def scene() -> Iterator[Any]:
    """The application's scene, empty."""
    from MetaSegmentLib.scene.runtime import current_scene

    scene = current_scene()
    yield scene
    scene.Clear(True)


@pytest.fixture
def bench(scene: Any) -> Any:
    """A painted ball and the tools to fill it."""
    from scene.bench import Bench

    return Bench(scene)


@pytest.fixture(params=["bare", "with Slicer's logic"])
def sequences(scene: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The logic that the application has for sequences, which brings what is shown into step with them; or None."""
    if request.param == "bare":
        yield None
        return
    import slicer

    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(scene)
    yield logic
    logic.SetMRMLScene(None)


@pytest.fixture
def beating(scene: Any, sequences: Any) -> Any:
    """A sequence of a ball that moves, with paint on the first time point."""
    from scene.beating import Beating

    return Beating(scene, sequences)


@pytest.fixture
def timer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A timer for sessions, which then go on piece by piece."""
    from scene.timer import ATimer

    monkeypatch.setattr("MetaSegmentLib.scene.session._BUDGET_SECONDS", 0.0)
    return ATimer()


@pytest.fixture
def beats(beating: Any, timer: Any) -> Any:
    """The timer by which runs on the sequence go on."""
    from MetaSegmentLib.scene import Session

    beating.session = Session(timer)
    return timer
