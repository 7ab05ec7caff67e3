"""All time points of a sequence, from the paint at one or a few of them; on real sequence and browser nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import slicer
from MetaSegmentLib import InputError
from MetaSegmentLib.data.protocol import dice
from MetaSegmentLib.scene import Session
from MetaSegmentLib.scene.geometry import grid_of
from MetaSegmentLib.scene.reader import read_mask
from MetaSegmentLib.scene.sequence import browser_of
from scene.nodes import SHAPE, a_ball, add_segmentation, add_volume, affine, an_image, only, oriented_image, put_under

TIMES = 3
PAINTED = [5, 8, 11]
MATRIX = affine(np.diag([1.0, 1.0, 2.0]), (-10, -9, -8))


class Beating:
    """A sequence of a ball that moves, shown by a browser, and a segmentation with paint on the first time point."""

    def __init__(self, scene: Any, logic: Any) -> None:
        self.scene, self.logic = scene, logic
        self.truth = [a_ball((8, 9 + t, 10), 6 - 0.3 * t) for t in range(TIMES)]
        self.sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "images")
        volume = add_volume(scene, an_image(self.truth[0]), MATRIX)
        for t, mask in enumerate(self.truth):
            slicer.util.updateVolumeFromArray(volume, an_image(mask))
            self.sequence.SetDataNodeAtValue(volume, str(t))
        slicer.util.updateVolumeFromArray(volume, an_image(self.truth[0]))
        self.browser = scene.AddNode(slicer.vtkMRMLSequenceBrowserNode())
        self.browser.SetAndObserveMasterSequenceNodeID(self.sequence.GetID())
        self.browser.AddProxyNode(volume, self.sequence, False)
        self.browser.SetSelectedItemNumber(0)
        self.volume = volume
        self.segmentation = add_segmentation(scene)
        self.paint(self.truth[0])
        self.session = Session()

    def paint(self, mask: Any, segment_id: str = "ball", slices: Any = tuple(PAINTED)) -> None:
        segments = self.segmentation.GetSegmentation()
        if segments.GetSegment(segment_id) is None:
            segments.AddEmptySegment(segment_id, segment_id, (1, 0, 0))
        image = oriented_image(only(mask, 0, list(slices)), MATRIX)
        segments.GetSegment(segment_id).AddRepresentation("Binary labelmap", image)
        segments.GetSegment(segment_id).SetLabelValue(1)

    def keep(self, *masks: Any) -> None:
        """A sequence of segmentations with these balls, which the browser shows in the segmentation."""
        own = self.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "segmentations")
        for t, mask in enumerate(masks):
            self.paint(mask, slices=range(SHAPE[0]))
            own.SetDataNodeAtValue(self.segmentation, str(t))
        grouped = self.browser.StartModify()
        self.browser.AddSynchronizedSequenceNodeID(own.GetID())
        self.browser.AddProxyNode(self.segmentation, own, False)
        self.browser.SetSaveChanges(own, True)
        self.browser.EndModify(grouped)
        self.go(self.browser.GetSelectedItemNumber())

    def go(self, t: int) -> None:
        """Show a time point."""
        self.browser.SetSelectedItemNumber(t)
        if self.logic is not None:
            self.logic.UpdateProxyNodesFromSequences(self.browser)
            return
        for shown in (self.volume, self.segmentation):  # as the logic does
            sequence = self.browser.GetSequenceNode(shown)
            if sequence is not None:
                shown.CopyContent(sequence.GetDataNodeAtValue(str(t), True), shown is self.volume)

    def edit(self, mask: Any, segment_id: str = "ball") -> None:
        """As a stroke leaves a segment that is shown."""
        self.paint(mask, segment_id, range(SHAPE[0]))
        self.segmentation.Modified()

    def shown(self, segment_id: str = "ball") -> Any:
        segment = self.segmentation.GetSegmentation().GetSegment(segment_id)
        return read_mask(segment, grid_of(self.volume, self.segmentation))

    def at(self, t: int, segment_id: str = "ball") -> Any:
        """The segment at a time point, in the sequence."""
        node = self.browser.GetSequenceNode(self.segmentation).GetDataNodeAtValue(str(t), True)
        return read_mask(node.GetSegmentation().GetSegment(segment_id), grid_of(self.volume, self.segmentation))

    def process(self, node: Any = None, **more: Any) -> Any:
        return self.session.process_sequence(node or self.browser, self.segmentation, method="shape", **more)


@pytest.fixture(params=["bare", "with Slicer's logic"])
def sequences(scene: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The logic that the application has for sequences, which brings what is shown into step with them; or None."""
    if request.param == "bare":
        yield None
        return
    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(scene)
    yield logic
    logic.SetMRMLScene(None)


@pytest.fixture
def beating(scene: Any, sequences: Any) -> Beating:
    return Beating(scene, sequences)


def test_every_time_point_is_segmented_beside_the_images(beating):
    result = beating.process()
    assert result.labels.shape == (TIMES, *SHAPE)
    own = beating.browser.GetSequenceNode(beating.segmentation)
    assert own is not None and own.GetNumberOfDataNodes() == TIMES
    assert beating.browser.GetProxyNode(own) is beating.segmentation and beating.browser.GetSaveChanges(own)
    for t, truth in enumerate(beating.truth):
        assert dice(beating.at(t), truth) > 0.85
        assert np.array_equal(beating.at(t), result.labels[t] == 1)
    assert np.array_equal(beating.shown(), beating.at(0))
    assert np.array_equal(beating.shown()[PAINTED], beating.truth[0][PAINTED])


def test_the_sequence_is_found_from_any_of_its_nodes(beating):
    assert browser_of(beating.volume) is beating.browser
    first = beating.process(beating.volume).labels
    assert beating.session.undo()
    assert np.array_equal(beating.process(beating.sequence).labels, first)


def test_one_undo_takes_all_time_points_back_and_redo_brings_them_again(beating):
    before = beating.shown()
    beating.process()
    after = [beating.at(t) for t in range(TIMES)]
    assert beating.session.undo()
    assert np.array_equal(beating.shown(), before)
    assert np.array_equal(beating.at(0), before) and not beating.at(1).any() and not beating.at(2).any()
    assert beating.session.redo()
    assert all(np.array_equal(beating.at(t), after[t]) for t in range(TIMES))
    assert np.array_equal(beating.shown(), after[0])


def test_a_corrected_time_point_counts_as_painted(beating):
    beating.process()
    filled = beating.at(2)
    beating.browser.SetSelectedItemNumber(2)
    corrected = filled.copy()
    corrected[8] = np.roll(beating.truth[2][8], 1, axis=1)
    own = beating.browser.GetSequenceNode(beating.segmentation)
    beating.segmentation.Copy(own.GetDataNodeAtValue("2", True))  # as Slicer does when it goes to a time point
    segment = beating.segmentation.GetSegmentation().GetSegment("ball")
    segment.AddRepresentation("Binary labelmap", oriented_image(corrected, MATRIX))
    segment.SetLabelValue(1)
    result = beating.process()
    assert result.painted == (0, 2)
    assert np.array_equal(beating.at(2)[8], corrected[8])
    assert np.array_equal(beating.shown()[8], corrected[8])
    assert np.array_equal(beating.at(0)[PAINTED], beating.truth[0][PAINTED])


def test_other_segments_stay_at_every_time_point(beating):
    other = np.zeros(SHAPE, bool)
    other[2:14, 1:3, 1:3] = True
    beating.paint(other, "other", range(SHAPE[0]))
    beating.process(segment_ids="ball")
    assert all(np.array_equal(beating.at(t, "other"), other) for t in range(TIMES))
    assert np.array_equal(beating.shown("other"), other)


def test_a_segment_that_was_added_later_is_found_at_all_time_points_and_taken_back_with_them(beating):
    beating.process()
    ball = [beating.at(t) for t in range(TIMES)]
    bar = np.zeros(SHAPE, bool)
    bar[3:14, 2:5, 2:16] = True
    beating.paint(bar, "bar", (5, 8, 11))
    beating.process()
    assert all(dice(beating.at(t, "bar"), bar) > 0.6 for t in range(TIMES))
    assert np.array_equal(beating.shown("bar")[[5, 8, 11]], bar[[5, 8, 11]])
    assert all(np.array_equal(beating.at(t)[PAINTED], was[PAINTED]) for t, was in zip([0], ball, strict=False))
    assert beating.session.undo()
    assert not any(beating.at(t, "bar").any() for t in range(1, TIMES))


def test_in_the_background_it_reports_and_can_be_cancelled(beating):
    before, stages = beating.shown(), []
    run = beating.process(wait=False, progress=lambda *about: stages.append(about))
    assert beating.session.running
    result = run.wait(120)
    assert result.labels.shape[0] == TIMES and ("frames", TIMES) in {(stage, done) for stage, done, _, _ in stages}
    assert beating.session.undo()
    run = beating.process(wait=False)
    run.cancel()
    with pytest.raises(Exception, match=r"(?i)cancel"):
        run.wait(120)
    assert np.array_equal(beating.shown(), before)


def test_what_is_no_sequence_is_refused(beating, scene):
    lonely = add_volume(scene, an_image(beating.truth[0]), MATRIX)
    with pytest.raises(InputError, match="no sequence of volumes"):
        beating.process(lonely)
    beating.segmentation.GetSegmentation().GetSegment("ball").AddRepresentation(
        "Binary labelmap", slicer.vtkOrientedImageData()
    )
    with pytest.raises(InputError, match="Nothing is painted at any time point"):
        beating.process()


def test_millimetres_and_millilitres_are_those_of_the_world(beating):
    for node in (beating.volume, beating.segmentation):
        put_under(node, np.array([[2, 0.4, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]]))
    report = beating.process().frames[1].report
    segment = report["segments"]["1"]
    assert segment["volume_ml"] == pytest.approx(segment["voxels"] * 2 * (2 * 2 * 3) / 1000)


def test_a_result_of_another_time_point_than_the_one_shown_is_refused(beating):
    first = only(beating.truth[0], 0, PAINTED)
    beating.keep(first, np.zeros(SHAPE, bool), only(a_ball((8, 5, 5), 4.0), 0, [6, 9]))
    there = beating.at(2)
    run = beating.session.process(beating.volume, beating.segmentation, method="shape", wait=False)
    beating.go(2)
    with pytest.raises(InputError, match="Another time point is shown"):
        run.wait(120)
    assert np.array_equal(beating.shown(), there) and np.array_equal(beating.at(2), there)
    beating.go(0)
    assert np.array_equal(beating.shown(), first)


def test_who_comes_back_to_the_time_point_in_time_gets_the_result_there(beating):
    beating.keep(*(only(mask, 0, PAINTED) for mask in beating.truth))
    run = beating.session.process(beating.volume, beating.segmentation, method="shape", wait=False)
    beating.go(2)
    beating.go(0)
    result = run.wait(120)
    assert np.array_equal(beating.shown(), result.labels == 1)
