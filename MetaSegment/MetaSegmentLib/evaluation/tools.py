"""The tools that methods are compared with, by name; each sees the image and the painted slices only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.protocol import Mask
from . import biomedisa, peers, random_walker
from .records import Painted

Tool = Callable[[NDArray[Any], Mask, Sequence[int], Sequence[float]], Mask]

SLICER_TOOLS = ("fill_between_slices", "grow_from_seeds")
SIMPLE_TOOLS = (*SLICER_TOOLS, "signed_distance", "random_walker")
BIOMEDISA = "biomedisa"

PEERS: dict[str, Tool] = {
    "fill_between_slices": lambda image, mask, painted, spacing: peers.fill_between_slices(mask, painted),
    "grow_from_seeds": peers.grow_from_seeds,
    "signed_distance": lambda image, mask, painted, spacing: peers.signed_distance_interpolation(mask, painted),
    "random_walker": random_walker.random_walker,
    "average": peers.average,
}
"""Those that are always run."""

_ALL: dict[str, Tool] = {**PEERS, BIOMEDISA: biomedisa.smart_interpolation}
_MAKERS: dict[str, Callable[[], str | None]] = {"random_walker": random_walker.maker, BIOMEDISA: biomedisa.maker}


def available() -> tuple[str, ...]:
    """Names of the tools that are run here."""
    return (*PEERS, BIOMEDISA) if biomedisa.find() else tuple(PEERS)


def is_tool(name: str) -> bool:
    return name in _ALL


def maker(name: str) -> str | None:
    """Whose code, or which version, a tool is, where that depends on what is installed."""
    return _MAKERS[name]() if name in _MAKERS else None


def apply(name: str, painted: Painted, slices: Sequence[int] | None = None) -> Mask:
    """What a tool makes of the painted slices, or of other ``slices`` of the same structure; (K, J, I)."""
    axis, spacing = painted.axis, painted.spacing
    front = np.ascontiguousarray(np.moveaxis(painted.truth, axis, 0))
    image = np.ascontiguousarray(np.moveaxis(painted.image, axis, 0))
    steps = [spacing[axis], *(step for other, step in enumerate(spacing) if other != axis)]
    return np.moveaxis(_ALL[name](image, front, painted.slices if slices is None else list(slices), steps), 0, axis)
