"""Which nodes make a sequence, and what is read of its time points."""

from __future__ import annotations

import numpy as np
import pytest
import vtk

import slicer
from MetaSegmentLib import InputError
from MetaSegmentLib.data.protocol import dice
from MetaSegmentLib.scene.record import record_of
from MetaSegmentLib.scene.sequence import browser_of
from MetaSegmentLib.scene.slices import SliceEdits
from MetaSegmentLib.task.parts import Part
from scene.beating import MATRIX, PAINTED, TIMES, Beating
from scene.nodes import SHAPE, add_segmentation, add_volume, an_image, put_under, to_vtk


def test_the_sequence_is_found_from_any_of_its_nodes(beating):
    assert browser_of(beating.volume) is beating.browser
    first = beating.process(beating.volume).labels
    assert beating.session.undo()
    assert np.array_equal(beating.process(beating.sequence).labels, first)


def test_a_sequence_that_no_browser_shows(beating):
    beating.scene.RemoveNode(beating.browser)
    empty = add_segmentation(beating.scene)
    before = beating.nodes()
    with pytest.raises(InputError, match="There is no segment"):
        beating.session.process_sequence(beating.sequence, empty, method="shape")
    assert beating.nodes() == before
    result = beating.process(beating.sequence)
    beating.browser = browser_of(beating.segmentation)
    assert all(np.array_equal(beating.at(t), result.labels[t] == 1) for t in range(TIMES))
    shown = beating.browser.GetProxyNode(beating.sequence)
    assert np.array_equal(slicer.util.arrayFromVolume(shown), an_image(beating.truth[0]))


def test_what_is_no_sequence_is_refused(beating, scene):
    lonely = add_volume(scene, an_image(beating.truth[0]), MATRIX)
    with pytest.raises(InputError, match="no sequence of volumes"):
        beating.process(lonely)
    beating.segmentation.GetSegmentation().GetSegment("ball").AddRepresentation(
        "Binary labelmap", slicer.vtkOrientedImageData()
    )
    with pytest.raises(InputError, match="Nothing is painted at any time point"):
        beating.process()


@pytest.mark.parametrize(
    ("kind", "components", "why"),
    [("LabelMap", 1, "label map holds no intensities"), ("Vector", 3, "holds colours"), ("Scalar", 1, "single time")],
)
def test_sequences_that_cannot_be_segmented(beating, kind, components, why):
    node = beating.scene.AddNewNodeByClass(f"vtkMRML{kind}VolumeNode", "other")
    node.SetIJKToRASMatrix(to_vtk(MATRIX))
    sequence = beating.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "others")
    for t in range(1 if kind == "Scalar" else TIMES):
        image = vtk.vtkImageData()
        image.SetDimensions(*reversed(SHAPE))
        image.AllocateScalars(vtk.VTK_SHORT, components)
        node.SetAndObserveImageData(image)
        sequence.SetDataNodeAtValue(node, str(t))
    before = beating.nodes()
    with pytest.raises(InputError, match=why):
        beating.process(sequence)
    assert beating.nodes() == before


def test_a_segmentation_of_another_sequence_is_refused(beating):
    beating.process()
    other = Beating(beating.scene, beating.logic)
    with pytest.raises(InputError, match="another sequence"):
        beating.session.process_sequence(other.browser, beating.segmentation, method="shape")


def test_the_time_point_is_told_by_its_index_value(beating):
    longer = beating.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "longer")
    for value in ("-1", "0", "1", "2"):
        longer.SetDataNodeAtValue(slicer.vtkMRMLLinearTransformNode(), value)
    beating.browser.SetAndObserveMasterSequenceNodeID(longer.GetID())
    beating.browser.AddSynchronizedSequenceNodeID(beating.sequence.GetID())
    beating.browser.AddProxyNode(beating.volume, beating.sequence, False)
    beating.browser.SetSelectedItemNumber(0)
    with pytest.raises(InputError, match="nothing at the time point"):
        beating.process()
    beating.browser.SetSelectedItemNumber(1)
    assert beating.process().painted == (0,)
    assert all(dice(beating.at(t), beating.truth[t]) > 0.85 for t in range(TIMES))


def test_a_corrected_time_point_counts_as_painted(beating):
    beating.process()
    filled = beating.at(2)
    beating.go(2)
    corrected = filled.copy()
    corrected[8] = np.roll(beating.truth[2][8], 1, axis=1)
    beating.edit(corrected)
    result = beating.process()
    assert result.painted == (0, 2)
    assert np.array_equal(beating.at(2)[8], corrected[8])
    assert np.array_equal(beating.shown()[8], corrected[8])
    assert np.array_equal(beating.at(0)[PAINTED], beating.truth[0][PAINTED])


def test_millimetres_and_millilitres_are_those_of_the_world(beating):
    for node in (beating.volume, beating.segmentation):
        put_under(node, np.array([[2, 0.4, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]]))
    report = beating.process().frames[1].report
    segment = report["segments"]["1"]
    assert segment["volume_ml"] == pytest.approx(segment["voxels"] * 2 * (2 * 2 * 3) / 1000)


def a_bar() -> np.ndarray:
    """Beside the ball on most of its slices."""
    bar = np.zeros(SHAPE, bool)
    bar[3:14, 1:3, 2:16] = True
    return bar


@pytest.mark.parametrize("several", [False, True], ids=["alone", "beside another one that is painted there"])
def test_a_slice_that_is_marked_as_empty_at_a_time_point_without_paint_stays_empty(beating, several):
    bar = a_bar()
    if several:
        beating.paint(bar, "bar", PAINTED)
    beating.process()
    beating.go(2)
    SliceEdits(beating.session.editor).mark_empty(beating.volume, beating.segmentation, "ball", 0, 9)
    if several:
        bar[8] = np.roll(bar[8], 1, axis=0)
        beating.edit(np.where(np.arange(SHAPE[0])[:, None, None] == 8, bar, beating.shown("bar")), "bar")
    for _ in range(2):
        result = beating.process()
        assert not beating.at(2)[9].any() and not (result.labels[2][9] == 1).any()
        assert beating.at(2)[8].any() and beating.at(2)[10].any() and beating.at(1)[9].any()
        record = record_of(beating.segmentation.GetSegmentation().GetSegment("ball"))
        assert record.painted_now(Part.of(beating.shown())) == [9]
        segment, there = result.frames[2].report["segments"]["1"], int(beating.at(2).sum())
        assert (result.frames[2].labels == 1).sum() == segment["voxels"] == segment["filled_voxels"] == there
        assert segment["volume_ml"] == pytest.approx(there * 2 / 1000)
    assert result.painted == ((0, 2) if several else (0,))


@pytest.mark.parametrize("several", [False, True], ids=["alone", "beside another one that is painted there"])
def test_a_time_point_stays_empty_of_which_every_slice_is_marked_as_empty(beating, several):
    if several:
        beating.paint(a_bar(), "bar", PAINTED)
    beating.process()
    beating.go(2)
    edits, filled = SliceEdits(beating.session.editor), np.flatnonzero(beating.shown().any(axis=(1, 2)))
    for index in filled:
        edits.mark_empty(beating.volume, beating.segmentation, "ball", 0, int(index))
    if several:
        edits.accept(beating.volume, beating.segmentation, "bar", 0, 8)
    assert not beating.shown().any()
    for _ in range(2):
        result = beating.process()
        assert not beating.at(2)[filled].any() and not (result.labels[2][filled] == 1).any()
        assert beating.at(0)[filled].any() and beating.at(1)[9].any()
        record = record_of(beating.segmentation.GetSegmentation().GetSegment("ball"))
        assert set(filled) <= {*record.support}
    assert result.painted == ((0, 2) if several else (0,))


def test_a_time_point_that_was_erased_by_hand_is_filled_again(beating):
    beating.process()
    beating.go(2)
    beating.edit(np.zeros(SHAPE, bool))
    beating.process()
    assert dice(beating.at(2), beating.truth[2]) > 0.85
