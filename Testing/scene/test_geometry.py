"""Paint goes from the scene to an array and back without moving by a voxel, wherever the nodes are in space."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vtk

import slicer
from MetaSegmentLib import InputError
from MetaSegmentLib.scene.geometry import voxels
from MetaSegmentLib.scene.paint_grid import paint_grid_of
from MetaSegmentLib.scene.reader import read_painting
from scene.bench import BALL, Bench
from scene.nodes import (
    a_ball,
    a_rotation,
    add_segmentation,
    add_volume,
    affine,
    an_image,
    oriented_image,
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


@pytest.mark.parametrize("transforms", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_round_trip(scene: Any, grid: Any, transforms: tuple[Any, Any], axis: int) -> None:
    bench = Bench(scene, axis, grid, transforms)
    painting, ball = bench.fill()
    np.testing.assert_array_equal(painting.layers[0], bench.painted)
    np.testing.assert_array_equal(painting.image, an_image(BALL))
    np.testing.assert_array_equal(bench.look(), ball)
    assert painting.grid.holds(bench.segments.GetSegment(bench.ball).GetRepresentation("Binary labelmap"))


def test_spacing_is_measured_in_the_world(scene: Any) -> None:
    volume, segmentation = add_volume(scene, an_image(a_ball()), GRIDS["oblique"]), add_segmentation(scene, TURN)
    assert paint_grid_of(volume, segmentation).spacing(segmentation) == pytest.approx((3.0, 0.9, 0.7))
    put_under(volume, affine(np.diag([2.0, 2.0, 2.0])))
    assert paint_grid_of(volume, segmentation).spacing(segmentation) == pytest.approx((6.0, 1.8, 1.4))


def test_a_voxel_is_as_large_as_in_the_world(scene: Any) -> None:
    volume, segmentation = add_volume(scene, an_image(a_ball()), GRIDS["sheared"]), add_segmentation(scene, TURN)
    assert paint_grid_of(volume, segmentation).voxel_ml(segmentation) == pytest.approx(0.0025)
    put_under(volume, affine(np.array([[2.0, 0.7, 0], [0, 1, 0], [0, 0, -1.5]])))
    assert paint_grid_of(volume, segmentation).voxel_ml(segmentation) == pytest.approx(0.0075)


def test_reference_geometry_is_the_volumes(scene: Any) -> None:
    bench = Bench(scene, 0, GRIDS["oblique"], (STRETCH, TURN))
    painting, _ = bench.fill()
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    text = bench.segments.GetConversionParameter(name)
    reference = slicer.vtkOrientedImageData()
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, reference, False)
    assert painting.grid.holds(reference)
    assert reference.GetDimensions() == tuple(reversed(BALL.shape))


def test_segment_on_another_grid_moves_onto_the_volumes_and_its_neighbour_stays(scene: Any) -> None:
    """Both share a label map of twice the resolution, turned against the volume."""
    bench = Bench(scene, 0, np.eye(4), (None, None))
    bench.segments.RemoveSegment(bench.ball)
    other_grid = affine(a_rotation((0, 0, 20)) / 2, (-4, 2, 5))
    fine = np.zeros((20, 40, 50), bool)
    fine[:2, 10:30, 20:40] = True
    neighbour = np.zeros_like(fine)
    neighbour[6:9, 12:20, 8:30] = True
    for name, mask in (("ball", fine), ("neighbour", neighbour)):
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", oriented_image(mask, other_grid))
        bench.segments.AddSegment(segment, name)
    bench.share_layers()
    _, ball = bench.fill(["ball"])
    np.testing.assert_array_equal(bench.look("ball"), ball)
    kept = slicer.vtkOrientedImageData()
    bench.segmentation.GetBinaryLabelmapRepresentation("neighbour", kept)
    on_own_grid = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        kept, oriented_image(neighbour, other_grid), on_own_grid
    )
    np.testing.assert_array_equal(voxels(on_own_grid), neighbour)


@pytest.mark.parametrize("node", ["volume", "segmentation"])
def test_nonlinear_transform_is_refused(bench: Bench, node: str) -> None:
    bend = bench.scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    spline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    moved = vtk.vtkPoints()
    for i, p in enumerate([(0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9), (5, 5, 5)]):
        points.InsertNextPoint(p)
        moved.InsertNextPoint(p[0] + i % 2, p[1], p[2])
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(moved)
    bend.SetAndObserveTransformToParent(spline)
    getattr(bench, node).SetAndObserveTransformNodeID(bend.GetID())
    with pytest.raises(InputError, match="non-linear"):
        read_painting(bench.volume, bench.segmentation)


def test_volume_moved_during_the_run_is_noticed(bench: Bench) -> None:
    painting = read_painting(bench.volume, bench.segmentation)
    bench.volume.SetIJKToRASMatrix(to_vtk(GRIDS["oblique"]))
    with pytest.raises(InputError, match="run it again"):
        bench.write(painting)
    assert not bench.segments.GetSegment(bench.ball).HasTag("MetaSegment.Slices")


def test_volume_without_voxels_is_refused(scene: Any) -> None:
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    with pytest.raises(InputError, match="no voxels"):
        read_painting(empty, add_segmentation(scene))
