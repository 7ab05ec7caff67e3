"""How large a structure may be on a slice between two painted ones.

Whether a thin sheet is one voxel thick or two hardly matters to a network, and halves the Dice. So between two painted
slices the answer is held to

    e⁻ˢ min(A, B) ≤ size ≤ eˢ max(A, B),   s = .3,

A and B the areas painted on them: where it is larger or smaller, its logits are shifted just so far that it is not.
Measured on volumes kept out of training, whole structures hardly ever leave these bounds; their surfaces often do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

import numpy as np

from ..task.frame import Stack
from ..task.paint import Paint

_SLACK = 0.3
_FARTHEST = 5.0
"""Logits are shifted by no more than this: what is out of the question stays so."""

Bounds = tuple[float, float]


class Sizes:
    """The bounds that the paint of one structure sets.

    Args:
        painted: slice index → how many voxels are painted on it.
    """

    def __init__(self, painted: Mapping[int, int]) -> None:
        self._painted = dict(sorted(painted.items()))

    @classmethod
    def of(cls, paint: Paint, value: int) -> Sizes:
        """The bounds of a structure on its complete slices."""
        areas = paint.masks(value).sum(axis=(1, 2))
        return cls({index: int(area) for index, area in zip(paint.slices[value], areas, strict=True)})

    def on(self, index: int) -> Bounds | None:
        """The least and the most voxels on a slice; None on painted slices and beyond the outermost."""
        known = list(self._painted)
        place = bisect_left(known, index)
        if not 0 < place < len(known) or known[place] == index:
            return None
        smaller, larger = sorted(self._painted[i] for i in known[place - 1 : place + 1])
        return smaller * float(np.exp(-_SLACK)), larger * float(np.exp(_SLACK))

    def hold(self, index: int, logits: Stack) -> Stack:
        """(rows, columns) logits of a slice on voxels, shifted so that the structure keeps to its bounds."""
        bounds = self.on(index)
        if bounds is None:
            return logits
        size = int(np.count_nonzero(logits > 0))
        allowed = round(min(max(size, bounds[0]), bounds[1]))
        if abs(allowed - size) < 1 or not 0 < allowed < logits.size:
            return logits
        inside, outside = -np.partition(-logits.ravel(), (allowed - 1, allowed))[allowed - 1 : allowed + 1]
        return logits - np.float32(np.clip((inside + outside) / 2, -_FARTHEST, _FARTHEST))
