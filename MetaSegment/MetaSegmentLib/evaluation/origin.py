"""What a score depends on besides its case, so that scores of other code or other weights are made again."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..networks.weights import Weights
from ..predictors.registry import find_method
from . import tools

LIBRARY = Path(__file__).resolve().parents[1]
CORE = (
    "answer",
    "device.py",
    "engine.py",
    "methods",
    "networks",
    "pieces.py",
    "predictors",
    "registration",
    "settings.py",
    "task",
)
"""Below LIBRARY, the code that an answer depends on."""


def origin_of(name: str, folder: str = "") -> dict[str, Any]:
    """Of a method its code and its weights by name, as SHA-256; of a tool whose code it is.

    Args:
        folder: of weights that take the place of the shipped ones.
    """
    if not tools.is_tool(name):
        stored = Weights.of(folder)
        sums = {weight: stored.checksum(weight) for weight in find_method(name).weights}
        return {"code": code_checksum(), "weights": sums}
    maker = tools.maker(name)
    return {} if maker is None else {"maker": maker}


@lru_cache(1)
def code_checksum() -> str:
    """SHA-256 of the files of CORE, their places included."""
    found = hashlib.sha256()
    for path in core_files():
        found.update(f"{path.relative_to(LIBRARY).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def core_files() -> list[Path]:
    """The files of CORE, in order."""
    places = (LIBRARY / name for name in CORE)
    return [file for place in places for file in (sorted(place.rglob("*.py")) if place.is_dir() else [place])]
