"""The voxel grid that segments are painted on: the volume's, or one of their own beside it.

A segmentation may be finer than the scan (Slicer's oversampling), or made for another scan of the same directions. Its
paint stays as it is, voxel for voxel, so everything is done on its grid: the image is interpolated there, and the
result is written there. To users slices are always those of the volume.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

import slicer

from ..errors import InputError
from ..pieces import Steps, slabs
from ..settings import Result, SuggestedSlice
from .geometry import LABELMAP, Grid, extent_of, grid_of, transform_between, voxels
from .i18n import tr as _

_MOST_VOXELS = 1 << 29
_SAME_VOXELS = 1e-2
_STRAIGHT_VOXELS = 0.25
"""Axes that drift by less than this over the whole grid run in the same direction."""


@dataclass(frozen=True, eq=False)
class PaintGrid:
    """Where segments are painted, and the volume's grid, both as seen from the segmentation node.

    Attributes:
        grid: of the paint; it covers the volume.
        volume: the volume's; the same object where the paint is on it.
    """

    grid: Grid
    volume: Grid

    @property
    def is_volumes(self) -> bool:
        """Whether the paint is on the volume's own grid."""
        return self.grid is self.volume

    @property
    def resampling(self) -> Hashable:
        """What :meth:`image_steps` depends on beside the volume's voxels; None where these are taken as they are."""
        return None if self.is_volumes else (self.grid.matrix.tobytes(), self.volume.matrix.tobytes())

    def to_volume(self, axis: int, index: int) -> tuple[int, int]:
        """The slice of the volume, as (axis, index), in which a slice of the paint lies."""
        if self.is_volumes:
            return axis, index
        own = self._axes[axis]
        place = self._steps[axis] * index + self._starts[axis]
        return own, int(np.clip(_nearest(place), 0, self.volume.shape[own] - 1))

    def from_volume(self, axis: int, index: int) -> tuple[int, list[int]]:
        """The slices of the paint, as (axis, indices), that lie in a slice of the volume, or the one it lies in."""
        if self.is_volumes:
            return axis, [index]
        own = self._axes.index(axis)
        inside = [i for i in range(self.grid.shape[own]) if self.to_volume(own, i) == (axis, index)]
        return own, inside or [int(self._nearest_from_volume(own)[index])]

    def seen_from(self, source: Any, target: Any) -> Grid:
        """The grid of the paint in the coordinate system of another segmentation node than ``source``."""
        return replace(self.grid, matrix=transform_between(source, target) @ self.grid.matrix)

    def spacing(self, segmentation: Any) -> tuple[float, float, float]:
        """Millimetres between voxels of the paint in array order, in the world: a parent transform may scale."""
        i, j, k = np.linalg.norm(self._steps_in_world(segmentation), axis=0)
        return float(k), float(j), float(i)

    def voxel_ml(self, segmentation: Any) -> float:
        """Millilitres of one voxel of the paint in the world; less than the product of the spacings where sheared."""
        return float(abs(np.linalg.det(self._steps_in_world(segmentation)))) / 1000

    def image_steps(self, volume: Any) -> Steps[NDArray[Any]]:
        """(K, J, I) intensities of the volume at the voxels of the paint, linearly interpolated; in pieces."""
        image = voxels(volume.GetImageData())
        if self.is_volumes or self._same_voxels:
            return image
        matrix = self._to_volume_indices[::-1, ::-1]
        offset = self._to_volume_offset[::-1]
        found = np.empty(self.grid.shape, image.dtype)
        for slab in slabs(found.shape):
            start = offset + matrix @ (slab.start, 0, 0)
            affine_transform(image, matrix, start, found[slab].shape, found[slab], order=1, mode="nearest")
            yield
        return found

    def result_steps(self, result: Result) -> Steps[Result]:
        """A result on the grid of the paint as the volume sees it: at the centres of its voxels, in its slices."""
        if self.is_volumes:
            return result
        labels = self.on_volume(result.labels)
        yield
        uncertainty = self.on_volume(result.uncertainty)
        yield
        layers = tuple(self.on_volume(layer) for layer in result.layers)
        report = self.report(result.report)
        compute = result.compute_probabilities
        return replace(
            result,
            labels=labels,
            uncertainty=uncertainty,
            layers=layers,
            report=report,
            suggested_slices=report["suggested_slices"],
            compute_probabilities=None
            if compute is None
            else lambda: np.stack([self.on_volume(planes) for planes in compute()]),
        )

    def report(self, report: dict[str, Any]) -> dict[str, Any]:
        """A report with the slices of the volume."""
        axis = int(report["axis"])

        def on_volume(slices: Sequence[int]) -> list[int]:
            return sorted({self.to_volume(axis, index)[1] for index in slices})

        suggested: dict[tuple[int, int], SuggestedSlice] = {}
        for one in report["suggested_slices"]:  # best first
            place = self.to_volume(one["axis"], one["index"])
            suggested.setdefault(place, {"axis": place[0], "index": place[1], "score": one["score"]})
        segments = {
            label: {**found, "support_slices": on_volume(found["support_slices"])}
            for label, found in report["segments"].items()
        }
        return {
            **report,
            "axis": self.to_volume(axis, 0)[0],
            "support_slices": on_volume(report["support_slices"]),
            "suggested_slices": list(suggested.values()),
            "segments": segments,
        }

    def on_volume(self, array: NDArray[Any]) -> NDArray[Any]:
        """(K, J, I) of the volume, each voxel that of the paint in which its centre lies."""
        order = [self._axes.index(axis) for axis in range(3)]
        nearest = [self._nearest_from_volume(own) for own in order]
        return array.transpose(order)[np.ix_(*nearest)]

    def _nearest_from_volume(self, own: int) -> NDArray[np.intp]:
        """For each slice of the volume across the axis that runs along axis ``own`` of the paint, the slice there."""
        places = (np.arange(self.volume.shape[self._axes[own]]) - self._starts[own]) / self._steps[own]
        return np.clip(_nearest(places), 0, self.grid.shape[own] - 1)

    def _steps_in_world(self, segmentation: Any) -> NDArray[np.float64]:
        """(3, 3): its columns are the steps along i, j, k of the paint in the world, in mm."""
        return (transform_between(segmentation, None) @ self.grid.matrix)[:3, :3]

    @property
    def _same_voxels(self) -> bool:
        """Whether only the indices are counted from elsewhere, as where the volume was cut out of the painted one."""
        return self.grid.shape == self.volume.shape and np.allclose(self.grid.matrix, self.volume.matrix, atol=1e-4)

    @cached_property
    def _to_volume_matrix(self) -> NDArray[np.float64]:
        return np.linalg.inv(self.volume.matrix) @ self.grid.matrix

    @property
    def _to_volume_indices(self) -> NDArray[np.float64]:
        return _straight(self._to_volume_matrix[:3, :3])

    @property
    def _to_volume_offset(self) -> NDArray[np.float64]:
        return np.asarray(self._to_volume_matrix[:3, 3])

    @cached_property
    def _axes(self) -> list[int]:
        """By array axis of the paint: which one of the volume runs along it."""
        return [2 - int(np.abs(self._to_volume_indices[:, 2 - own]).argmax()) for own in range(3)]

    @cached_property
    def _steps(self) -> list[float]:
        """By array axis of the paint: slices of the volume from one of its slices to the next; may be negative."""
        return [float(self._to_volume_indices[2 - self._axes[own], 2 - own]) for own in range(3)]

    @cached_property
    def _starts(self) -> list[float]:
        """By array axis of the paint: where its first slice lies, in slices of the volume."""
        return [float(self._to_volume_offset[2 - self._axes[own]]) for own in range(3)]


def paint_grid_of(volume: Any, segmentation: Any, segments: Sequence[Any] | None = None) -> PaintGrid:
    """The grid of the paint of some vtkSegments, by default all of a segmentation node.

    Segments that are turned against the volume are brought onto its grid.

    Raises:
        InputError: see :func:`~.geometry.grid_of`; or the segments lie on different grids, or on one far finer.
    """
    own = grid_of(volume, segmentation)
    if segments is None:
        every = segmentation.GetSegmentation()
        segments = [every.GetSegment(i) for i in every.GetSegmentIDs()]
    found: tuple[Any, Grid] | None = None
    for segment in segments:
        layer = segment.GetRepresentation(LABELMAP)
        if layer is None or layer.IsEmpty():
            continue
        grid = own if own.holds(layer) or _was_turned_over(layer, own) else _covering(layer, own)
        if found is None or not (found[1].same_as(grid) or has_voxels(found[0])):
            found = segment, grid
        elif not found[1].same_as(grid) and has_voxels(segment):
            text = _('Segments "{first}" and "{second}" lie on different voxel grids; segment one at a time.')
            raise InputError(text.format(first=found[0].GetName(), second=segment.GetName()))
    return PaintGrid(own if found is None else found[1], own)


def has_voxels(segment: Any) -> bool:
    """Whether anything of a vtkSegment is in its layer, which it may share with others."""
    layer = segment.GetRepresentation(LABELMAP)
    return layer is not None and not layer.IsEmpty() and bool((voxels(layer) == segment.GetLabelValue()).any())


def is_turned(segment: Any, grid: Grid) -> bool:
    """Whether the voxels of a vtkSegment lie along other directions than those of ``grid``."""
    layer = segment.GetRepresentation(LABELMAP)
    return layer is not None and not layer.IsEmpty() and not grid.holds(layer) and _parallel(layer, grid) is None


def reaches_beyond_steps(segment: Any, grid: Grid) -> Steps[bool]:
    """Whether any voxel of a vtkSegment that :func:`is_turned` lies farther outside ``grid`` than a voxel, by which
    corners are turned out of it."""
    layer = segment.GetRepresentation(LABELMAP)
    placement = vtk.vtkMatrix4x4()
    layer.GetImageToWorldMatrix(placement)
    between = np.linalg.inv(grid.matrix) @ np.asarray(slicer.util.arrayFromVTKMatrix(placement))
    first = [s.start for s in extent_of(layer)]
    values, last = voxels(layer), np.array(grid.shape[::-1]) - 0.5
    for slab in slabs(values.shape):
        places = np.argwhere(values[slab] == segment.GetLabelValue()) + (first[0] + slab.start, *first[1:])
        there = places[:, ::-1] @ between[:3, :3].T + between[:3, 3]
        if ((there < -1.5) | (there > last + 1)).any():
            return True
        yield
    return False


def _was_turned_over(layer: Any, volume: Grid) -> bool:
    """Whether the voxels of a left-handed label map are voxels of the volume, which is not left-handed.

    Slicer turns left-handed volumes over when it reads them, but no segmentations; records of slices go by the volume.
    """
    matrix = _parallel(layer, volume)
    if matrix is None or not np.linalg.det(matrix[:3, :3]) < 0 < np.linalg.det(volume.matrix[:3, :3]):
        return False
    between = np.linalg.inv(volume.matrix) @ matrix
    ends = [(s.start, s.stop - 1) for s in reversed(extent_of(layer))]
    corners = np.array([[*corner, 1.0] for corner in product(*ends)])
    there = (between @ corners.T)[:3].T
    unit = np.allclose(np.abs(_straight(between[:3, :3])).sum(axis=0), 1, atol=_SAME_VOXELS)
    inside = (there > -0.5).all() and (there < np.array(volume.shape[::-1]) - 0.5).all()
    return bool(unit and inside and np.abs(there - np.round(there)).max() < _SAME_VOXELS)


def _covering(layer: Any, volume: Grid) -> Grid:
    """The lattice of a label map, over all of the volume; the volume's own grid where it is turned against it."""
    matrix = _parallel(layer, volume)
    if matrix is None:
        return volume
    k, j, i = volume.shape
    ends = [(-0.5, n - 0.5) for n in (i, j, k)]
    corners = np.array([[*corner, 1.0] for corner in product(*ends)])
    there = (np.linalg.inv(matrix) @ volume.matrix @ corners.T)[:3]
    # A voxel belongs to the grid when its centre lies in the volume.
    first = np.ceil(there.min(axis=1) - 1e-3)
    size = np.floor(there.max(axis=1) + 1e-3) - first + 1
    if size.min() < 1 or np.prod(size) > max(_MOST_VOXELS, np.prod(volume.shape)):
        raise InputError(
            _("The segmentation's voxels are far finer than the volume's; lower its oversampling or crop the volume.")
        )
    placed = matrix.copy()
    placed[:3, 3] = (matrix @ [*first, 1.0])[:3]
    i, j, k = (int(n) for n in size)
    first_i, first_j, first_k = (int(n) for n in first)
    return Grid((k, j, i), placed, (first_k, first_j, first_i))


def _parallel(layer: Any, volume: Grid) -> NDArray[np.float64] | None:
    """The matrix of a label map, from voxel indices to mm, if its axes run along those of the volume."""
    placement = vtk.vtkMatrix4x4()
    layer.GetImageToWorldMatrix(placement)
    matrix = np.asarray(slicer.util.arrayFromVTKMatrix(placement))
    between = (np.linalg.inv(volume.matrix) @ matrix)[:3, :3]
    sizes = np.maximum([s.stop - s.start for s in reversed(extent_of(layer))], 1)
    drift = np.abs(between - _straight(between)) * sizes
    return matrix if drift.max() < _STRAIGHT_VOXELS and np.linalg.matrix_rank(_straight(between)) == 3 else None


def _straight(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """A (3, 3) matrix with only the largest element of each column."""
    kept = np.zeros_like(matrix)
    rows = np.abs(matrix).argmax(axis=0)
    kept[rows, range(3)] = matrix[rows, range(3)]
    return kept


def _nearest(places: Any) -> Any:
    """Whole numbers; what lies half-way goes up, but for rounding errors."""
    return np.floor(np.asarray(places) + 0.5 + 1e-6).astype(np.intp)
