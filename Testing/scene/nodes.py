"""Real nodes for the tests of the scene: volumes, transforms and painted segments, placed by plain matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

import slicer
from MetaSegmentLib.settings import Result

SHAPE = (16, 18, 20)


def a_ball(centre: tuple[float, ...] = (8, 9, 10), radius: float = 6.0, shape: tuple[int, ...] = SHAPE) -> Any:
    """A (K, J, I) mask, lopsided so that a flip or a shift does not go unnoticed."""
    k, j, i = np.indices(shape).astype(float)
    d = (k - centre[0]) ** 2 + (1.3 * (j - centre[1])) ** 2 + (1.1 * (i - centre[2]) - 0.3 * (k - centre[0])) ** 2
    return d <= radius**2


def an_image(mask: Any) -> Any:
    """Voxels in which the structure can be seen."""
    rng = np.random.default_rng(0)
    return (100 * mask + rng.normal(0, 5, mask.shape)).astype(np.int16)


def only(mask: Any, axis: int, slices: list[int]) -> Any:
    """The mask on some slices."""
    result = np.zeros_like(mask)
    np.moveaxis(result, axis, 0)[slices] = np.moveaxis(mask, axis, 0)[slices]
    return result


def to_vtk(matrix: Any) -> Any:
    result = vtk.vtkMatrix4x4()
    result.DeepCopy(np.asarray(matrix, float).ravel())
    return result


def affine(columns: Any, origin: tuple[float, ...] = (0, 0, 0)) -> Any:
    matrix = np.eye(4)
    matrix[:3, :3] = columns
    matrix[:3, 3] = origin
    return matrix


def a_rotation(degrees: tuple[float, float, float]) -> Any:
    result = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        a, b = (i for i in range(3) if i != axis)
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        result = result @ turn
    return result


def add_volume(scene: Any, array: Any, matrix: Any = None, transform: Any = None) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "volume")
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(array.shape))
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True))
    node.SetAndObserveImageData(image)
    node.SetIJKToRASMatrix(to_vtk(np.eye(4) if matrix is None else matrix))
    put_under(node, transform)
    return node


def put_under(node: Any, matrix: Any) -> None:
    """Give a node a linear parent transform."""
    if matrix is None:
        return
    transform = node.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(to_vtk(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())


def add_segmentation(scene: Any, transform: Any = None) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "segmentation")
    node.CreateDefaultDisplayNodes()
    put_under(node, transform)
    return node


def world(node: Any) -> Any:
    """(4, 4) from a node's coordinates to the world."""
    matrix = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(node.GetParentTransformNode(), None, matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def grid_matrix(volume: Any, segmentation: Any) -> Any:
    """(4, 4) from the volume's voxel indices to the segmentation's coordinates."""
    ijk_to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(ijk_to_ras)
    return np.linalg.inv(world(segmentation)) @ world(volume) @ slicer.util.arrayFromVTKMatrix(ijk_to_ras)


def oriented_image(mask: Any, matrix: Any, corner: tuple[int, int, int] = (0, 0, 0)) -> Any:
    image = slicer.vtkOrientedImageData()
    (k, j, i), (dk, dj, di) = corner, mask.shape
    image.SetExtent(i, i + di - 1, j, j + dj - 1, k, k + dk - 1)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(mask, np.uint8).ravel(), deep=True))
    image.SetGeometryFromImageToWorldMatrix(to_vtk(matrix))
    return image


def paint(segmentation: Any, volume: Any, name: str, mask: Any, cropped: bool = False) -> str:
    """Add a segment with a (K, J, I) mask of the volume's grid; ``cropped`` stores its bounding box only."""
    corner = (0, 0, 0)
    if cropped:
        hits = np.nonzero(mask)
        corner = tuple(int(h.min()) for h in hits)
        mask = mask[tuple(slice(int(h.min()), int(h.max()) + 1) for h in hits)]
    segment = slicer.vtkSegment()
    segment.SetName(name)
    segment.SetColor(0.2, 0.4, 0.6)
    segment.AddRepresentation("Binary labelmap", oriented_image(mask, grid_matrix(volume, segmentation), corner))
    segmentation.GetSegmentation().AddSegment(segment, name)
    return name


def repaint(segmentation: Any, volume: Any, segment_id: str, mask: Any) -> None:
    """Replace the voxels of a segment, as a user does who edits it."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    image = oriented_image(mask, grid_matrix(volume, segmentation))
    segmentation.GetSegmentation().SeparateSegmentLabelmap(segment_id)
    assert logic.SetBinaryLabelmapToSegment(image, segmentation, segment_id, logic.MODE_REPLACE)


def look(segmentation: Any, volume: Any, segment_id: str) -> Any:
    """(K, J, I): the segment at the centres of the volume's voxels, found by plain matrices."""
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    layer = segment.GetRepresentation("Binary labelmap")
    i0, i1, j0, j1, k0, k1 = layer.GetExtent()
    i, j, k = volume.GetImageData().GetDimensions()
    if i1 < i0:
        return np.zeros((k, j, i), bool)
    values = vtk_to_numpy(layer.GetPointData().GetScalars()).reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
    to_world = vtk.vtkMatrix4x4()
    layer.GetImageToWorldMatrix(to_world)
    to_layer = np.linalg.inv(slicer.util.arrayFromVTKMatrix(to_world)) @ grid_matrix(volume, segmentation)
    kk, jj, ii = np.indices((k, j, i)).reshape(3, -1)
    at = np.rint(to_layer @ np.stack([ii, jj, kk, np.ones_like(ii)])).astype(int)[2::-1] - np.array([[k0], [j0], [i0]])
    inside = np.all((at >= 0) & (at < np.array(values.shape)[:, None]), axis=0)
    result = np.zeros(ii.shape, bool)
    result[inside] = values[tuple(at[:, inside])] == segment.GetLabelValue()
    return result.reshape(k, j, i)


def nearest_slice_result(painting: Any, axis: int, support: list[int]) -> Result:
    """A result as the engine makes it, in which every slice repeats the nearest painted one."""
    planes = np.moveaxis(painting.layers[0], axis, 0)
    nearest = [min(support, key=lambda s: abs(s - i)) for i in range(len(planes))]
    labels = np.ascontiguousarray(np.moveaxis(planes[nearest], 0, axis))
    nothing = np.zeros(labels.shape, np.float16)
    planes = np.moveaxis(painting.layers[0], axis, 0)[support]
    learned = [label for label in painting.names if (planes == label).any()]
    report = {"axis": axis, "segments": {str(label): {"support_slices": support} for label in learned}}
    return Result(labels, nothing, dict.fromkeys(painting.names, 0.9), [], report)
