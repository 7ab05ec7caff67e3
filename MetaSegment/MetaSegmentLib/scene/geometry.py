"""One voxel grid for everything: arrays in numpy order to and from images placed in space.

All images of a run live in the coordinate system of the segmentation node. The grid is the volume's own, seen
from there, so parent transforms are dealt with once, when the grid is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

import slicer

from ..errors import InputError
from .i18n import tr as _

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Grid:
    """The voxel grid of a volume.

    Attributes:
        shape: (K, J, I) voxels, numpy order.
        matrix: (4, 4) from voxel indices (i, j, k) to the coordinate system of the segmentation node, in mm.
    """

    shape: Shape
    matrix: NDArray[np.float64]

    def same_as(self, other: Grid) -> bool:
        return self.shape == other.shape and np.allclose(self.matrix, other.matrix, atol=1e-4)

    def reference(self) -> Any:
        """A vtkOrientedImageData of this grid without voxels."""
        k, j, i = self.shape
        image = slicer.vtkOrientedImageData()
        image.SetExtent(0, i - 1, 0, j - 1, 0, k - 1)
        image.SetGeometryFromImageToWorldMatrix(_to_vtk(self.matrix))
        return image

    def image(self, box: NDArray[Any], corner: tuple[int, int, int] = (0, 0, 0)) -> Any:
        """A vtkOrientedImageData of the (k, j, i) array ``box`` whose first voxel is voxel ``corner`` of the grid."""
        return placed(box, corner, _to_vtk(self.matrix))

    def holds(self, image: Any) -> bool:
        """Whether the voxels of ``image`` are voxels of this grid, or of its continuation beyond the border."""
        return bool(slicer.vtkOrientedImageDataResample.DoGeometriesMatch(image, self.reference()))

    def sample(self, image: Any, linear: bool = False, outside: float = 0.0) -> NDArray[Any]:
        """(K, J, I) voxels of a vtkOrientedImageData, taken at this grid's voxel centres (nearest, or linear)."""
        if image.IsEmpty():
            return np.zeros(self.shape, np.uint8)
        sampled = slicer.vtkOrientedImageData()
        done = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
            image, self.reference(), sampled, linear, False, None, outside
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
    if data is None or 0 in data.GetDimensions():
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
    return Grid((k, j, i), transform_between(volume, segmentation) @ _to_numpy(ijk_to_ras))


def spacing_of(volume: Any) -> tuple[float, float, float]:
    """Millimetres between voxels in array order (k, j, i), as measured in the world: a parent transform may scale."""
    ijk_to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(ijk_to_ras)
    columns = (transform_between(volume, None) @ _to_numpy(ijk_to_ras))[:3, :3]
    i, j, k = np.linalg.norm(columns, axis=0)
    return (float(k), float(j), float(i))


def transform_between(source: Any, target: Any | None) -> NDArray[np.float64]:
    """(4, 4) from the coordinates of node ``source`` to those of ``target``, or to the world."""
    matrix = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(
        source.GetParentTransformNode(), target.GetParentTransformNode() if target is not None else None, matrix
    )
    return _to_numpy(matrix)


def volume_image(volume: Any, segmentation: Any) -> Any:
    """The voxels of a volume node as a vtkOrientedImageData in the coordinate system of a segmentation node."""
    image = slicer.vtkOrientedImageData()
    image.ShallowCopy(volume.GetImageData())
    image.SetGeometryFromImageToWorldMatrix(_to_vtk(grid_of(volume, segmentation).matrix))
    return image


def placed(box: NDArray[Any], corner: tuple[int, int, int], matrix: Any) -> Any:
    """A vtkOrientedImageData of a (k, j, i) array at extent ``corner`` (k, j, i) of a vtkMatrix4x4 geometry."""
    image = slicer.vtkOrientedImageData()
    extent = []
    for first, count in zip(reversed(corner), reversed(box.shape), strict=True):
        extent += [first, first + count - 1]
    image.SetExtent(extent)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(box).ravel(), deep=True))
    image.SetGeometryFromImageToWorldMatrix(matrix)
    return image


def voxels(image: Any) -> NDArray[Any]:
    """The (k, j, i) array of an image, (k, j, i, components) of a colour image.

    It is a view, good as long as the image is not changed.
    """
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    array: NDArray[Any] = vtk_to_numpy(image.GetPointData().GetScalars())
    return array.reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1, *array.shape[1:])


def _to_numpy(matrix: Any) -> NDArray[np.float64]:
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def _to_vtk(matrix: NDArray[np.float64]) -> Any:
    result = vtk.vtkMatrix4x4()
    result.DeepCopy(matrix.ravel())
    return result
