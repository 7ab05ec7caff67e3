"""Painted contours carried along the image, by registration from slice to slice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.ndimage import map_coordinates

from ..registration.slices import Field, slice_field
from ..task.frame import GRID, Region, Stack, resize
from .shape import vanished

_COARSE = GRID // 2
"""Slices are registered on half the grid."""


class ContourPropagation:
    """Expert: painted outlines carried from slice to slice by symmetric-forces Demons registration.

    Neighbouring slices are registered (Vercauteren et al., NeuroImage 2009; SimpleITK's filter) on half the grid and
    the fields composed outwards from each painted slice. A slice between two painted ones gets both carried shapes,
    weighted by distance; beyond them the shape shrinks to nothing over one gap. Fields depend on the image alone and
    are kept.
    """

    def __init__(self, region: Region, before: ContourPropagation | None = None) -> None:
        self._region = region
        self._coarse: dict[int, Stack] = {}
        self._steps: dict[tuple[int, int], Field] = {}
        self._chains: dict[tuple[int, int], Field] = {}
        if before is not None:
            self._steps, self._chains = before._steps, before._chains

    def predict(self, support: Sequence[int], targets: Sequence[int]) -> Stack:
        """(T, GRID, GRID) signed distances in pixels for the slices ``targets``, from the painted ``support``."""
        return np.stack([self._slice(sorted(support), target) for target in targets])

    def steps(self, wanted: Iterable[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[int, int]]:
        """The registrations, (source, target), that predicting ``(support, targets)`` pairs will need."""
        needed: dict[tuple[int, int], None] = {}
        for support, targets in wanted:
            for target in targets:
                for source in _neighbours(sorted(support), target):
                    if source is not None and self._region.distances[source] is not None:
                        towards = 1 if target > source else -1
                        needed |= {(i, i + towards): None for i in range(source, target, towards)}
        return [step for step in needed if step not in self._steps]

    def _slice(self, support: Sequence[int], target: int) -> Stack:
        below, above = _neighbours(support, target)
        if below == above and below is not None:
            distance = self._region.distances[below]
            return self._carried_nothing(support, below) if distance is None else distance
        sides = [(i, self._region.distances[i]) for i in (below, above) if i is not None]
        filled = [(i, d) for i, d in sides if d is not None]
        if not filled:
            return self._carried_nothing(support, target)
        if len(filled) == 2:
            (a, shape_a), (b, shape_b) = filled
            weight = np.float32((target - a) / (b - a))
            return (1 - weight) * self._carry(shape_a, a, target) + weight * self._carry(shape_b, b, target)
        index, shape = filled[0]
        carried = self._carry(shape, index, target)
        gap = self._region.gap_of(support)
        if len(sides) == 2:
            reach = abs(sides[0][0] - sides[1][0])
        elif self._region.runs_on(index, gap, below=target < index):
            return carried
        else:
            reach = gap
        return carried - np.float32(abs(target - index) / reach) * (shape.max() + 1)

    def _carried_nothing(self, support: Sequence[int], target: int) -> Stack:
        """A slice known to be empty: the nearest shape, vanished."""
        filled = [i for i in support if self._region.distances[i] is not None]
        shape = self._region.distances[min(filled, key=lambda i: abs(i - target))]
        assert shape is not None
        return vanished(shape)

    def _carry(self, shape: Stack, source: int, target: int) -> Stack:
        field = self._chain(source, target) * np.float32(GRID / _COARSE)
        return _warp(shape, resize(field, (GRID, GRID)))

    def _chain(self, source: int, target: int) -> Field:
        """Field that pulls slice ``source`` onto slice ``target``: u(x) = step(x) + u'(x + step(x))."""
        if source == target:
            return np.zeros((2, _COARSE, _COARSE), np.float32)
        if (source, target) not in self._chains:
            towards = target - 1 if target > source else target + 1
            inner = self._chain(source, towards)
            step = self.step(towards, target)
            self._chains[source, target] = step + np.stack([_warp(part, step) for part in inner])
        return self._chains[source, target]

    def step(self, source: int, target: int) -> Field:
        """Field that pulls a slice onto its neighbour ``target``."""
        if (source, target) not in self._steps:
            self._steps[source, target] = slice_field(self._image(source), self._image(target))
        return self._steps[source, target]

    def _image(self, index: int) -> Stack:
        if index not in self._coarse:
            self._coarse[index] = resize(self._region.image(index)[None], (_COARSE, _COARSE))[0]
        return self._coarse[index]


def _neighbours(support: Sequence[int], target: int) -> tuple[int | None, int | None]:
    """The nearest painted slices on both sides; both are the target itself when it is among them."""
    below = max((i for i in support if i <= target), default=None)
    above = min((i for i in support if i >= target), default=None)
    return below, above


def _warp(values: Stack, field: Field) -> Stack:
    rows, columns = np.indices(values.shape, dtype=np.float32)
    return map_coordinates(values, (rows + field[0], columns + field[1]), order=1, mode="nearest", output=np.float32)
