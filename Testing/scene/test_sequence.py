"""All time points of a sequence, from the paint at one or a few of them; on real sequence and browser nodes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import vtk

import slicer
from MetaSegmentLib import Cancelled, InputError
from MetaSegmentLib.app.flow import Flow, RunRequest
from MetaSegmentLib.data.protocol import dice
from MetaSegmentLib.scene import Session, sequence_writer
from MetaSegmentLib.scene.geometry import Grid, grid_of, voxels
from MetaSegmentLib.scene.reader import read_mask
from MetaSegmentLib.scene.record import record_of, records_of
from MetaSegmentLib.scene.sequence import browser_of
from MetaSegmentLib.scene.slices import SliceEdits
from MetaSegmentLib.task.parts import Part
from scene.nodes import (
    SHAPE,
    a_ball,
    add_segmentation,
    add_volume,
    affine,
    an_image,
    only,
    oriented_image,
    paint,
    put_under,
    to_vtk,
)

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

    def begin(self, **more: Any) -> Any:
        """All frames in the background, which has begun."""
        run = self.process(wait=False, **more)
        self.session.poll()
        return run

    def nodes(self) -> list[str]:
        return [self.scene.GetNthNode(n).GetID() for n in range(self.scene.GetNumberOfNodes())]

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
    beating.go(2)
    corrected = filled.copy()
    corrected[8] = np.roll(beating.truth[2][8], 1, axis=1)
    beating.edit(corrected)
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


def test_what_follows_a_preview_is_not_done_at_another_time_point(beating):
    beating.keep(*(only(mask, 0, PAINTED) for mask in beating.truth))
    errors: list[Any] = []

    def ready() -> bool:
        beating.go(2)
        return True

    request = RunRequest(beating.volume, beating.segmentation, "propagation", "cpu", preview=True)
    Flow(beating.session).start(request, lambda *_: None, lambda *_: None, errors.append, ready)
    while not errors:
        beating.session.poll()
        time.sleep(0.01)
    assert "Another time point is shown" in str(errors[0])
    assert np.array_equal(beating.shown(), only(beating.truth[2], 0, PAINTED)) and beating.at(0)[6].any()


@pytest.mark.parametrize("t", [0, 2])
def test_paint_that_was_made_during_the_run_stays(beating, t):
    beating.process()
    others = [beating.at(u) for u in range(TIMES)]
    run = beating.begin()
    beating.go(t)
    painted = beating.shown()
    painted[9], painted[9, 2:5, 2:5] = False, True
    beating.edit(painted)
    run.wait(120)
    assert np.array_equal(beating.shown()[9], painted[9]) and np.array_equal(beating.at(t)[9], painted[9])
    assert 9 in record_of(beating.segmentation.GetSegmentation().GetSegment("ball")).painted_now(
        Part.of(beating.shown())
    )
    assert beating.session.undo()
    assert np.array_equal(beating.at(t), painted)
    assert all(np.array_equal(beating.at(u), others[u]) for u in range(TIMES) if u != t)


def test_who_looks_at_another_time_point_during_the_first_run_sees_its_result(beating):
    before = beating.shown()
    run = beating.begin()
    beating.go(2)
    result = run.wait(120)
    assert all(np.array_equal(beating.at(t), result.labels[t] == 1) for t in range(TIMES))
    assert np.array_equal(beating.shown(), beating.at(2))
    beating.go(0)
    assert np.array_equal(beating.shown()[PAINTED], before[PAINTED])
    beating.go(2)
    assert np.array_equal(beating.shown(), beating.at(2))


def test_a_first_run_is_taken_back_from_the_time_point_that_was_looked_at(beating):
    before = beating.shown()
    run = beating.begin()
    beating.go(2)
    run.wait(120)
    assert beating.session.undo()
    assert not beating.shown().any() and not beating.at(1).any() and np.array_equal(beating.at(0), before)
    beating.go(0)
    assert np.array_equal(beating.shown(), before)


class ATimer:
    """Runs what a session has scheduled, a piece each time, and notes what is done between two of them."""

    def __init__(self, beating: Beating, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("MetaSegmentLib.scene.session._BUDGET_SECONDS", 0.0)
        self.calls: list[Any] = []
        self.session = beating.session = Session(lambda call, _milliseconds: self.calls.append(call))

    def pieces(self, until: Callable[[], bool]) -> int:
        """How many pieces are done until a condition holds."""
        count = 0
        while not until():
            self.calls.pop(0)()
            count += 1
            time.sleep(0.001)
        return count


@pytest.fixture
def timer(beating, monkeypatch):
    return ATimer(beating, monkeypatch)


def test_the_application_gets_its_turns_while_time_points_are_read_and_written(beating, timer):
    before, seen = beating.nodes(), set()
    run = beating.process(wait=False)
    job = timer.session._job
    assert timer.pieces(lambda: job.waiting) > 3 * TIMES
    timer.pieces(lambda: not job.waiting)

    def written() -> bool:
        own = beating.browser.GetSequenceNode(beating.segmentation)
        seen.add(0 if own is None else own.GetNumberOfDataNodes())
        return own is not None

    assert timer.pieces(written) > 3 * TIMES and seen == {0, TIMES}
    assert len(beating.nodes()) == len(before) + 2  # the sequence, and the editor that writes
    timer.pieces(lambda: run.done)
    assert all(np.array_equal(beating.at(t), run.result.labels[t] == 1) for t in range(TIMES))


@pytest.mark.parametrize("t", [0, 2])
@pytest.mark.parametrize("when", ["read", "written"])
def test_what_is_painted_between_two_pieces_is_kept(beating, timer, when, t):
    beating.process()
    run = beating.process(wait=False)
    job = timer.session._job
    if when == "written":
        timer.pieces(lambda: job.waiting)
        timer.pieces(lambda: not job.waiting)
    for _ in range(2 * TIMES):
        timer.calls.pop(0)()
    beating.go(t)
    painted = beating.shown()
    painted[9], painted[9, 2:5, 2:5] = False, True
    beating.edit(painted)
    timer.pieces(lambda: run.done)
    assert run.error is None and np.array_equal(beating.at(t)[9], painted[9])
    assert beating.session.undo() and np.array_equal(beating.at(t), painted)


def test_a_time_point_that_changes_once_it_was_worked_out_is_worked_out_anew(beating, timer, monkeypatch):
    beating.process()
    stored = beating.browser.GetSequenceNode(beating.segmentation).GetDataNodeAtValue("1", True)
    mask = beating.at(1)
    mask[9], mask[9, 2:5, 2:5] = False, True
    prepare, worked_out = sequence_writer._prepare_steps, []

    def prepare_steps(*given: Any) -> Any:
        found = yield from prepare(*given)
        if not worked_out:
            image = oriented_image(mask, MATRIX)
            stored.GetSegmentation().GetSegment("ball").AddRepresentation("Binary labelmap", image)
        worked_out.append(found)
        return found

    monkeypatch.setattr(sequence_writer, "_prepare_steps", prepare_steps)
    run = beating.process(wait=False)
    timer.pieces(lambda: run.done)
    assert len(worked_out) == 2 and np.array_equal(beating.at(1)[9], mask[9])


def test_a_run_that_is_abandoned_once_it_is_in_place_is_one_undo_step(beating, timer):
    beating.segmentation.CreateClosedSurfaceRepresentation()
    before = beating.shown()
    run = beating.process(wait=False)
    timer.pieces(lambda: beating.browser.GetSequenceNode(beating.segmentation) is not None)
    assert not run.done and all(beating.at(t)[6].any() for t in range(TIMES))
    timer.session.abandon()
    timer.pieces(lambda: run.done)
    assert beating.session.undo()
    assert np.array_equal(beating.at(0), before) and not beating.at(1).any() and not beating.at(2).any()


def test_surfaces_follow_where_another_time_point_is_shown_before_they_are_made(beating, timer):
    bar = np.zeros(SHAPE, bool)
    bar[3:14, 2:5, 2:16] = True
    beating.paint(bar, "bar", PAINTED)
    beating.segmentation.CreateClosedSurfaceRepresentation()
    run = beating.process(wait=False)
    timer.pieces(lambda: beating.browser.GetSequenceNode(beating.segmentation) is not None)
    beating.go(2)
    timer.pieces(lambda: run.done)
    own = beating.browser.GetSequenceNode(beating.segmentation)
    for t in range(TIMES):
        for segment_id in ("ball", "bar"):
            segment = own.GetDataNodeAtValue(str(t), True).GetSegmentation().GetSegment(segment_id)
            slices = np.flatnonzero(beating.at(t, segment_id).any(axis=(1, 2)))
            bounds = segment.GetRepresentation("Closed surface").GetBounds()[4:]
            ends = [MATRIX[2, 3] + MATRIX[2, 2] * k for k in (slices[0], slices[-1])]
            assert bounds == pytest.approx(ends, abs=MATRIX[2, 2])


@pytest.mark.parametrize("several", [False, True], ids=["alone", "beside another one that is painted there"])
def test_a_slice_that_is_marked_as_empty_at_a_time_point_without_paint_stays_empty(beating, several):
    bar = np.zeros(SHAPE, bool)
    bar[3:14, 1:3, 2:16] = True
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
    assert result.painted == ((0, 2) if several else (0,))


@pytest.mark.parametrize("step", ["mark_empty", "accept", "another segmentation"])
def test_a_correction_stays_when_another_step_is_taken_back(beating, step):
    beating.process()
    beating.go(2)
    corrected = beating.shown()
    corrected[8], corrected[8, 3:6, 3:6] = False, True
    beating.edit(corrected)
    beating.go(0)
    if step == "another segmentation":
        other = add_segmentation(beating.scene)
        paint(other, beating.volume, "x", only(beating.truth[0], 0, [4, 8]))
        beating.session.process(beating.volume, other, method="shape")
    else:
        edits = SliceEdits(beating.session.editor)
        getattr(edits, step)(beating.volume, beating.segmentation, "ball", 0, 14 if step == "mark_empty" else 7)
    assert beating.session.undo()
    assert np.array_equal(beating.at(2), corrected)


def test_undo_leaves_time_points_alone_that_were_changed_since(beating):
    beating.process()
    stored = beating.browser.GetSequenceNode(beating.segmentation).GetDataNodeAtValue("2", True)
    layer = stored.GetSegmentation().GetSegment("ball").GetRepresentation("Binary labelmap")
    voxels(layer)[:] = 0
    layer.Modified()
    assert beating.session.undo()
    assert not beating.at(1).any() and not beating.at(2).any()
    assert beating.session.redo()
    assert beating.at(1).any() and not beating.at(2).any()


def test_all_time_points_are_taken_back_from_any_of_them_unless_something_was_changed(beating):
    before = beating.shown()
    beating.process()
    after = [beating.at(t) for t in range(TIMES)]
    beating.go(2)
    assert beating.session.undo() and not beating.session.undo()
    assert not beating.shown().any() and not beating.at(1).any() and np.array_equal(beating.at(0), before)
    assert beating.session.redo() and not beating.session.redo()
    assert all(np.array_equal(beating.at(t), after[t]) for t in range(TIMES))
    beating.edit(beating.truth[2])
    beating.go(1)
    assert not beating.session.undo()
    assert np.array_equal(beating.at(1), after[1]) and np.array_equal(beating.at(2), beating.truth[2])


def test_a_run_that_was_taken_back_does_not_come_back_once_another_one_was_made(beating):
    beating.process()
    first = [beating.at(t) for t in range(TIMES)]
    beating.go(1)
    assert beating.session.undo()
    beating.go(0)
    beating.session.process_sequence(beating.browser, beating.segmentation, method="propagation")
    second = [beating.at(t) for t in range(TIMES)]
    assert not np.array_equal(second[1], first[1])
    beating.go(1)
    assert beating.session.undo() and beating.session.redo() and not beating.session.redo()
    assert all(np.array_equal(beating.at(t), second[t]) for t in range(TIMES))


def test_steps_are_taken_back_one_after_the_other_those_before_the_first_run_too(beating):
    edits = SliceEdits(beating.session.editor)
    painted = beating.shown()
    edits.mark_empty(beating.volume, beating.segmentation, "ball", 0, 14)
    marked = str(records_of(beating.segmentation))
    beating.process()
    once = [beating.at(t) for t in range(TIMES)]
    beating.paint(beating.truth[0], slices=range(SHAPE[0]))
    beating.process()
    assert not np.array_equal(beating.at(1), once[1])
    beating.session.undo()
    assert np.array_equal(beating.at(1), once[1]) and np.array_equal(beating.at(2), once[2])
    beating.session.undo()
    assert not beating.at(1).any() and not beating.at(2).any()
    assert np.array_equal(beating.shown(), painted) and str(records_of(beating.segmentation)) == marked
    assert beating.session.undo() and str(records_of(beating.segmentation)) != marked


def test_one_sequence_is_all_that_is_added(beating):
    before = beating.nodes()
    beating.process()
    own = beating.browser.GetSequenceNode(beating.segmentation).GetID()
    added = {node for node in {*beating.nodes()} - {*before} if "SegmentEditor" not in node}
    assert added == {own}


def test_what_is_stored_is_called_as_what_is_shown(beating):
    beating.segmentation.SetName("Heart")
    beating.segmentation.SetAttribute("kept", "yes")
    beating.process()
    own = beating.browser.GetSequenceNode(beating.segmentation)
    stored = [own.GetDataNodeAtValue(str(t), True) for t in range(TIMES)]
    assert {(node.GetName(), node.GetAttribute("kept")) for node in stored} == {("Heart", "yes")}
    assert own.GetName() == "Heart"


def a_frame_less(beating: Beating) -> None:
    beating.sequence.RemoveDataNodeAtValue("1")


def a_frame_more(beating: Beating) -> None:
    beating.sequence.SetDataNodeAtValue(beating.volume, "3")


def another_image(beating: Beating) -> None:
    beating.sequence.SetDataNodeAtValue(beating.volume, "2")


def a_move(beating: Beating) -> None:
    put_under(beating.segmentation, affine(np.eye(3), (50, 0, 0)))


def a_segment_less(beating: Beating) -> None:
    beating.segmentation.GetSegmentation().RemoveSegment("ball")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (a_frame_less, "Time points were"),
        (a_frame_more, "Time points were"),
        (another_image, "Time points were"),
        (a_move, "moved or replaced"),
        (a_segment_less, "segment was removed"),
    ],
)
def test_what_is_no_longer_as_it_was_read_is_refused(beating, change, why):
    run = beating.begin()
    change(beating)
    nodes, records = beating.nodes(), records_of(beating.segmentation)
    with pytest.raises(InputError, match=why):
        run.wait(120)
    assert [node for node in beating.nodes() if "SegmentEditor" not in node] == [
        node for node in nodes if "SegmentEditor" not in node
    ]
    assert records_of(beating.segmentation) == records and not beating.session.running


def test_what_was_removed_meanwhile_ends_the_run(beating):
    run = beating.begin()
    beating.scene.RemoveNode(beating.volume)
    with pytest.raises(Cancelled, match="removed"):
        run.wait(120)


@pytest.mark.parametrize("what", ["a time point", "the sequence", "the segmentation"])
def test_undo_after_something_was_removed(beating, what):
    beating.process()
    own = beating.browser.GetSequenceNode(beating.segmentation)
    if what == "a time point":
        own.RemoveDataNodeAtValue("2")
        beating.sequence.RemoveDataNodeAtValue("2")
        assert beating.session.undo() and not beating.at(1).any()
    else:
        beating.scene.RemoveNode(own if what == "the sequence" else beating.segmentation)
        beating.session.undo()


def test_the_users_masks_hold_at_every_time_point(beating):
    bar = np.zeros(SHAPE, bool)
    bar[2:14, 7:11, 2:9] = True
    beating.edit(bar, "bar")
    user = beating.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    user.SetAndObserveSegmentationNode(beating.segmentation)
    free = [k for k in range(SHAPE[0]) if k not in PAINTED]
    beating.process(segment_ids="ball")
    assert not any((beating.at(t) & bar)[free].any() for t in range(TIMES)) and beating.at(2).any()
    beating.session.undo()
    user.SetOverwriteMode(user.OverwriteNone)
    beating.process(segment_ids="ball")
    assert all((beating.at(t) & bar)[free].any() for t in range(TIMES))
    beating.session.undo()
    user.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    beating.process(segment_ids="ball")
    assert not any((beating.at(t) & bar)[free].any() for t in range(TIMES)) and beating.at(2).any()
    beating.session.undo()
    user.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
    user.SetSourceVolumeIntensityMask(True)
    user.SetSourceVolumeIntensityMaskRange(50, 200)
    beating.process(segment_ids="ball")
    for t, truth in enumerate(beating.truth):
        assert not (beating.at(t) & ~truth)[free].any() and beating.at(t)[free].any()


def test_finer_paint_stays_as_fine_as_it_is(beating):
    fine = a_ball((16.0, 18.5, 20.5), 12.0, tuple(2 * n for n in SHAPE))
    matrix = MATRIX.copy()
    matrix[:3, :3] /= 2
    matrix[:3, 3] = (MATRIX @ [-0.25, -0.25, -0.25, 1])[:3]
    painted = [10, 11, 16, 17, 22, 23]
    segment = beating.segmentation.GetSegmentation().GetSegment("ball")
    segment.AddRepresentation("Binary labelmap", oriented_image(only(fine, 0, painted), matrix))
    own = Grid(fine.shape, matrix)
    before = read_mask(segment, own)
    result = beating.process()
    assert result.labels.shape == (TIMES, *SHAPE)
    for t in range(TIMES):
        node = beating.browser.GetSequenceNode(beating.segmentation).GetDataNodeAtValue(str(t), True)
        layer = node.GetSegmentation().GetSegment("ball").GetRepresentation("Binary labelmap")
        assert own.holds(layer)
        assert dice(beating.at(t), beating.truth[t]) > 0.8
    after = read_mask(beating.segmentation.GetSegmentation().GetSegment("ball"), own)
    assert np.array_equal(after[painted], before[painted]) and after[13].any()
    beating.go(2)
    assert beating.process().painted == (0,)


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


def test_a_segment_that_was_removed_at_another_time_point_is_noticed(beating):
    beating.process()
    run = beating.begin()
    node = beating.browser.GetSequenceNode(beating.segmentation).GetDataNodeAtValue("2", True)
    node.GetSegmentation().RemoveSegment("ball")
    with pytest.raises(InputError, match="segment was removed"):
        run.wait(120)


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


def test_what_is_shown_in_3d_is_the_result_at_every_time_point(beating):
    def surface(t: int) -> Any:
        node = beating.browser.GetSequenceNode(beating.segmentation).GetDataNodeAtValue(str(t), True)
        return node.GetSegmentation().GetSegment("ball").GetRepresentation("Closed surface")

    beating.segmentation.CreateClosedSurfaceRepresentation()
    beating.process()
    beating.go(2)
    for again in (False, True):
        if again:
            assert beating.session.undo() and surface(1).GetNumberOfPoints() == 0
            assert beating.session.redo()
        for t in range(TIMES):
            rows = np.flatnonzero(beating.at(t).any(axis=(0, 2))) + MATRIX[1, 3]
            assert surface(t).GetBounds()[2:4] == pytest.approx((rows[0], rows[-1]), abs=1.0)
