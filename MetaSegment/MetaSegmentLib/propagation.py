"""Painted contours carried along the image: by registration from slice to slice, and by Slicer's Grow from seeds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from .errors import DependencyError
from .region import GRID, Region, Stack, resize
from .shape import vanished

_COARSE = GRID // 2
_ITERATIONS = 12
_FIELD_SIGMA = 1.5
_UPDATE_SIGMA = 1.0

Field = NDArray[np.float32]
"""(2, rows, columns): where to look in the source, as an offset in pixels (rows first)."""


class ContourPropagation:
    """Expert: painted outlines carried from slice to slice by symmetric-forces Demons registration.

    Neighbouring slices are registered (Vercauteren et al., NeuroImage 2009; SimpleITK's filter) on half the grid and
    the fields composed outwards from each painted slice. A slice between two painted ones gets both carried shapes,
    weighted by distance; beyond them the shape shrinks to nothing over one gap. Fields depend on the image alone and
    are kept.
    """

    name = "propagation"

    def __init__(
        self, region: Region, before: ContourPropagation | None = None, check: Callable[[], None] = lambda: None
    ) -> None:
        self._region = region
        self._check = check
        self._coarse: dict[int, Any] = {}
        self._steps: dict[tuple[int, int], Field] = {}
        self._chains: dict[tuple[int, int], Field] = {}
        if before is not None and before._region.window == region.window and before._region.low == region.low:
            self._steps, self._chains = before._steps, before._chains

    def predict(self, support: Sequence[int], targets: Sequence[int]) -> Stack:
        """(T, GRID, GRID) signed distances in pixels for the slices ``targets``, from the painted slices ``support``."""
        return np.stack([self._slice(sorted(support), target) for target in targets])

    def _slice(self, support: Sequence[int], target: int) -> Stack:
        self._check()
        below = max((i for i in support if i <= target), default=None)
        above = min((i for i in support if i >= target), default=None)
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
            step = self._step(towards, target)
            self._chains[source, target] = step + np.stack([_warp(part, step) for part in inner])
        return self._chains[source, target]

    def _step(self, source: int, target: int) -> Field:
        """Field between neighbouring slices."""
        if (source, target) not in self._steps:
            import SimpleITK as sitk

            demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
            demons.SetNumberOfThreads(1)  # one slice is too small to share, and one thread repeats to the last bit
            demons.SetNumberOfIterations(_ITERATIONS)
            demons.SetStandardDeviations(_FIELD_SIGMA)
            demons.SetSmoothDisplacementField(True)
            demons.SetSmoothUpdateField(True)
            demons.SetUpdateFieldStandardDeviations(_UPDATE_SIGMA)
            field = sitk.GetArrayFromImage(demons.Execute(self._image(target), self._image(source)))
            self._steps[source, target] = np.stack([field[..., 1], field[..., 0]]).astype(np.float32)
        return self._steps[source, target]

    def _image(self, index: int) -> Any:
        if index not in self._coarse:
            import SimpleITK as sitk

            coarse = resize(self._region.image(index)[None], (_COARSE, _COARSE))[0]
            self._coarse[index] = sitk.GetImageFromArray(coarse)
        return self._coarse[index]


def _warp(values: Stack, field: Field) -> Stack:
    rows, columns = np.indices(values.shape, dtype=np.float32)
    return map_coordinates(values, (rows + field[0], columns + field[1]), order=1, mode="nearest", output=np.float32)


class GrowFromSeeds:
    """Expert: Slicer's Grow from seeds (vtkImageGrowCutSegment) on the working grid.

    Seeds are the painted slices, inside and outside, and background half a gap beyond the outermost ones, unless the
    volume ends first. The answer of a slice needs only the painted slices around it, so a single slice is grown
    between its painted neighbours.
    """

    name = "grow"

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
        import slicer
        import vtk
        from vtk.util import numpy_support
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
