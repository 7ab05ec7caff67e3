"""The part of a voxel grid that a mask occupies: most masks are small in large volumes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Corner = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Part:
    """The voxels of a mask in their bounding box.

    Attributes:
        shape: (K, J, I) of the whole grid.
        box: (k, j, i), True where the mask is; of size 0 for an empty mask.
        corner: which voxel of the grid is the first one of ``box``.
    """

    shape: tuple[int, ...]
    box: Mask
    corner: Corner

    @classmethod
    def of(cls, mask: Mask, corner: Corner = (0, 0, 0), shape: tuple[int, ...] | None = None) -> Part:
        """The part of a grid of ``shape`` (by default the mask's own) that a (k, j, i) mask occupies whose first voxel
        is voxel ``corner`` of the grid; what sticks out of the grid is left off."""
        shape = mask.shape if shape is None else shape
        first = list(corner)
        for axis in range(3):
            low = max(-first[axis], 0)
            mask = np.moveaxis(np.moveaxis(mask, axis, 0)[low : max(shape[axis] - first[axis], 0)], 0, axis)
            hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
            if not len(hit):
                return cls(shape, np.zeros((0, 0, 0), bool), (0, 0, 0))
            mask = np.moveaxis(np.moveaxis(mask, axis, 0)[hit[0] : hit[-1] + 1], 0, axis)
            first[axis] += low + int(hit[0])
        return cls(shape, mask, (first[0], first[1], first[2]))

    @property
    def empty(self) -> bool:
        return self.box.size == 0

    def whole(self) -> Mask:
        """(K, J, I): the mask on the whole grid."""
        result = np.zeros(self.shape, bool)
        result[tuple(slice(c, c + n) for c, n in zip(self.corner, self.box.shape, strict=True))] = self.box
        return result

    def slices(self, axis: int) -> list[int]:
        """The slices across ``axis`` that hold any of the mask, ascending."""
        there = self.box.any(axis=tuple(a for a in range(3) if a != axis))
        return [self.corner[axis] + int(i) for i in np.flatnonzero(there)]

    def fingerprints(self, axis: int) -> dict[int, str]:
        """A short text for each slice across ``axis`` that holds any of the mask; the same for the same voxels."""
        planes = np.moveaxis(self.box, axis, 0)
        corner = [c for a, c in enumerate(self.corner) if a != axis]
        return {i: _fingerprint(planes[i - self.corner[axis]], corner) for i in self.slices(axis)}


def _fingerprint(plane: Mask, corner: list[int]) -> str:
    """Must not depend on the box: other slices, painted later, change that."""
    rows, columns = (np.flatnonzero(plane.any(axis=a)) for a in (1, 0))
    place: list[Any] = [corner[0] + rows[0], corner[1] + columns[0], rows[-1] - rows[0], columns[-1] - columns[0]]
    voxels = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return blake2b(np.array(place, "<i8").tobytes() + np.packbits(voxels).tobytes(), digest_size=6).hexdigest()
