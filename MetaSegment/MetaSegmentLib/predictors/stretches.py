"""Stretches of slices between two painted ones, or beyond the outermost one, and the seeds around and in them.

Nothing grows or walks across a painted slice, every pixel of which is a seed, so what happens in one stretch depends on
no other: each can be worked out by itself, and only those next to a correction change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ..task.task import Digest, Task
from .propagation import neighbours

INSIDE, OUTSIDE = 1, 2


@dataclass(frozen=True, eq=False)
class Stretch:
    """Slices ``low`` to ``high`` of a task of one structure, a painted one or two among them.

    Attributes:
        seeds: slice → (H, W) INSIDE, OUTSIDE, or 0 where nothing is known.
    """

    low: int
    high: int
    seeds: Mapping[int, NDArray[np.uint8]]

    def labels(self, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """(T, H, W) seeds of all slices."""
        labels = np.zeros((self.high - self.low + 1, *shape), np.uint8)
        for index, seed in self.seeds.items():
            labels[index - self.low] = seed
        return labels

    def digest(self, task: Task) -> Digest:
        """Checksum of the seeds, the image of the stretch and its spacing."""
        about = repr((task.frame.anisotropy, self.low, self.high, sorted(self.seeds)))
        made = blake2b(about.encode(), digest_size=16)
        for index in range(self.low, self.high + 1):
            made.update(task.image_digest(index))
        for index in sorted(self.seeds):
            made.update(self.seeds[index].tobytes())
        return made.digest()


def stretches(task: Task, slices: Sequence[int], beyond: float) -> Iterator[tuple[Stretch, tuple[int, ...]]]:
    """The stretches of a task of one structure in which ``slices`` lie, each with those of them that lie in it.

    A painted slice is a stretch of its own. Beyond the outermost painted slice there is background, unless the volume
    ends first, or the slice is known to be empty.

    Args:
        beyond: how far away that background is, in gaps.
    """
    painted = task.structure.slices
    for (below, above), some in groupby(sorted({*slices}), lambda index: neighbours(painted, index)):
        yield _stretch(task, below, above, beyond), tuple(some)


def _stretch(task: Task, below: int | None, above: int | None, beyond: float) -> Stretch:
    structure, frame = task.structure, task.frame
    seeds = {i: np.where(task.masks(i)[0], INSIDE, OUTSIDE).astype(np.uint8) for i in (below, above) if i is not None}
    if below is None or above is None:
        (end,), step = seeds, -1 if below is None else 1
        if structure.distances[end] is not None:
            if structure.goes_on(end, frame.depth, below=step < 0):
                seeds.setdefault(0 if step < 0 else frame.depth - 1, np.zeros(frame.shape, np.uint8))
            else:
                far = max(1, math.floor(beyond * structure.gap + 0.5))
                seeds[end + step * far] = np.full(frame.shape, OUTSIDE, np.uint8)
    low, high = max(min(seeds), frame.start), min(max(seeds), frame.stop - 1)
    for index, other in structure.others.items():
        if low < index < high:
            seed = seeds.setdefault(index, np.zeros(frame.shape, np.uint8))
            seed[other & (seed == 0)] = OUTSIDE
    return Stretch(low, high, {i: seed for i, seed in seeds.items() if low <= i <= high})
