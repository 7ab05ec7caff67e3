"""Painted contours carried along the image, by registration from slice to slice."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from hashlib import blake2b

import numpy as np
from scipy.ndimage import map_coordinates

from ..registration.slices import Field, slice_field
from ..task.frame import Stack, resize
from ..task.task import Structure, Task
from .context import Context
from .protocol import Piece
from .shape import distance_logits, emptied

_COARSENING = 2
"""Slices are registered on a lattice this much coarser than the frame."""


class ContourPropagation:
    """Predictor of one structure: outlines carried from slice to slice by symmetric-forces Demons registration.

    Neighbouring slices are registered (Vercauteren et al., NeuroImage 2009; SimpleITK's filter) on half the frame and
    the fields composed outwards from each painted slice. A slice between two painted ones gets both carried shapes,
    weighted by distance; beyond them the shape shrinks to nothing over one gap. Fields depend on the image alone.
    """

    def fit(self, task: Task, context: Context) -> FittedPropagation:
        return FittedPropagation(task, context)

    def pieces(self, task: Task, slices: Sequence[int], context: Context) -> dict[Hashable, Piece]:
        """The registrations of neighbouring slices on the way to ``slices``."""
        fitted = FittedPropagation(task, context)
        return {fitted.step_key(*step): partial(fitted.step, *step) for step in fitted.steps(slices)}


class FittedPropagation:
    """Carries outlines; the fields are kept in the memo."""

    def __init__(self, task: Task, context: Context) -> None:
        self._task = task
        self._structure: Structure = task.structure
        self._memo = context.memo
        self._coarse = (task.frame.size // _COARSENING,) * 2

    def logits(self, slices: Sequence[int]) -> Stack:
        return distance_logits(self.distances(slices))

    def distances(self, slices: Sequence[int]) -> Stack:
        """(T, H, W) signed distances in pixels."""
        return np.stack([self._slice(index) for index in slices])

    def steps(self, slices: Sequence[int]) -> list[tuple[int, int]]:
        """The pairs (source, target) of neighbouring slices to register on the way to ``slices``."""
        needed: dict[tuple[int, int], None] = {}
        for target in slices:
            for source in neighbours(self._structure.slices, target):
                if source is not None and self._structure.distances[source] is not None:
                    towards = 1 if target > source else -1
                    needed |= {(i, i + towards): None for i in range(source, target, towards)}
        return list(needed)

    def step(self, source: int, target: int) -> Field:
        """Field that pulls a slice onto its neighbour ``target``."""
        key = self.step_key(source, target)
        return self._memo.get(key, lambda: slice_field(self._image(source), self._image(target)))

    def step_key(self, source: int, target: int) -> Hashable:
        """Under what :meth:`step` is found in the memo."""
        return ("registration", self._coarse, self._task.image_digest(source), self._task.image_digest(target))

    def _slice(self, target: int) -> Stack:
        structure = self._structure
        below, above = neighbours(structure.slices, target)
        if below == above and below is not None:
            distance = structure.distances[below]
            return self._nearest_emptied(below) if distance is None else distance
        sides = [(i, structure.distances[i]) for i in (below, above) if i is not None]
        filled = [(i, d) for i, d in sides if d is not None]
        if not filled:
            return self._nearest_emptied(target)
        if len(filled) == 2:
            (a, shape_a), (b, shape_b) = filled
            weight = np.float32((target - a) / (b - a))
            return (1 - weight) * self._carry(shape_a, a, target) + weight * self._carry(shape_b, b, target)
        index, shape = filled[0]
        carried = self._carry(shape, index, target)
        if len(sides) == 2:
            reach = abs(sides[0][0] - sides[1][0])
        elif structure.goes_on(index, self._task.frame.depth, below=target < index):
            return carried
        else:
            reach = structure.gap
        return carried - np.float32(abs(target - index) / reach) * (shape.max() + 1)

    def _nearest_emptied(self, target: int) -> Stack:
        """A slice known to be empty: the nearest shape, emptied."""
        return emptied(self._structure.shape_on(min(self._structure.filled, key=lambda i: abs(i - target))))

    def _carry(self, shape: Stack, source: int, target: int) -> Stack:
        field = self._chain(source, target) * np.float32(_COARSENING)
        return _warp(shape, resize(field, self._task.frame.shape))

    def _chain(self, source: int, target: int) -> Field:
        """Field that pulls slice ``source`` onto slice ``target``: u(x) = step(x) + u'(x + step(x)), slice by slice."""
        towards = 1 if target > source else -1
        passed = blake2b(self._task.image_digest(source), digest_size=16)
        field = np.zeros((2, *self._coarse), np.float32)
        for index in range(source + towards, target + towards, towards) if target != source else ():
            passed.update(self._task.image_digest(index))
            key = ("composed registrations", self._coarse, passed.digest())
            field = self._memo.get(key, partial(_compose, field, partial(self.step, index - towards, index)))
        return field

    def _image(self, index: int) -> Stack:
        key = ("coarse image", self._coarse, self._task.image_digest(index))
        return self._memo.get(key, lambda: resize(self._task.slice_image(index)[None], self._coarse)[0])


def neighbours(painted: Sequence[int], target: int) -> tuple[int | None, int | None]:
    """The nearest painted slices on both sides; both are the target itself when it is among them."""
    below = max((i for i in painted if i <= target), default=None)
    above = min((i for i in painted if i >= target), default=None)
    return below, above


def _compose(inner: Field, next_step: Callable[[], Field]) -> Field:
    step = next_step()
    return step + np.stack([_warp(part, step) for part in inner])


def _warp(values: Stack, field: Field) -> Stack:
    rows, columns = np.indices(values.shape, dtype=np.float32)
    return map_coordinates(values, (rows + field[0], columns + field[1]), order=1, mode="nearest", output=np.float32)
