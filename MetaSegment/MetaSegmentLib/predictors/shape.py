"""What the painted contours alone say of a slice: their shapes, interpolated.

Signed distances of *all* painted slices are interpolated pixel by pixel with a monotone cubic (PCHIP; Fritsch and
Carlson, SIAM J. Numer. Anal. 1980), the many-slice form of shape-based interpolation (Raya and Udupa, IEEE TMI 1990).
One gap beyond the outermost painted slice the structure is taken to have just vanished, unless the border of the
volume comes first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator

from ..task.frame import Region, Stack

_VANISHED = 1.0
"""How far below zero, in pixels, the highest signed distance lies where a structure has just vanished."""


def vanished(distance: Stack) -> Stack:
    """The signed distance of the same outline shrunk until nothing of it is left."""
    return distance - max(float(distance.max()), 0.0) - np.float32(_VANISHED)


class ShapeInterpolation:
    """Expert: shapes between and beyond the painted slices, from the paint alone."""

    def __init__(self, region: Region) -> None:
        self._region = region

    def predict(self, support: Sequence[int], targets: Sequence[int]) -> Stack:
        """(T, GRID, GRID) signed distances in pixels for the slices ``targets``, from the painted ``support``."""
        positions, shapes = knots(self._region, support)
        if len(positions) == 1:
            return np.repeat(shapes, len(targets), axis=0)
        where = np.clip(np.asarray(targets, float), positions[0], positions[-1])
        return PchipInterpolator(positions, shapes, axis=0)(where).astype(np.float32)


def knots(region: Region, support: Sequence[int]) -> tuple[list[int], Stack]:
    """Slice positions and signed distances between which to interpolate, the shrinking ends included."""
    support = sorted(support)
    known: dict[int, Stack] = {i: shape for i in support if (shape := region.distances[i]) is not None}
    filled = sorted(known)
    for index in support:
        if index not in known:
            nearest = [
                max((i for i in filled if i < index), default=None),
                min((i for i in filled if i > index), default=None),
            ]
            empties = [vanished(known[i]) for i in nearest if i is not None]
            known[index] = np.minimum.reduce(empties)
    gap = region.gap_of(support)
    for end, step in ((support[0], -1), (support[-1], 1)):
        if end in filled:
            goes_on = region.runs_on(end, gap, below=step < 0)
            known[end + step * gap] = known[end] if goes_on else vanished(known[end])
    positions = sorted(known)
    return positions, np.stack([known[i] for i in positions])
