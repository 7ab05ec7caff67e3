"""The panel, unchanged, under the stand-in for Slicer's Qt half."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="package")
def module() -> Iterator[Any]:
    """The module file, imported as Slicer would."""
    pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed")
    from host.application import application

    with application() as module:
        yield module


@pytest.fixture
def desk(module: Any) -> Iterator[Any]:
    """The panel, shown, with nothing in the scene."""
    from gui.desk import Desk

    desk = Desk(module)
    yield desk
    desk.close()
