"""Interpolation of the painted contours, without the image.

Signed distances of *all* painted slices are interpolated pixel by pixel with a monotone cubic (PCHIP; Fritsch and
Carlson, SIAM J. Numer. Anal. 1980), the many-slice form of shape-based interpolation (Raya and Udupa, IEEE TMI 1990).
One gap beyond the outermost painted slice the structure is taken to have just vanished, unless the border of the
volume comes first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator

from ..task.frame import Stack
from ..task.task import Structure, Task
from .context import Context

_EMPTIED = 1.0
"""How far below zero, in pixels, the highest signed distance lies where a structure has just vanished."""
_LOGIT_PER_PIXEL = 0.5


def emptied(distance: Stack) -> Stack:
    """The signed distance of the same outline shrunk until nothing of it is left."""
    return distance - max(float(distance.max()), 0.0) - np.float32(_EMPTIED)


def distance_logits(distances: Stack) -> Stack:
    """(T, 1, H, W) logits of (T, H, W) signed distances in pixels, in the precision of half floats."""
    return np.float32(_LOGIT_PER_PIXEL) * distances.astype(np.float16).astype(np.float32)[:, None]


class ShapeInterpolation:
    """Predictor of one structure: shapes between and beyond the painted slices, from the paint alone."""

    def fit(self, task: Task, context: Context) -> FittedShape:
        return FittedShape(task)


class FittedShape:
    """Interpolates signed distances."""

    def __init__(self, task: Task) -> None:
        self._positions, self._shapes = interpolation_knots(task.structure, task.frame.depth)

    def logits(self, slices: Sequence[int]) -> Stack:
        return distance_logits(self.distances(slices))

    def distances(self, slices: Sequence[int]) -> Stack:
        """(T, H, W) signed distances in pixels."""
        positions, shapes = self._positions, self._shapes
        if len(positions) == 1:
            return np.repeat(shapes, len(slices), axis=0)
        where = np.clip(np.asarray(slices, float), positions[0], positions[-1])
        return PchipInterpolator(positions, shapes, axis=0)(where).astype(np.float32)


def interpolation_knots(structure: Structure, depth: int) -> tuple[list[int], Stack]:
    """Slice positions and signed distances (N, H, W) between which to interpolate, the shrinking ends included."""
    filled = structure.filled
    known: dict[int, Stack] = {i: structure.shape_on(i) for i in filled}
    for index in structure.slices:
        if index not in known:
            nearest = [
                max((i for i in filled if i < index), default=None),
                min((i for i in filled if i > index), default=None),
            ]
            known[index] = np.minimum.reduce([emptied(known[i]) for i in nearest if i is not None])
    for end, step in ((structure.slices[0], -1), (structure.slices[-1], 1)):
        if end in filled:
            goes_on = structure.goes_on(end, depth, below=step < 0)
            known[end + step * structure.gap] = known[end] if goes_on else emptied(known[end])
    positions = sorted(known)
    return positions, np.stack([known[i] for i in positions])
