"""Where a random walk through the image first meets paint: on that of the structure, or on that of anything else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import cg

from ..task.frame import Mask, Stack
from ..task.task import Task
from .context import Context
from .stretches import INSIDE, Stretch, stretches

_CONTRAST = 120.0
"""β: how much harder a step is between pixels of different intensity, which are within ± 1.5."""
_BEYOND = 1.0
"""In gaps: half-way to the background there, the chances are even."""
_EASE = 1e-4
"""Conductance that no difference in intensity takes away."""
_MARGIN = 12
"""In pixels: farther from all outlines everything is background."""
_LOGIT_LIMIT = 8.0
_TOLERANCE = 1e-3
_MOST_STEPS = 300


class RandomWalk:
    """Predictor of one structure: random walker segmentation (Grady, IEEE PAMI 2006) between the painted slices.

    The probability x that a walk from a pixel first meets the structure solves L x = 0 with x given on the seeds, where
    L is the Laplacian of the lattice with conductances w = exp(−β (I − I')²). A step to the next slice is as easy as
    one within the slice, however far apart slices lie: with the spacing in w thick slices came out up to .1 Dice worse.
    """

    def fit(self, task: Task, context: Context) -> FittedWalk:
        return FittedWalk(task, context)


class FittedWalk:
    """Walks between the painted slices of one structure."""

    def __init__(self, task: Task, context: Context) -> None:
        self._task = task
        self._context = context

    def logits(self, slices: Sequence[int]) -> Stack:
        """(T, 1, H, W), within ±8."""
        task = self._task
        found: dict[int, Stack] = {}
        for stretch, wanted in stretches(task, slices, _BEYOND):
            chance = self._context.memo.get(("walk", stretch.digest(task)), partial(walk, task, stretch))
            found |= {index: chance[index - stretch.low] for index in wanted if stretch.low <= index <= stretch.high}
        nothing = np.zeros(task.frame.shape, np.float32)
        chances = np.stack([found.get(index, nothing) for index in slices]).astype(np.float64)
        least = 1 / (1 + np.exp(_LOGIT_LIMIT))
        chances = np.clip(chances, least, 1 - least)
        return np.log(chances / (1 - chances)).astype(np.float32)[:, None]


def walk(task: Task, stretch: Stretch) -> Stack:
    """(T, H, W) probabilities in [0, 1] of the structure on the slices of a stretch."""
    labels = stretch.labels(task.frame.shape)
    images = np.stack([task.slice_image(i) for i in range(stretch.low, stretch.high + 1)])
    chance = (labels == INSIDE).astype(np.float32)
    hit = np.nonzero(chance.any(0))
    if not len(hit[0]) or labels.all():
        return chance
    rows, columns = (slice(max(h.min() - _MARGIN, 0), h.max() + _MARGIN + 1) for h in hit)
    chance[:, rows, columns] = solve(images[:, rows, columns], labels[:, rows, columns])
    return chance


def solve(images: Stack, labels: NDArray[np.uint8]) -> Stack:
    """(T, H, W) probabilities; on seeds 1 where ``labels`` are INSIDE and 0 on others.

    Args:
        images: (T, H, W), within ± 1.5.
        labels: 0 where nothing is known.
    """
    inside = labels == INSIDE
    free = labels == 0
    number = np.cumsum(free.ravel()).reshape(free.shape) - 1
    count = int(free.sum())
    degree = np.zeros(count)
    right = np.zeros(count)
    rows, columns, values = [], [], []
    for axis in range(3):
        a, b = _neighbours(images, axis)
        weight = np.exp(-_CONTRAST * (a - b) ** 2) + _EASE
        (na, nb), (fa, fb), (ia, ib) = (_neighbours(part, axis) for part in (number, free, inside))
        for here, there, n_here, n_there, i_there in ((fa, fb, na, nb, ib), (fb, fa, nb, na, ia)):
            degree += np.bincount(n_here[here], weight[here], count)
            both, edge = here & there, here & ~there & i_there
            right += np.bincount(n_here[edge], weight[edge], count)
            rows.append(n_here[both])
            columns.append(n_there[both])
            values.append(-weight[both])
    places = np.concatenate(rows), np.concatenate(columns)
    laplacian = csr_matrix(coo_matrix((np.concatenate(values), places), (count, count))) + diags(degree)
    start = _start(inside, free)
    solution, _ = cg(laplacian, right, start, rtol=_TOLERANCE, maxiter=_MOST_STEPS, M=diags(1 / degree))
    chance = inside.astype(np.float32)
    chance[free] = np.clip(solution, 0, 1)
    return chance


def _start(inside: Mask, free: Mask) -> NDArray[np.float64]:
    """A first guess: between the outermost slices, weighted by distance."""
    share = np.linspace(0, 1, len(inside))[:, None, None]
    return np.asarray(((1 - share) * inside[0] + share * inside[-1])[free])


def _neighbours(array: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The first and the second of each two neighbours along an axis."""
    before, after = [slice(None)] * 3, [slice(None)] * 3
    before[axis], after[axis] = slice(None, -1), slice(1, None)
    return array[tuple(before)], array[tuple(after)]
