"""Slice views that cut across the slices of oblique volumes are found, and turned to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import slicer
from MetaSegmentLib.scene.alignment import align_views, unaligned_views
from MetaSegmentLib.scene.views import alignment, place_of
from scene.bench import BALL, OBLIQUE, TURN
from scene.nodes import a_rotation, add_volume, affine, an_image

SHEARED = affine([[0.8, 0, 0], [0, 0.8, 0.6], [0, 0, 2.0]])


def add_views(scene: Any) -> list[Any]:
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    views = [scene.AddNewNodeByClass("vtkMRMLSliceNode") for _ in range(3)]
    for view, name in zip(views, ("Axial", "Sagittal", "Coronal"), strict=True):
        assert view.SetOrientation(name)
    return views


@pytest.mark.parametrize(
    ("place", "transform"),
    [(OBLIQUE, None), (OBLIQUE, TURN), (affine(np.diag([0.8, 0.8, 2.0])), TURN), (SHEARED, None)],
    ids=["oblique", "oblique and turned", "turned by its transform", "sheared"],
)
def test_views_are_turned_to_the_slices(scene: Any, place: Any, transform: Any) -> None:
    views = add_views(scene)
    volume = add_volume(scene, an_image(BALL), place, transform)
    assert unaligned_views(volume)
    align_views(volume)
    assert unaligned_views(volume) == []
    axes = [int(np.argmax([alignment(view, volume, axis) for axis in range(3)])) for view in views]
    assert sorted(axes) == [0, 1, 2], "each view shows slices of an axis of its own"


def test_a_turned_view_lies_in_the_middle_of_a_slice(scene: Any) -> None:
    views = add_views(scene)
    volume = add_volume(scene, an_image(BALL), OBLIQUE)
    align_views(volume)
    for view, axis in zip(views, (0, 2, 1), strict=True):
        place = place_of(view, volume, axis)
        assert place is not None and abs(place - round(place)) < 1e-3


def test_views_along_the_slices_are_left_alone(scene: Any) -> None:
    add_views(scene)
    assert unaligned_views(add_volume(scene, an_image(BALL), affine(np.diag([-0.8, 0.8, 2.0])))) == []
    hardly = affine(a_rotation((0.3, 0, 0)) @ np.diag([0.8, 0.8, 2.0]))
    assert unaligned_views(add_volume(scene, an_image(BALL), hardly)) == []


def test_only_views_on_screen_matter_and_no_volume_is_no_problem(scene: Any) -> None:
    views = add_views(scene)
    volume = add_volume(scene, an_image(BALL), affine(np.diag([0.8, 0.8, 2.0])))
    matrix = slicer.util.vtkMatrixFromArray(affine(a_rotation((20, 0, 0))))
    views[0].GetSliceToRAS().DeepCopy(matrix)
    views[0].UpdateMatrices()
    assert unaligned_views(volume) == [views[0]]
    views[1].SetMappedInLayout(1)
    assert unaligned_views(volume) == []
    assert unaligned_views(None) == [] and unaligned_views(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")) == []
