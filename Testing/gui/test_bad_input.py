"""Input that cannot be used: one sentence each, and the panel goes on."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vtk

import slicer
from gui.desk import PAINTED
from gui.test_life import load_bundle, save_bundle
from scene.nodes import add_segmentation, paint

pytestmark = pytest.mark.usefixtures("in_a_thread")


def works_again(desk: Any) -> None:
    """The panel can be used after what went wrong."""
    desk.parameters.inputVolume, desk.parameters.segmentation = desk.volume, desk.segmentation
    desk.settle()
    desk.errors.clear()
    desk.segment()
    assert not desk.errors


def image(components: int = 1, size: tuple[int, int, int] = (20, 18, 16)) -> Any:
    found = vtk.vtkImageData()
    found.SetDimensions(*size)
    found.AllocateScalars(vtk.VTK_SHORT, components)
    found.GetPointData().GetScalars().Fill(0)
    return found


def add(desk: Any, kind: str, data: Any) -> Any:
    node = desk.scene.AddNewNodeByClass(kind)
    node.SetAndObserveImageData(data)
    return node


@pytest.mark.parametrize(
    ("kind", "components", "sentence"),
    [
        ("vtkMRMLScalarVolumeNode", 0, "The volume is empty; choose one that is loaded."),
        ("vtkMRMLLabelMapVolumeNode", 1, "A label map holds no intensities; choose the scan itself."),
        ("vtkMRMLVectorVolumeNode", 3, "Vector to Scalar Volume"),
        ("vtkMRMLScalarVolumeNode", 3, "Vector to Scalar Volume"),
        ("vtkMRMLVectorVolumeNode", 12, "12 volumes in one"),
    ],
    ids=["without image data", "label map", "RGB", "RGB as scalars", "4D"],
)
def test_a_volume_that_cannot_be_segmented(desk: Any, kind: str, components: int, sentence: str) -> None:
    desk.put_ball()
    before = desk.look()
    node = add(desk, kind, image(components) if components else None)
    desk.parameters.inputVolume = node
    desk.settle()
    assert sentence in desk.ui.statusLabel.text and desk.ui.statusLabel.text == desk.ui.applyButton.toolTip
    assert not desk.ui.applyButton.enabled and not desk.errors
    np.testing.assert_array_equal(desk.look(), before)
    works_again(desk)


def test_a_label_map_is_refused_to_scripts_too(desk: Any) -> None:
    from MetaSegmentLib.errors import InputError

    desk.put_ball()
    node = add(desk, "vtkMRMLLabelMapVolumeNode", image())
    with pytest.raises(InputError, match="choose the scan itself"):
        desk.logic.process(node, desk.segmentation, method="shape")


def a_browser(desk: Any) -> Any:
    for kind in (slicer.vtkMRMLSequenceNode, slicer.vtkMRMLSequenceBrowserNode):
        desk.scene.RegisterNodeClass(kind())
    return desk.scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")


def test_a_sequence_that_is_playing(desk: Any) -> None:
    desk.put_ball()
    browser = a_browser(desk)
    sequence = desk.scene.AddNewNodeByClass("vtkMRMLSequenceNode")
    browser.AddSynchronizedSequenceNode(sequence)
    browser.AddProxyNode(desk.volume, sequence, False)
    browser.SetPlaybackActive(True)
    desk.ui.applyButton.click()
    desk.settle()
    assert len(desk.errors) == 1 and "stop it" in desk.errors[0] and desk.errors[0] == desk.ui.statusLabel.text
    browser.SetPlaybackActive(False)
    works_again(desk)


def test_a_sequence_of_something_else_may_play(desk: Any) -> None:
    desk.put_ball()
    a_browser(desk).SetPlaybackActive(True)
    works_again(desk)


def test_a_segmentation_without_reference_geometry(desk: Any) -> None:
    desk.put_ball()
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    desk.segmentation.GetSegmentation().SetConversionParameter(name, "")
    works_again(desk)
    assert desk.look()[6].any()


@pytest.mark.parametrize("which", ["volume", "segmentation"])
def test_a_nonlinear_transform(desk: Any, which: str) -> None:
    desk.put_ball()
    transform = desk.scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    spline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    moved = vtk.vtkPoints()
    for point in ((0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9), (9, 9, 9)):
        points.InsertNextPoint(point)
        moved.InsertNextPoint([1.2 * c + 0.01 * c * c for c in point])
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(moved)
    transform.SetAndObserveTransformToParent(spline)
    node = getattr(desk, which)
    node.SetAndObserveTransformNodeID(transform.GetID())
    desk.parameters.segmentation = None
    desk.parameters.segmentation = desk.segmentation
    desk.settle()
    assert "non-linear" in desk.ui.statusLabel.text and not desk.ui.applyButton.enabled and not desk.errors
    node.SetAndObserveTransformNodeID(None)
    works_again(desk)


def test_a_scene_from_a_file_that_cannot_be_written(desk: Any, tmp_path: Path) -> None:
    desk.put_ball()
    save_bundle(desk, tmp_path)
    for file in (tmp_path / "scene.mrb", tmp_path):
        file.chmod(file.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    tmp_path.chmod(0o755)
    desk.scene.Clear(False)
    load_bundle(desk, tmp_path)
    desk.settle()
    desk.volume, desk.segmentation = desk.parameters.inputVolume, desk.parameters.segmentation
    works_again(desk)


def test_a_scene_from_another_version(desk: Any) -> None:
    """A method that is not known here, a field that is not known, and a record that cannot be read."""
    desk.put_ball()
    node = desk.parameters.parameterNode if hasattr(desk.parameters, "parameterNode") else None
    if node is not None:
        node.SetParameter("fieldOfLater", "1")
    desk.segmentation.GetSegmentation().GetSegment(desk.ball).SetTag("MetaSegment.Slices", "later;format")
    desk.parameters.method = "of a later version"
    desk.settle()
    desk.ui.applyButton.click()
    desk.settle()
    assert len(desk.errors) == 1 and "later version" in desk.errors[0] and "Traceback" not in desk.errors[0]
    assert desk.ui.statusLabel.text == desk.errors[0] and desk.ui.applyButton.enabled
    desk.parameters.method = "shape"
    works_again(desk)
    assert desk.rows() == [("ball", "Axial", str(i), "painted") for i in PAINTED]


BROKEN = "raise OSError('libtorch_cpu.so: undefined symbol: abc')"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("import torch", "MetaSegment needs the package torch"),
        ("import torch", "The package torch"),
        ("raise RuntimeError('CUDA error: out of memory')", "The memory is used up"),
    ],
    ids=["removed PyTorch extension", "broken torch", "GPU out of memory"],
)
def test_what_fails_in_the_middle(
    desk: Any, source: str, sentence: str, request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import MetaSegmentLib.engine as engine

    if "broken" in request.node.name:
        (tmp_path / "torch").mkdir()
        (tmp_path / "torch" / "__init__.py").write_text(BROKEN, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "torch", raising=False)
    elif "removed" in request.node.name:
        monkeypatch.setitem(sys.modules, "torch", None)

    def broken(*_args: Any) -> Any:
        exec(source)

    desk.put_ball()
    before = desk.look()
    with monkeypatch.context() as patch:
        patch.setattr(engine, "adapt", broken)
        desk.ui.applyButton.click()
        desk.settle()
    assert len(desk.errors) == 1 and sentence in desk.errors[0] and "\n" not in desk.errors[0]
    np.testing.assert_array_equal(desk.look(), before)
    works_again(desk)


def test_segments_that_are_not_label_maps_yet(desk: Any) -> None:
    """A closed surface alone, as from a mesh file: it is made into label maps when it is segmented."""
    desk.put_ball()
    made = add_segmentation(desk.scene)
    paint(made, desk.volume, "ball", desk.look())
    made.CreateClosedSurfaceRepresentation()
    made.GetSegmentation().SetSourceRepresentationName("Closed surface")
    made.GetSegmentation().RemoveRepresentation("Binary labelmap")
    desk.parameters.segmentation = made
    desk.settle()
    assert not desk.errors and desk.ui.statusLabel.text
    works_again(desk)
