"""One voxel grid for everything: arrays in numpy order to and from images placed in space.

All images of a run live in the coordinate system of the segmentation node. The grid is the volume's own, seen
from there, so parent transforms are dealt with once, when the grid is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

import slicer

from ..errors import InputError
from ..task.parts import Extent, shifted, size_of
from .i18n import tr as _

LABELMAP = "Binary labelmap"
"""The representation that segments are edited in."""

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Grid:
    """The voxel grid of a volume.

    Attributes:
        shape: (K, J, I) voxels, numpy order.
        matrix: (4, 4) from voxel indices (i, j, k) to the coordinate system of the segmentation node, in mm.
        first: (k, j, i) of its first voxel in the images that lie on it, whose indices may begin elsewhere.
    """

    shape: Shape
    matrix: NDArray[np.float64]
    first: Shape = (0, 0, 0)

    @classmethod
    def of(cls, image: Any) -> Grid:
        """The grid of a vtkOrientedImageData, with its own indices."""
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        return cls(size_of(extent_of(image)), _to_numpy(matrix))

    def same_as(self, other: Grid) -> bool:
        return self.shape == other.shape and np.allclose(self.matrix, other.matrix, atol=1e-4)

    @property
    def extent(self) -> Extent:
        """All voxels."""
        k, j, i = self.shape
        return (slice(0, k), slice(0, j), slice(0, i))

    @property
    def placement(self) -> Any:
        """The matrix of the images that lie on it, as a vtkMatrix4x4."""
        matrix = self.matrix.copy()
        matrix[:3, 3] -= self.matrix[:3, :3] @ self.first[::-1]
        return _to_vtk(matrix)

    def place_of(self, image: Any) -> Extent:
        """Where the voxels of an image that lies on this grid are."""
        return shifted(extent_of(image), [-n for n in self.first])

    def blank(self, extent: Extent, dtype: Any = np.uint8) -> Any:
        """A vtkOrientedImageData of a box of this grid; its voxels are not set yet."""
        return blank(shifted(extent, self.first), self.placement, dtype)

    def reference(self, extent: Extent | None = None) -> Any:
        """A vtkOrientedImageData of this grid, or of a box of it, without voxels."""
        return _without_voxels(shifted(self.extent if extent is None else extent, self.first), self.placement)

    def image(self, array: NDArray[Any]) -> Any:
        """A vtkOrientedImageData of a (K, J, I) array on the whole grid."""
        image = self.blank(self.extent, array.dtype)
        voxels(image)[:] = array
        return image

    def covered_by(self, image: Any) -> Extent | None:
        """A box of this grid outside which a vtkOrientedImageData has no voxels; None if it has none on the grid."""
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        ends = np.array(image.GetExtent(), float).reshape(3, 2) + (-0.5, 0.5)
        corners = np.array([[*corner, 1.0] for corner in product(*ends)])
        there = (np.linalg.inv(self.matrix) @ _to_numpy(matrix) @ corners.T)[2::-1]
        first = np.maximum(np.floor(there.min(axis=1)).astype(int) - 1, 0)
        stop = np.minimum(np.ceil(there.max(axis=1)).astype(int) + 2, self.shape)
        if (first >= stop).any():
            return None
        k, j, i = (slice(int(a), int(b)) for a, b in zip(first, stop, strict=True))
        return (k, j, i)

    def holds(self, image: Any) -> bool:
        """Whether the voxels of ``image`` are voxels of this grid, or of its continuation beyond the border."""
        return bool(slicer.vtkOrientedImageDataResample.DoGeometriesMatch(image, self.reference()))

    def sample(self, image: Any, extent: Extent, linear: bool = False) -> NDArray[Any]:
        """Voxels of a vtkOrientedImageData, taken at the voxel centres of a box of this grid (nearest, or linear)."""
        if image.IsEmpty():
            return np.zeros(size_of(extent), np.uint8)
        sampled = slicer.vtkOrientedImageData()
        done = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
            image, self.reference(extent), sampled, linear, False, None, 0.0
        )
        if not done:
            raise InputError(
                _("A segment cannot be brought onto the voxel grid of the volume; check their transforms.")
            )
        return voxels(sampled)


def grid_of(volume: Any, segmentation: Any) -> Grid:
    """The grid of a volume node in the coordinate system of a segmentation node.

    Raises:
        InputError: the volume is empty, or one of the nodes is under a non-linear transform.
    """
    data = volume.GetImageData()
    if data is None or 0 in data.GetDimensions() or data.GetPointData().GetScalars() is None:
        raise InputError(_("The input volume has no voxels; choose a volume that is loaded."))
    for node in (volume, segmentation):
        transform = node.GetParentTransformNode()
        if transform is not None and not transform.IsTransformToWorldLinear():
            raise InputError(
                _("The volume or the segmentation is under a non-linear transform; harden it or move both out of it.")
            )
    ijk_to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(ijk_to_ras)
    i, j, k = data.GetDimensions()
    to_world = transform_between(volume, None) @ _to_numpy(ijk_to_ras)
    if not (_can_be_undone(to_world) and _can_be_undone(transform_between(segmentation, None))):
        text = _("The volume or the segmentation is under a transform that flattens it; move it out of that transform.")
        raise InputError(text)
    return Grid((k, j, i), transform_between(volume, segmentation) @ _to_numpy(ijk_to_ras))


def _can_be_undone(matrix: NDArray[np.float64]) -> bool:
    return bool(np.isfinite(matrix).all() and np.linalg.matrix_rank(matrix[:3, :3]) == 3)


def transform_between(source: Any, target: Any | None) -> NDArray[np.float64]:
    """(4, 4) from the coordinates of node ``source`` to those of ``target``, or to the world."""
    matrix = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(
        source.GetParentTransformNode(), target.GetParentTransformNode() if target is not None else None, matrix
    )
    return _to_numpy(matrix)


def volume_image(volume: Any, segmentation: Any, held: Any | None = None) -> Any:
    """The voxels of a volume node as a vtkOrientedImageData in the coordinate system of a segmentation node.

    Args:
        held: the node whose voxels are wanted in the place of its own, such as those of another time point.
    """
    image = slicer.vtkOrientedImageData()
    image.ShallowCopy((held or volume).GetImageData())
    image.SetGeometryFromImageToWorldMatrix(_to_vtk(grid_of(volume, segmentation).matrix))
    return image


def blank(extent: Extent, placement: Any, dtype: Any = np.uint8) -> Any:
    """A vtkOrientedImageData at ``extent`` of a vtkMatrix4x4 geometry; its voxels are not set yet."""
    image = _without_voxels(extent, placement)
    image.AllocateScalars(get_vtk_array_type(np.dtype(dtype)), 1)
    return image


def extent_of(image: Any) -> Extent:
    """Where the voxels of an image are."""
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    return (slice(k0, k1 + 1), slice(j0, j1 + 1), slice(i0, i1 + 1))


def voxels(image: Any) -> NDArray[Any]:
    """The (k, j, i) array of an image, (k, j, i, components) of a colour image.

    It is a view, good as long as the image is not changed.
    """
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    array: NDArray[Any] = vtk_to_numpy(image.GetPointData().GetScalars())
    return array.reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1, *array.shape[1:])


def _without_voxels(extent: Extent, placement: Any) -> Any:
    image = slicer.vtkOrientedImageData()
    image.SetExtent([end for s in reversed(extent) for end in (s.start, s.stop - 1)])
    image.SetGeometryFromImageToWorldMatrix(placement)
    return image


def _to_numpy(matrix: Any) -> NDArray[np.float64]:
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def _to_vtk(matrix: NDArray[np.float64]) -> Any:
    result = vtk.vtkMatrix4x4()
    result.DeepCopy(matrix.ravel())
    return result
