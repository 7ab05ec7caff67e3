"""How large a structure may be on a slice between two painted ones.

Whether a thin sheet is one voxel thick or two hardly matters to a network, and halves the Dice. So between two painted
slices the answer is held to

    e⁻ˢ min(A, B) ≤ size ≤ eˢ max(A, B),   s = .3,

A and B the areas painted on them: where it is larger or smaller, its logits are shifted just so far that it is not.
Where the two outlines lie beside each other, as those of two tumours do, there may be nothing between them, and only
the upper bound holds. Measured on volumes kept out of training, whole structures hardly ever leave these bounds; their
surfaces often do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

import numpy as np
from scipy.ndimage import binary_dilation

from ..task.frame import Mask, Stack
from ..task.paint import Paint

_SLACK = 0.3
_FARTHEST = 3.0
"""Logits are shifted by no more than this: what is out of the question stays so."""
_BESIDE = 3
"""Outlines with more voxels than this between them are beside each other."""

Bounds = tuple[float, float]


class Sizes:
    """The bounds that the paint of one structure sets.

    Args:
        masks: slice index → (rows, columns) what is painted on it.
    """

    def __init__(self, masks: Mapping[int, Mask]) -> None:
        self._masks = masks
        self._slices = sorted(masks)
        self._bounds: dict[int, Bounds] = {}

    @classmethod
    def of(cls, paint: Paint, value: int) -> Sizes:
        """The bounds of a structure on its complete slices."""
        return cls(dict(zip(paint.slices[value], paint.masks(value), strict=True)))

    def on(self, index: int) -> Bounds | None:
        """The least and the most voxels on a slice; None on painted slices and beyond the outermost."""
        place = bisect_left(self._slices, index)
        if not 0 < place < len(self._slices) or self._slices[place] == index:
            return None
        if place not in self._bounds:
            self._bounds[place] = _bounds(*(self._masks[painted] for painted in self._slices[place - 1 : place + 1]))
        return self._bounds[place]

    def hold(self, index: int, logits: Stack) -> Stack:
        """(rows, columns) logits of a slice on voxels, shifted so that the structure keeps to its bounds."""
        bounds = self.on(index)
        if bounds is None:
            return logits
        size = int(np.count_nonzero(logits > 0))
        allowed = round(min(max(size, bounds[0]), bounds[1]))
        if allowed == size or not 0 < allowed < logits.size:
            return logits
        inside, outside = -np.partition(-logits.ravel(), (allowed - 1, allowed))[allowed - 1 : allowed + 1]
        return logits - np.float32(np.clip((inside + outside) / 2, -_FARTHEST, _FARTHEST))


def _bounds(below: Mask, above: Mask) -> Bounds:
    smaller, larger = sorted((np.count_nonzero(below), np.count_nonzero(above)))
    goes_on = bool((binary_dilation(below, iterations=_BESIDE) & above).any())
    return float(goes_on * smaller * np.exp(-_SLACK)), float(larger * np.exp(_SLACK))
