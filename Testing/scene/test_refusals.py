"""What cannot be segmented in a scene is refused in a sentence, and nothing is changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vtk

from MetaSegmentLib import InputError, SettingsError
from MetaSegmentLib.scene import Run
from scene.bench import BALL, SUPPORT, Bench
from scene.nodes import (
    add_segmentation,
    grid_matrix,
    oriented_image,
    put_under,
    repaint,
)


def test_errors_of_the_engine_come_through(bench: Bench) -> None:
    with pytest.raises(SettingsError):
        bench.session.process(bench.volume, bench.segmentation, method="magic")
    run = bench.session.process(bench.volume, bench.segmentation, method="magic", wait=False)
    assert isinstance(run, Run)
    with pytest.raises(SettingsError):
        run.wait(60)
    assert isinstance(run.error, SettingsError)
    assert bench.is_untouched()


@pytest.mark.parametrize("slices", [[-1], [99]])
def test_slices_outside_the_volume(bench: Bench, slices: list[int]) -> None:
    with pytest.raises(InputError, match="outside"):
        bench.run(slices=[*SUPPORT, *slices])
    bench.run()
    with pytest.raises(InputError, match="outside"):
        bench.run(slices=[*SUPPORT, *slices])


@pytest.mark.parametrize("number", [1, 2])
def test_numbers_of_segments_are_refused_where_one_without_paint_may_have_been_counted(
    bench: Bench, number: int
) -> None:
    bench.segments.RemoveSegment(bench.ball)
    bench.segments.AddEmptySegment("later", "later")
    bench.paint("ball", bench.painted)
    with pytest.raises(InputError, match='"later" has no paint'):
        bench.run(slices={number: SUPPORT})
    assert bench.is_untouched()
    assert bench.run(slices={"ball": [*SUPPORT, 15]}).report["support_slices"] == [*SUPPORT, 15]
    bench.session.undo()
    bench.segmentation.GetDisplayNode().SetSegmentVisibility("later", False)
    assert bench.run(slices={1: [*SUPPORT, 15]}).report["support_slices"] == [*SUPPORT, 15]


@pytest.mark.parametrize("given", [{"segment_ids": ["liver"]}, {"slices": {"liver": SUPPORT}}], ids=str)
def test_who_gives_a_name_for_an_identifier_is_told_it(bench: Bench, given: dict[str, Any]) -> None:
    bench.segments.GetSegment(bench.ball).SetName("liver")
    with pytest.raises(InputError, match='that of "liver" is "ball"'):
        bench.run(**given)


def test_slices_named_twice_for_a_segment_are_refused(bench: Bench) -> None:
    with pytest.raises(InputError, match="twice"):
        bench.run(slices={"ball": SUPPORT, 1: [5, 8]})


@pytest.mark.parametrize(
    ("slices", "sentence"),
    [(5, "list of whole numbers"), ({1: 5}, "list of whole numbers"), ({"nobody": [5]}, 'segment "nobody"')],
)
def test_slices_that_are_none(bench: Bench, slices: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        bench.run(slices=slices)


def test_wrong_nodes_are_refused(bench: Bench) -> None:
    for volume, segmentation, output in (
        (None, bench.segmentation, None),
        (bench.segmentation, bench.segmentation, None),
        (bench.volume, None, None),
        (bench.volume, bench.volume, None),
        (bench.volume, bench.segmentation, bench.volume),
    ):
        with pytest.raises(InputError, match=r"[Cc]hoose"):
            bench.session.process(volume, segmentation, method="shape", output=output)


@pytest.mark.parametrize("finer", [False, True], ids=["on its own voxels", "on finer ones"])
@pytest.mark.parametrize(("components", "sentence"), [(2, "2 volumes in one"), (3, "has colours"), (4, "has colours")])
def test_colour_volume_is_refused(bench: Bench, components: int, sentence: str, finer: bool) -> None:
    if finer:
        matrix = grid_matrix(bench.volume, bench.segmentation) @ np.diag([0.5, 0.5, 1.0, 1.0])
        layer = oriented_image(bench.painted.repeat(2, axis=1).repeat(2, axis=2), matrix)
        bench.segments.GetSegment(bench.ball).AddRepresentation("Binary labelmap", layer)
    image = vtk.vtkImageData()
    image.SetDimensions(*bench.volume.GetImageData().GetDimensions())
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, components)
    bench.volume.SetAndObserveImageData(image)
    for wait in (True, False):
        with pytest.raises(InputError, match=sentence):
            bench.run(wait=wait)


def test_all_hidden_or_none_named_is_said(bench: Bench) -> None:
    with pytest.raises(InputError, match="No segment is named"):
        bench.run(segment_ids=[])
    bench.segmentation.GetDisplayNode().SetSegmentVisibility(bench.ball, False)
    with pytest.raises(InputError, match="All segments are hidden"):
        bench.run()
    assert bench.run(segment_ids=[bench.ball]).report["support_slices"] == SUPPORT


def test_nothing_painted(bench: Bench) -> None:
    repaint(bench.segmentation, bench.volume, bench.ball, np.zeros_like(BALL))
    with pytest.raises(InputError, match="Nothing is painted"):
        bench.run()
    with pytest.raises(InputError, match="no paint"):
        bench.run(segment_ids=[bench.ball])


def flatten(bench: Bench) -> dict[str, Any]:
    put_under(bench.segmentation, np.diag([1.0, 1.0, 0.0, 1.0]))
    return {}


def without_scalars(bench: Bench) -> dict[str, Any]:
    bench.volume.GetImageData().GetPointData().SetScalars(None)
    return {}


def output_that_is_bent(bench: Bench) -> dict[str, Any]:
    output = add_segmentation(bench.scene)
    bent = bench.scene.AddNewNodeByClass("vtkMRMLTransformNode")
    bent.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    output.SetAndObserveTransformNodeID(bent.GetID())
    return {"output": output}


def a_range_of_colours(bench: Bench) -> dict[str, Any]:
    editor = bench.user_editor()
    colours = vtk.vtkImageData()
    colours.SetDimensions(*reversed(BALL.shape))
    colours.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    source = bench.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode")
    source.SetAndObserveImageData(colours)
    editor.SetAndObserveSourceVolumeNode(source)
    editor.SetSourceVolumeIntensityMask(True)
    return {}


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (flatten, "transform that flattens it"),
        (without_scalars, "has no voxels"),
        (output_that_is_bent, "non-linear transform"),
        (a_range_of_colours, "no single intensity"),
        (lambda bench: {"segment_ids": 5}, "list of identifiers"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(bench: Bench, prepare: Any, sentence: str) -> None:
    options = prepare(bench)
    with pytest.raises(InputError, match=sentence):
        bench.run(**options)


def test_an_output_under_a_bent_transform_is_refused_before_any_work(bench: Bench) -> None:
    seen: list[Any] = []
    with pytest.raises(InputError):
        bench.run(progress=lambda *about: seen.append(about), **output_that_is_bent(bench))
    assert not seen
