"""The paint of one segment, cut out of the volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Points = NDArray[np.intp]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class SegmentPaint:
    """The paint of one segment, cut out of the volume.

    Indices count from the corner of the paint's bounding box. Rows, columns and slices without paint are left out of
    what is stored: a few slices of a large volume are small.

    Attributes:
        packed: (K', J', I') the paint on the occupied indices of each axis.
        occupied: for each axis the ascending indices with paint.
        corner: index in the volume of the box's first voxel.
        shape: size of the volume.
    """

    packed: Mask
    occupied: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
    corner: tuple[int, int, int]
    shape: tuple[int, int, int]
    _planes: dict[tuple[int, int], Mask] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, packed: Mask, shape: Sequence[int], occupied: Sequence[NDArray[np.intp]]) -> SegmentPaint:
        """From the paint on the indices in the volume of each axis, some of which may be without any."""
        rows, columns = np.asarray(packed.any(axis=2)), np.asarray(packed.any(axis=0))
        hit = [np.flatnonzero(rows.any(axis=1)), np.flatnonzero(rows.any(axis=0)), np.flatnonzero(columns.any(axis=0))]
        k, j, i = (own[one] for own, one in zip(occupied, hit, strict=True))
        corner = (int(k[0]), int(j[0]), int(i[0]))
        return cls(pick(packed, hit), (k - k[0], j - j[0], i - i[0]), corner, (shape[0], shape[1], shape[2]))

    @cached_property
    def extent(self) -> tuple[int, int, int]:
        """Size of the bounding box in voxels."""
        k, j, i = (int(own[-1]) + 1 for own in self.occupied)
        return k, j, i

    @cached_property
    def areas(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Voxels on each slice of the box, for each axis."""
        k, j, i = (np.zeros(size, np.intp) for size in self.extent)
        rows = np.count_nonzero(self.packed, axis=2)
        k[self.occupied[0]], j[self.occupied[1]] = rows.sum(axis=1), rows.sum(axis=0)
        i[self.occupied[2]] = np.count_nonzero(self.packed, axis=(0, 1))
        return k, j, i

    @cached_property
    def size(self) -> int:
        """Voxels that are painted."""
        return int(self.areas[0].sum())

    @cached_property
    def points(self) -> Points:
        """(N, 3) indices of all voxels, ascending."""
        packed = np.nonzero(self.packed)
        return np.stack([own[at] for own, at in zip(self.occupied, packed, strict=True)], axis=1)

    def slices(self, axis: int) -> list[int]:
        """Ascending indices of the slices across ``axis`` that hold paint."""
        return [int(i) for i in self.occupied[axis]]

    def apart(self, axis: int) -> bool:
        """Whether no two slices with paint across ``axis`` are neighbours."""
        return bool(np.diff(self.occupied[axis]).min(initial=2) > 1)

    def plane(self, axis: int, index: int) -> Mask:
        """(rows, columns) of the box: a slice across ``axis``, which holds paint; not to be written to."""
        if (axis, index) not in self._planes:
            rows, columns = (other for other in range(3) if other != axis)
            plane = np.zeros((self.extent[rows], self.extent[columns]), bool)
            packed = self.packed.take(int(np.searchsorted(self.occupied[axis], index)), axis=axis)
            plane[np.ix_(self.occupied[rows], self.occupied[columns])] = packed
            self._planes[axis, index] = plane
        return self._planes[axis, index]

    def at_border(self, axis: int) -> tuple[bool, bool]:
        """Whether the first and the last slice of the box across ``axis`` are those of the volume."""
        start = self.corner[axis]
        return start == 0, start + self.extent[axis] == self.shape[axis]


def pick(array: NDArray[T], indices: Sequence[NDArray[np.intp]]) -> NDArray[T]:
    """The part of an array at ascending ``indices`` of each axis; a view along axes on which none is left out."""
    for axis, own in enumerate(indices):
        gapless = len(own) == own[-1] - own[0] + 1
        array = array[(slice(None),) * axis + (slice(own[0], own[-1] + 1) if gapless else own,)]
    return array


def runs(indices: Sequence[int]) -> list[list[int]]:
    """Ascending indices, parted where one or more are missing."""
    found: list[list[int]] = []
    for index in indices:
        if found and index == found[-1][-1] + 1:
            found[-1].append(index)
        else:
            found.append([index])
    return found
