"""Painted contours grown into the image, by Slicer's own Grow from seeds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DependencyError
from ..task.frame import GRID, Region, Stack


class GrowFromSeeds:
    """Expert: Slicer's Grow from seeds (vtkImageGrowCutSegment) on the working grid.

    Seeds are the painted slices, inside and outside, and background half a gap beyond the outermost ones, unless the
    volume ends first. The answer of a slice needs only the painted slices around it, so a single slice is grown
    between its painted neighbours.
    """

    def __init__(self, region: Region) -> None:
        self._region = region

    def predict(self, support: Sequence[int], targets: Sequence[int]) -> Stack:
        """(T, GRID, GRID): 1 where the structure grew, 0 elsewhere, for the slices ``targets``."""
        support = sorted(support)
        first = max((i for i in support if i <= min(targets)), default=support[0])
        last = min((i for i in support if i >= max(targets)), default=support[-1])
        needed = [i for i in support if first <= i <= last]
        gap = self._region.gap_of(support)
        beyond = max(1, (gap + 1) // 2)
        seeds: dict[int, NDArray[np.uint8]] = {i: np.where(self._region.mask(i), 1, 2).astype(np.uint8) for i in needed}
        for end, step in ((support[0], -1), (support[-1], 1)):
            outside = min(targets) < support[0] if step < 0 else max(targets) > support[-1]
            if not outside or self._region.distances[end] is None:
                continue
            if self._region.runs_on(end, gap, below=step < 0):
                seeds.setdefault(0 if step < 0 else self._region.depth - 1, np.zeros((GRID, GRID), np.uint8))
            else:
                seeds.setdefault(end + step * beyond, np.full((GRID, GRID), 2, np.uint8))
        low = max(min(seeds), self._region.start)
        high = min(max(seeds), self._region.stop - 1)
        grown = self._grow(seeds, low, high)
        nothing = np.zeros((GRID, GRID), np.float32)
        return np.stack([grown[t - low] if low <= t <= high else nothing for t in targets])

    def _grow(self, seeds: dict[int, NDArray[np.uint8]], low: int, high: int) -> Stack:
        images = np.stack([self._region.image(i) for i in range(low, high + 1)])
        intensity = np.pad(((images + 1.5) * (2000 / 3)).astype(np.int16), 1, mode="edge")
        labels = np.zeros(intensity.shape, np.int16)
        for index, seed in seeds.items():
            if low <= index <= high:
                labels[index - low + 1, 1:-1, 1:-1] = seed
        spacing = (float(self._region.anisotropy), 1.0, 1.0)
        return np.asarray(grow_cut(intensity, labels, spacing)[1:-1, 1:-1, 1:-1] == 1, np.float32)


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
