"""Painted contours grown into the image, by Slicer's own Grow from seeds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DependencyError
from ..task.frame import Mask, Stack
from ..task.task import Task
from .context import Context
from .stretches import INSIDE, Stretch, stretches

_BEYOND = 0.5
"""In gaps: what grows stops at the background there."""
_FACTOR, _OFFSET = 6.0, -3.0
"""Logit of a grown pixel: 3 inside, -3 outside."""

GrowCut = Callable[[NDArray[np.int16], NDArray[np.int16], Sequence[float]], NDArray[np.int16]]
"""(K, J, I) intensities and seeds, and spacing → labels of what grew; the outermost layer does not count."""


class GrowFromSeeds:
    """Predictor of one structure: Slicer's Grow from seeds (vtkImageGrowCutSegment) on the frame.

    Seeds are the painted slices, inside and outside, what is painted as something else, and background half a gap
    beyond the outermost painted slices, unless the volume ends first. Nothing grows across a painted slice, every pixel
    of which is a seed, so each stretch between two of them is grown by itself and kept in the memo: a correction grows
    only the stretches next to it.
    """

    wide = True

    def fit(self, task: Task, context: Context) -> FittedGrowth:
        return FittedGrowth(task, context, grow_cut)


class FittedGrowth:
    """Grows from the seeds of one structure, by whatever grows."""

    def __init__(self, task: Task, context: Context, cut: GrowCut) -> None:
        self._task = task
        self._cut = cut
        self._memo = context.memo

    def logits(self, slices: Sequence[int]) -> Stack:
        task = self._task
        grown: dict[int, Mask] = {}
        for stretch, wanted in stretches(task, slices, _BEYOND):
            key = ("grown", self._cut.__name__, stretch.digest(task))
            where = self._memo.get(key, partial(_grow, task, stretch, self._cut))
            grown |= {index: where[index - stretch.low] for index in wanted if stretch.low <= index <= stretch.high}
        nothing = np.zeros(task.frame.shape, bool)
        inside = np.stack([grown.get(index, nothing) for index in slices])
        return np.float32(_FACTOR) * inside[:, None] + np.float32(_OFFSET)


def _grow(task: Task, stretch: Stretch, cut: GrowCut) -> Mask:
    """(T, H, W) where the structure grew on the slices of a stretch."""
    labels = stretch.labels(task.frame.shape)
    if labels.all():
        return labels == INSIDE
    images = np.stack([task.slice_image(i) for i in range(stretch.low, stretch.high + 1)])
    intensity = np.pad(((images + 1.5) * (2000 / 3)).astype(np.int16), 1, mode="edge")
    seeds = np.pad(labels.astype(np.int16), 1)
    spacing = (float(task.frame.anisotropy), 1.0, 1.0)
    return np.asarray(cut(intensity, seeds, spacing)[1:-1, 1:-1, 1:-1] == INSIDE)


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
