"""Paint goes from the scene to an array and back without moving by a voxel, wherever the nodes are in space."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vtk

import slicer
from MetaSegmentLib import InputError
from MetaSegmentLib.scene.geometry import spacing_of, voxels
from MetaSegmentLib.scene.reader import read_painting
from MetaSegmentLib.scene.rules import EditRules
from MetaSegmentLib.scene.writer import Editor, write_result
from scene.nodes import (
    a_ball,
    a_rotation,
    add_segmentation,
    add_volume,
    affine,
    an_image,
    look,
    nearest_slice_result,
    only,
    oriented_image,
    paint,
    put_under,
    to_vtk,
)

SPACED = np.diag([0.7, 0.9, 3.0])
GRIDS = {
    "plain": affine(np.eye(3)),
    "anisotropic": affine(SPACED, (10, -20, 30)),
    "flipped": affine(np.diag([-0.7, -0.9, 3.0]), (100, 120, -50)),
    "left-handed": affine(np.diag([0.7, 0.9, -3.0]), (1, 2, 3)),
    "sagittal": affine(np.array([[0, 0, 3.0], [-0.7, 0, 0], [0, 0.9, 0]]), (-4, 5, 6)),
    "oblique": affine(a_rotation((20, -35, 50)) @ SPACED, (-31.3, 17.7, 4.2)),
    "sheared": affine(a_rotation((5, 10, 15)) @ np.array([[1, 0.3, 0], [0, 1, 0.2], [0, 0, 2.5]]), (7, 7, 7)),
}
TURN = affine(a_rotation((40, 10, -25)), (12.5, -3.25, 8))
STRETCH = affine(a_rotation((0, 30, 10)) @ np.diag([1.5, 0.8, 1.1]), (-5, 6, 40))
TRANSFORMS: dict[str, tuple[Any, Any]] = {
    "no transform": (None, None),
    "both under one": (TURN, TURN),
    "volume only": (STRETCH, None),
    "segmentation only": (None, TURN),
    "each its own": (TURN, STRETCH),
}
SUPPORT = [5, 8, 11]


@pytest.mark.parametrize("transforms", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_round_trip(scene: Any, grid: Any, transforms: tuple[Any, Any], axis: int) -> None:
    truth = a_ball()
    painted = only(truth, axis, SUPPORT)
    volume = add_volume(scene, an_image(truth), grid, transforms[0])
    segmentation = add_segmentation(scene, transforms[1])
    ball = paint(segmentation, volume, "ball", painted, cropped=True)

    painting = read_painting(volume, segmentation)
    np.testing.assert_array_equal(painting.labels, painted)
    np.testing.assert_array_equal(painting.image, an_image(truth))

    result = nearest_slice_result(painting, axis, SUPPORT)
    write_result(painting, result, volume, segmentation, segmentation, EditRules(None, volume), Editor())
    np.testing.assert_array_equal(look(segmentation, volume, ball), result.labels == 1)
    layer = segmentation.GetSegmentation().GetSegment(ball).GetRepresentation("Binary labelmap")
    assert painting.grid.holds(layer)


def test_spacing_is_measured_in_the_world(scene: Any) -> None:
    volume = add_volume(scene, an_image(a_ball()), GRIDS["oblique"])
    assert spacing_of(volume) == pytest.approx((3.0, 0.9, 0.7))
    put_under(volume, affine(np.diag([2.0, 2.0, 2.0])))
    assert spacing_of(volume) == pytest.approx((6.0, 1.8, 1.4))


def test_reference_geometry_is_the_volumes(scene: Any) -> None:
    truth = a_ball()
    volume = add_volume(scene, an_image(truth), GRIDS["oblique"], STRETCH)
    segmentation = add_segmentation(scene, TURN)
    paint(segmentation, volume, "ball", only(truth, 0, SUPPORT))
    painting = read_painting(volume, segmentation)
    result = nearest_slice_result(painting, 0, SUPPORT)
    write_result(painting, result, volume, segmentation, segmentation, EditRules(None, volume), Editor())
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    text = segmentation.GetSegmentation().GetConversionParameter(name)
    reference = slicer.vtkOrientedImageData()
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, reference, False)
    assert painting.grid.holds(reference)
    assert reference.GetDimensions() == tuple(reversed(truth.shape))


def test_segment_on_another_grid_moves_onto_the_volumes_and_its_neighbour_stays(scene: Any) -> None:
    """Both share a label map of twice the resolution, turned against the volume."""
    truth = a_ball()
    volume = add_volume(scene, an_image(truth))
    segmentation = add_segmentation(scene)
    other_grid = affine(a_rotation((0, 0, 20)) / 2, (-4, 2, 5))
    fine = np.zeros((20, 40, 50), bool)
    fine[:2, 10:30, 20:40] = True
    neighbour = np.zeros_like(fine)
    neighbour[6:9, 12:20, 8:30] = True
    for name, mask in (("ball", fine), ("neighbour", neighbour)):
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", oriented_image(mask, other_grid))
        segmentation.GetSegmentation().AddSegment(segment, name)
    segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert segmentation.GetSegmentation().GetNumberOfLayers() == 1

    painting = read_painting(volume, segmentation, ["ball"])
    support = np.flatnonzero(painting.labels.any(axis=(1, 2))).tolist()
    result = nearest_slice_result(painting, 0, support)
    write_result(painting, result, volume, segmentation, segmentation, EditRules(None, volume), Editor())

    np.testing.assert_array_equal(look(segmentation, volume, "ball"), result.labels == 1)
    kept = slicer.vtkOrientedImageData()
    segmentation.GetBinaryLabelmapRepresentation("neighbour", kept)
    on_own_grid = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        kept, oriented_image(neighbour, other_grid), on_own_grid
    )
    np.testing.assert_array_equal(voxels(on_own_grid), neighbour)


@pytest.mark.parametrize("node", ["volume", "segmentation"])
def test_nonlinear_transform_is_refused(scene: Any, node: str) -> None:
    truth = a_ball()
    volume, segmentation = add_volume(scene, an_image(truth)), add_segmentation(scene)
    paint(segmentation, volume, "ball", only(truth, 0, SUPPORT))
    bend = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    spline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    moved = vtk.vtkPoints()
    for i, p in enumerate([(0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9), (5, 5, 5)]):
        points.InsertNextPoint(p)
        moved.InsertNextPoint(p[0] + i % 2, p[1], p[2])
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(moved)
    bend.SetAndObserveTransformToParent(spline)
    {"volume": volume, "segmentation": segmentation}[node].SetAndObserveTransformNodeID(bend.GetID())
    with pytest.raises(InputError, match="non-linear"):
        read_painting(volume, segmentation)


def test_volume_moved_during_the_run_is_noticed(scene: Any) -> None:
    truth = a_ball()
    volume, segmentation = add_volume(scene, an_image(truth)), add_segmentation(scene)
    paint(segmentation, volume, "ball", only(truth, 0, SUPPORT))
    painting = read_painting(volume, segmentation)
    volume.SetIJKToRASMatrix(to_vtk(GRIDS["oblique"]))
    result = nearest_slice_result(painting, 0, SUPPORT)
    with pytest.raises(InputError, match="run it again"):
        write_result(painting, result, volume, segmentation, segmentation, EditRules(None, volume), Editor())
    assert not segmentation.GetSegmentation().GetSegment("ball").HasTag("MetaSegment.Slices")


def test_volume_without_voxels_is_refused(scene: Any) -> None:
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    with pytest.raises(InputError, match="no voxels"):
        read_painting(empty, add_segmentation(scene))
