"""Painted contours grown into the image, by Slicer's own Grow from seeds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import blake2b
from importlib.util import find_spec
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DependencyError
from ..task.frame import Mask, Stack
from ..task.task import Task
from .context import Context
from .propagation import neighbours

_INSIDE, _OUTSIDE = 1, 2
_FACTOR, _OFFSET = 6.0, -3.0
"""Logit of a grown pixel: 3 inside, -3 outside."""


class GrowFromSeeds:
    """Predictor of one structure: Slicer's Grow from seeds (vtkImageGrowCutSegment) on the frame.

    Seeds are the painted slices, inside and outside, what is painted as something else, and background half a gap
    beyond the outermost painted slices, unless the volume ends first. Nothing grows across a painted slice, every pixel
    of which is a seed, so each stretch between two of them is grown by itself and kept in the memo: a correction grows
    only the stretches next to it.
    """

    wide = True

    def fit(self, task: Task, context: Context) -> FittedGrowth:
        return FittedGrowth(task, context)


class FittedGrowth:
    """Grows from the seeds of one structure."""

    def __init__(self, task: Task, context: Context) -> None:
        self._task = task
        self._memo = context.memo

    def logits(self, slices: Sequence[int]) -> Stack:
        painted = self._task.structure.slices
        grown: dict[int, Mask] = {}
        for (below, above), stretch in groupby(sorted({*slices}), lambda index: neighbours(painted, index)):
            if below == above and below is not None:
                grown[below] = self._task.masks(below)[0]
            else:
                grown |= self._stretch(below, above, tuple(stretch))
        inside = np.stack([grown[index] for index in slices])
        return np.float32(_FACTOR) * inside[:, None] + np.float32(_OFFSET)

    def _stretch(self, below: int | None, above: int | None, slices: Sequence[int]) -> dict[int, Mask]:
        """Slice → (H, W) where the structure grew, for ``slices`` between two painted ones or beyond the last."""
        task, structure = self._task, self._task.structure
        frame = task.frame
        seeds: dict[int, NDArray[np.uint8]] = {
            i: np.where(task.masks(i)[0], _INSIDE, _OUTSIDE).astype(np.uint8) for i in (below, above) if i is not None
        }
        if below is None or above is None:
            (end,), step = seeds, -1 if below is None else 1
            if structure.distances[end] is not None:
                if structure.goes_on(end, frame.depth, below=step < 0):
                    seeds.setdefault(0 if step < 0 else frame.depth - 1, np.zeros(frame.shape, np.uint8))
                else:
                    beyond = end + step * max(1, (structure.gap + 1) // 2)
                    seeds[beyond] = np.full(frame.shape, _OUTSIDE, np.uint8)
        low, high = max(min(seeds), frame.start), min(max(seeds), frame.stop - 1)
        for index, other in structure.others.items():
            if low < index < high:
                seed = seeds.setdefault(index, np.zeros(frame.shape, np.uint8))
                seed[other & (seed == 0)] = _OUTSIDE
        grown = self._grow({i: seed for i, seed in seeds.items() if low <= i <= high}, low, high)
        nothing = np.zeros(frame.shape, bool)
        return {t: grown[t - low] if low <= t <= high else nothing for t in slices}

    def _grow(self, seeds: dict[int, NDArray[np.uint8]], low: int, high: int) -> Mask:
        """(T, H, W) where the structure grew on the slices ``low`` to ``high``."""
        task = self._task
        spacing = (float(task.frame.anisotropy), 1.0, 1.0)
        given = blake2b(repr((spacing, low, high, sorted(seeds))).encode(), digest_size=16)
        for index in range(low, high + 1):
            given.update(task.image_digest(index))
        for index in sorted(seeds):
            given.update(seeds[index].tobytes())

        def grow() -> Mask:
            images = np.stack([task.slice_image(i) for i in range(low, high + 1)])
            intensity = np.pad(((images + 1.5) * (2000 / 3)).astype(np.int16), 1, mode="edge")
            labels = np.zeros(intensity.shape, np.int16)
            for index, seed in seeds.items():
                labels[index - low + 1, 1:-1, 1:-1] = seed
            return np.asarray(grow_cut(intensity, labels, spacing)[1:-1, 1:-1, 1:-1] == _INSIDE)

        return self._memo.get(("grown", given.digest()), grow)


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
