"""Grow from seeds without Slicer's code, for where it cannot be installed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from ..task.task import Task
from .context import Context
from .grow_from_seeds import FittedGrowth

_STEP = 1e-3
"""Cost of a step beside the change in intensity: of paths that are as good, the shortest one counts."""
_STEPS = tuple(step for step in product((-1, 0, 1), repeat=3) if step > (0, 0, 0))


class GrowAlongPaths:
    """Predictor of one structure: what GrowFromSeeds answers but for ties, at some times its cost.

    Every voxel gets the label of the seed from which the least change of intensity, summed along a path of
    neighbouring voxels, leads to it: fast GrowCut (Zhu et al., 2014) is Dijkstra's algorithm.
    """

    wide = True

    def fit(self, task: Task, context: Context) -> FittedGrowth:
        return FittedGrowth(task, context, paths_cut)


def paths_cut(intensity: NDArray[np.int16], seeds: NDArray[np.int16], spacing: Sequence[float]) -> NDArray[np.int16]:
    """What :func:`~.grow_from_seeds.grow_cut` does; the spacing is not looked at there either."""
    places = np.arange(intensity.size).reshape(intensity.shape)
    values, labels = intensity.ravel().astype(np.float32), seeds.ravel()
    starts, ends = [], []
    for step in _STEPS:
        one, two = _neighbours(places, step), _neighbours(places, tuple(-s for s in step))
        free = (labels[one] == 0) | (labels[two] == 0)
        starts.append(one[free])
        ends.append(two[free])
    start, end = np.concatenate(starts), np.concatenate(ends)
    cost = np.abs(values[start] - values[end]) + np.float32(_STEP)
    both = (np.concatenate([cost, cost]), (np.concatenate([start, end]), np.concatenate([end, start])))
    graph = csr_array(both, shape=(values.size, values.size))
    _, _, nearest = dijkstra(graph, indices=np.flatnonzero(labels), min_only=True, return_predecessors=True)
    return np.where(nearest >= 0, labels[nearest], 0).astype(np.int16).reshape(intensity.shape)


def _neighbours(places: NDArray[np.intp], step: Sequence[int]) -> NDArray[np.intp]:
    """(N,) the voxels from which ``step`` leads to another one; those that minus ``step`` gives are the other ends."""
    size = places.shape
    box = tuple(slice(max(0, -step[axis]), size[axis] - max(0, step[axis])) for axis in range(3))
    return places[box].ravel()
