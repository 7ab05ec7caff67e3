"""The module in a real Slicer, without a window:

    Slicer --no-main-window --python-script Testing/slicer/check_scene.py

It needs nothing but the module's folder among Slicer's additional module paths. The tests of the scene run the same
checks on bare slicer-core; the exit status is 0 when all pass.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

import slicer

MODULE = Path(__file__).resolve().parents[2] / "MetaSegment"
if str(MODULE) not in sys.path:
    sys.path.insert(0, str(MODULE))


def a_ball() -> Any:
    k, j, i = np.indices((20, 32, 36))
    return (1.8 * (k - 9)) ** 2 + (j - 15) ** 2 + (i - 18) ** 2 <= 144


def a_painted_ball(scene: Any) -> tuple[Any, Any, str]:
    """An oblique volume under a transform, and a ball that is painted on every fourth slice."""
    ball = a_ball()
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(ball.shape))
    noise = np.random.default_rng(0).normal(0, 5, ball.shape)
    image.GetPointData().SetScalars(numpy_to_vtk((100 * ball + noise).astype(np.int16).ravel(), deep=True))
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    volume.SetAndObserveImageData(image)
    place = vtk.vtkTransform()
    place.Translate(10, -20, 30)
    place.RotateWXYZ(25, 1, 2, 3)
    place.Scale(0.8, 0.8, 1.8)
    volume.SetIJKToRASMatrix(place.GetMatrix())
    parent = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    turn = vtk.vtkTransform()
    turn.RotateZ(40)
    parent.SetMatrixTransformToParent(turn.GetMatrix())
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.CreateDefaultDisplayNodes()
    for node in (volume, segmentation):
        node.SetAndObserveTransformNodeID(parent.GetID())
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment_id = segmentation.GetSegmentation().AddEmptySegment("ball", "ball")
    painted = np.zeros_like(ball)
    painted[3:16:4] = ball[3:16:4]
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted.astype(np.uint8), segmentation, segment_id, volume)
    return volume, segmentation, segment_id


def dice(segmentation: Any, segment_id: str, volume: Any) -> float:
    found = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume) > 0
    ball = a_ball()
    return float(2 * (found & ball).sum() / (found.sum() + ball.sum()))


def check_process_and_undo(scene: Any) -> None:
    from MetaSegment import MetaSegmentLogic

    volume, segmentation, ball = a_painted_ball(scene)
    before = dice(segmentation, ball, volume)
    logic = MetaSegmentLogic()
    result = logic.process(volume, segmentation, method="shape")
    assert result.report["support_slices"] == [3, 7, 11, 15], result.report["support_slices"]
    assert dice(segmentation, ball, volume) > 0.9
    assert logic.undo()
    assert dice(segmentation, ball, volume) == before
    logic.process(volume, segmentation, method="shape")
    again = logic.process(volume, segmentation, method="shape")
    assert (again.labels == result.labels).all()


def check_background_run(scene: Any) -> None:
    from MetaSegment import MetaSegmentLogic

    volume, segmentation, ball = a_painted_ball(scene)
    ended: list[Any] = []
    run = MetaSegmentLogic().process(volume, segmentation, method="shape", wait=False, finished=ended.append)
    run.wait(120)
    assert ended == [run]
    assert dice(segmentation, ball, volume) > 0.9


CHECKS = (check_process_and_undo, check_background_run)


def run_all(scene: Any = None) -> None:
    """Run every check in the application's scene; the first one that fails raises."""
    for check in CHECKS:
        check(scene or slicer.mrmlScene)


if __name__ == "__main__" and hasattr(slicer, "app"):
    try:
        run_all()
    except Exception:
        traceback.print_exc()
        slicer.util.exit(1)
    else:
        slicer.util.exit(0)
