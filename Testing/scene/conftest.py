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
