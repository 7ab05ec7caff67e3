"""What a score depends on besides its case, so that scores of other code or other weights are made again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ..networks.weights import Weights
from ..predictors.registry import find_method
from . import tools

LIBRARY = Path(__file__).resolve().parents[1]
CORE = (
    "answer",
    "data/protocol.py",
    "device.py",
    "engine.py",
    "evaluation/metrics.py",
    "methods",
    "networks",
    "pieces.py",
    "predictors",
    "progress.py",
    "registration",
    "settings.py",
    "task",
)
"""Below LIBRARY, the code that an answer and its scores depend on."""
TOOLS = (
    "data/protocol.py",
    "evaluation/biomedisa.py",
    "evaluation/metrics.py",
    "evaluation/peers.py",
    "evaluation/random_walker.py",
    "evaluation/tools.py",
)
"""Below LIBRARY, the code that runs the tools that methods are compared with."""


def origin_of(name: str, folder: str = "") -> dict[str, Any]:
    """Of a method its code and its weights by name, as SHA-256; of a tool the code that runs it, the version of
    slicer-core, and whose it is where that may be one or another.

    Args:
        folder: of weights that take the place of the shipped ones.
    """
    if not tools.is_tool(name):
        stored = Weights.of(folder)
        sums = {weight: stored.checksum(weight) for weight in find_method(name).weights}
        return {"code": code_checksum(), "weights": sums}
    maker = tools.maker(name)
    about = {"code": tools_checksum(), "slicer-core": _version("slicer-core")}
    return about if maker is None else {**about, "maker": maker}


@lru_cache(1)
def code_checksum() -> str:
    """SHA-256 of the files of CORE, their places included."""
    return _checksum(core_files())


@lru_cache(1)
def tools_checksum() -> str:
    """SHA-256 of the files of TOOLS."""
    return _checksum([LIBRARY / name for name in TOOLS])


def _checksum(files: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.relative_to(LIBRARY).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def core_files() -> list[Path]:
    """The files of CORE, in order."""
    places = (LIBRARY / name for name in CORE)
    return [file for place in places for file in (sorted(place.rglob("*.py")) if place.is_dir() else [place])]


def _version(package: str) -> str | None:
    """None where it is not installed, as in Slicer itself, whose code it is there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
