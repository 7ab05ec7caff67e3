"""Where the voxels of a volume lie, and whether two volumes share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Triple = tuple[float, float, float]
# Headers round their numbers; a twentieth of a voxel at the far corner is no other grid.
TOLERANCE_VOXELS = 0.05
ROUNDING = 1e-3
"""Of direction cosines."""


@dataclass(frozen=True)
class Grid:
    """A lattice of voxels in the patient (LPS, mm). Everything here is in file order i, j, k, not in array order.

    Attributes:
        size: voxels along i, j, k.
        origin: position of voxel (0, 0, 0).
        spacing: mm between voxel centres.
        direction: 3×3 by rows; its columns are the unit vectors along i, j, k, not perpendicular if the slices are
            sheared, as by a tilted gantry.
    """

    size: tuple[int, int, int]
    origin: Triple
    spacing: Triple
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: Any) -> Grid:
        """The grid of a 3D SimpleITK image; what scales its directions goes into the spacing."""
        grid = cls(image.GetSize(), image.GetOrigin(), image.GetSpacing(), image.GetDirection())
        lengths = np.linalg.norm(np.reshape(grid.direction, (3, 3)), axis=0)
        return grid if np.abs(lengths - 1).max() < ROUNDING else cls.from_matrix(grid.size, grid.matrix)

    @classmethod
    def from_matrix(cls, size: Sequence[int], matrix: NDArray[Any]) -> Grid:
        """The grid with a 4×4 matrix from voxel indices to LPS mm."""
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        if not np.isfinite(matrix).all() or not spacing.all():
            raise InputError("The file says nothing of where its voxels lie; save it again from Slicer.")
        direction = matrix[:3, :3] / spacing
        i, j, k = (int(n) for n in size)
        return cls((i, j, k), _triple(matrix[:3, 3]), _triple(spacing), tuple(float(x) for x in direction.ravel()))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """4×4 from voxel indices (i, j, k) to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(self.direction, (3, 3)) * self.spacing
        matrix[:3, 3] = self.origin
        return matrix

    @property
    def array_spacing(self) -> Triple:
        """Spacing in mm in array order (k, j, i)."""
        return self.spacing[2], self.spacing[1], self.spacing[0]

    @property
    def array_shape(self) -> tuple[int, int, int]:
        """(K, J, I)."""
        return self.size[2], self.size[1], self.size[0]

    @property
    def voxel_ml(self) -> float:
        """Millilitres of one voxel; on sheared axes it is less than the product of the spacings."""
        return float(abs(np.linalg.det(self.matrix[:3, :3]))) / 1000

    @property
    def sheared(self) -> bool:
        """Whether the axes are so far from perpendicular that it moves voxels."""
        axes, spacing = np.reshape(self.direction, (3, 3)), np.array(self.spacing)
        moved = np.abs(axes.T @ axes - np.eye(3)) * (spacing * self.size) / spacing[:, np.newaxis]
        return bool(moved.max() > TOLERANCE_VOXELS)

    def lies_at(self, matrix: NDArray[Any]) -> bool:
        """Whether a 4×4 matrix to LPS mm puts the voxels where this grid has them."""
        if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < np.finfo(float).tiny:
            return False
        corners = np.array([(*corner, 1) for corner in product(*((0, n - 1) for n in self.size))], float)
        found = (corners @ (np.linalg.inv(self.matrix) @ matrix).T)[:, :3]
        return bool(np.abs(found - corners[:, :3]).max() <= TOLERANCE_VOXELS)

    def offset_in(self, other: Grid) -> tuple[int, int, int] | None:
        """Voxels (i, j, k) from the first voxel of ``other`` to this one's, or None when the lattices differ."""
        corners = np.array([(*corner, 1) for corner in product(*((0, n - 1) for n in self.size))], float)
        found = (corners @ (np.linalg.inv(other.matrix) @ self.matrix).T)[:, :3]
        offset = np.round(found[0])
        if np.abs(found - (corners[:, :3] + offset)).max() > TOLERANCE_VOXELS:
            return None
        i, j, k = (int(n) for n in offset)
        return i, j, k

    def difference_from(self, other: Grid) -> str:
        """In a few words, what makes this another grid than ``other``."""
        if other.sheared and not self.sheared:
            return "the image's slices are sheared, as by a tilted gantry, and the support's are not"
        if not np.allclose(self.spacing, other.spacing, rtol=1e-3):
            return f"its spacing is {_times(self.spacing)} mm, the image's {_times(other.spacing)} mm"
        if not np.allclose(self.direction, other.direction, atol=1e-3):
            return "its axes run in other directions than the image's"
        if self.size != other.size:
            return f"its size is {_times(self.size)} voxels, the image's {_times(other.size)}"
        far = (self.matrix - other.matrix) @ (*np.subtract(self.size, 1), 1)
        apart = {"first": np.linalg.norm(np.subtract(self.origin, other.origin)), "last": np.linalg.norm(far)}
        which = "first" if apart["first"] > TOLERANCE_VOXELS * min(self.spacing) else "last"
        return f"its {which} voxel is {apart[which]:.3g} mm from the image's"


def _triple(values: Sequence[float] | NDArray[Any]) -> Triple:
    first, second, third = (float(value) for value in values)
    return first, second, third


def _times(values: Sequence[float]) -> str:
    return " × ".join(f"{value:.4g}" for value in values)
