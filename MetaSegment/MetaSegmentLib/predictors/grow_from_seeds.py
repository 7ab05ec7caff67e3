"""Painted contours grown into the image, by Slicer's own Grow from seeds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DependencyError
from ..task.frame import Stack
from ..task.task import Task
from .context import Context

_INSIDE, _OUTSIDE = 1, 2
_FACTOR, _OFFSET = 6.0, -3.0
"""Logit of a grown pixel: 3 inside, -3 outside."""


class GrowFromSeeds:
    """Predictor of one structure: Slicer's Grow from seeds (vtkImageGrowCutSegment) on the frame.

    Seeds are the painted slices, inside and outside, what is painted as something else, and background half a gap
    beyond the outermost painted slices, unless the volume ends first. The answer of a slice needs only the painted
    slices around it, so a single slice is grown between its painted neighbours.
    """

    wide = True

    def fit(self, task: Task, context: Context) -> FittedGrowth:
        return FittedGrowth(task)


class FittedGrowth:
    """Grows from the seeds of one structure."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def logits(self, slices: Sequence[int]) -> Stack:
        return np.float32(_FACTOR) * self._grown(slices)[:, None] + np.float32(_OFFSET)

    def _grown(self, slices: Sequence[int]) -> Stack:
        """(T, H, W): 1 where the structure grew, 0 elsewhere."""
        task, structure = self._task, self._task.structure
        painted, frame = structure.slices, task.frame
        first = max((i for i in painted if i <= min(slices)), default=painted[0])
        last = min((i for i in painted if i >= max(slices)), default=painted[-1])
        needed = [i for i in painted if first <= i <= last]
        beyond = max(1, (structure.gap + 1) // 2)
        seeds: dict[int, NDArray[np.uint8]] = {
            i: np.where(task.masks(i)[0], _INSIDE, _OUTSIDE).astype(np.uint8) for i in needed
        }
        for end, step in ((painted[0], -1), (painted[-1], 1)):
            outside = min(slices) < painted[0] if step < 0 else max(slices) > painted[-1]
            if not outside or structure.distances[end] is None:
                continue
            if structure.goes_on(end, frame.depth, below=step < 0):
                seeds.setdefault(0 if step < 0 else frame.depth - 1, np.zeros(frame.shape, np.uint8))
            else:
                seeds.setdefault(end + step * beyond, np.full(frame.shape, _OUTSIDE, np.uint8))
        low = max(min(seeds), frame.start)
        high = min(max(seeds), frame.stop - 1)
        for index, other in structure.others.items():
            if low < index < high:
                seed = seeds.setdefault(index, np.zeros(frame.shape, np.uint8))
                seed[other & (seed == 0)] = _OUTSIDE
        grown = self._grow(seeds, low, high)
        nothing = np.zeros(frame.shape, np.float32)
        return np.stack([grown[t - low] if low <= t <= high else nothing for t in slices])

    def _grow(self, seeds: dict[int, NDArray[np.uint8]], low: int, high: int) -> Stack:
        task = self._task
        images = np.stack([task.slice_image(i) for i in range(low, high + 1)])
        intensity = np.pad(((images + 1.5) * (2000 / 3)).astype(np.int16), 1, mode="edge")
        labels = np.zeros(intensity.shape, np.int16)
        for index, seed in seeds.items():
            if low <= index <= high:
                labels[index - low + 1, 1:-1, 1:-1] = seed
        spacing = (float(task.frame.anisotropy), 1.0, 1.0)
        return np.asarray(grow_cut(intensity, labels, spacing)[1:-1, 1:-1, 1:-1] == _INSIDE, np.float32)


def is_available() -> bool:
    """Whether Slicer's own code is there, as the application or as the package slicer-core."""
    return find_spec("slicer") is not None


def grow_cut(intensity: NDArray[np.int16], seeds: NDArray[np.int16], spacing: Sequence[float]) -> NDArray[np.int16]:
    """Run vtkImageGrowCutSegment on (K, J, I) arrays; the outermost layer of voxels is never reached."""
    os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")
    try:
        import vtk
        from vtk.util import numpy_support

        import slicer
    except ImportError as error:
        raise DependencyError('Grow from seeds needs Slicer\'s own code; run: pip install "slicer-core".') from error

    def image(array: NDArray[np.int16]) -> Any:
        data = slicer.vtkOrientedImageData()
        data.SetDimensions(array.shape[::-1])
        data.SetSpacing(*[float(s) for s in spacing[::-1]])
        data.AllocateScalars(vtk.VTK_SHORT, 1)
        numpy_support.vtk_to_numpy(data.GetPointData().GetScalars())[:] = array.ravel()
        return data

    grow = slicer.vtkImageGrowCutSegment()
    grow.SetIntensityVolume(image(intensity))
    grow.SetSeedLabelVolume(image(seeds))
    grow.Update()
    output = grow.GetOutput()
    return numpy_support.vtk_to_numpy(output.GetPointData().GetScalars()).reshape(intensity.shape).copy()
