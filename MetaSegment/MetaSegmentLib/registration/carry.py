"""Another volume of the same structure: another patient, another day, another phase.

The painted volume is segmented, the segmentation is carried over by registration, and a few slices of what arrives
are treated as if they had been painted: the same method then lets every slice of the other volume, those included,
follow its own image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..task.paint import Paint, PaintedSlices
from ..task.volume import Volume
from .volumes import VolumeRegistration

CARRIED_SLICES = 8
"""At most so many slices of each carried structure are treated as painted."""


def carry_paint(
    source: Volume,
    labels: NDArray[np.unsignedinteger[Any]],
    target: Volume,
    axis: int,
    check: Callable[[], None] = lambda: None,
) -> Paint | None:
    """Slices of ``labels`` carried to ``target``, evenly over the range of each structure; None when nothing does."""
    registration = VolumeRegistration(source, target, check)
    values = [int(v) for v in np.unique(labels) if v]
    chances = np.stack([registration.carry(labels == value) for value in values])
    carried = np.where(chances.max(0) > 0.5, np.array(values)[chances.argmax(0)], 0).astype(labels.dtype)
    front = np.moveaxis(carried, axis, 0)
    if not front.any():
        return None
    slices = tuple(sorted({index for value in values for index in _spread(front == value)}))
    picked = front[list(slices)].copy()
    found = [int(v) for v in np.unique(picked) if v]
    stacks = {axis: PaintedSlices(slices, picked)}
    return Paint(dict.fromkeys(found, axis), dict.fromkeys(found, slices), stacks=stacks)


def _spread(mask: NDArray[np.bool_]) -> list[int]:
    """The middles of CARRIED_SLICES equal parts of the slices that hold a structure."""
    occupied = np.flatnonzero(mask.any(axis=(1, 2)))
    count = min(CARRIED_SLICES, len(occupied))
    places = np.linspace(0, len(occupied) - 1, 2 * count + 1)[1::2]
    return [int(occupied[round(place)]) for place in places] if count else []
