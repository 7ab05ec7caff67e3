"""A run over a sequence as one undo step: what is taken back, what comes again, and the surfaces that follow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MetaSegmentLib.scene.geometry import voxels
from MetaSegmentLib.scene.presence import Removed
from MetaSegmentLib.scene.record import records_of
from MetaSegmentLib.scene.slices import SliceEdits
from scene.beating import MATRIX, PAINTED, TIMES
from scene.nodes import SHAPE, add_segmentation, only, paint


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


def test_a_first_run_is_taken_back_from_the_time_point_that_was_looked_at(beating):
    before = beating.shown()
    run = beating.begin()
    beating.go(2)
    run.wait(120)
    assert beating.session.undo()
    assert not beating.shown().any() and not beating.at(1).any() and np.array_equal(beating.at(0), before)
    beating.go(0)
    assert np.array_equal(beating.shown(), before)


def test_a_run_that_is_abandoned_once_it_is_in_place_is_one_undo_step(beating, beats):
    beating.segmentation.CreateClosedSurfaceRepresentation()
    before = beating.shown()
    run = beating.process(wait=False)
    beats.pieces(lambda: beating.browser.GetSequenceNode(beating.segmentation) is not None)
    assert not run.done and all(beating.at(t)[6].any() for t in range(TIMES))
    beating.session.abandon()
    beats.pieces(lambda: run.done)
    assert beating.session.undo()
    assert np.array_equal(beating.at(0), before) and not beating.at(1).any() and not beating.at(2).any()


@pytest.mark.parametrize("gone", ["segmentation", "scene"])
def test_what_is_removed_once_all_is_in_place_does_not_take_the_result_away(beating, beats, gone):
    beating.segmentation.CreateClosedSurfaceRepresentation()
    run = beating.process(wait=False)
    beats.pieces(lambda: beating.browser.GetSequenceNode(beating.segmentation) is not None)
    assert not run.done
    if gone == "scene":
        beating.scene.Clear(True)
    else:
        beating.scene.RemoveNode(beating.segmentation)
    beats.pieces(lambda: run.done)
    assert run.error is None and run.result.labels.shape == (TIMES, *SHAPE)


def test_nothing_is_written_to_what_is_removed_as_soon_as_it_has_label_maps(beating, beats):
    segments = beating.segmentation.GetSegmentation()
    beating.segmentation.CreateClosedSurfaceRepresentation()
    segments.SetSourceRepresentationName("Closed surface")
    run = beating.process(wait=False)
    beats.pieces(lambda: segments.GetSourceRepresentationName() != "Closed surface")
    beating.scene.RemoveNode(beating.segmentation)
    before = [node for node in beating.nodes() if "SegmentEditor" not in node]
    beats.pieces(lambda: run.done)
    assert isinstance(run.error, Removed) and not records_of(beating.segmentation)
    assert [node for node in beating.nodes() if "SegmentEditor" not in node] == before


def test_surfaces_follow_where_another_time_point_is_shown_before_they_are_made(beating, beats):
    bar = np.zeros(SHAPE, bool)
    bar[3:14, 2:5, 2:16] = True
    beating.paint(bar, "bar", PAINTED)
    beating.segmentation.CreateClosedSurfaceRepresentation()
    run = beating.process(wait=False)
    beats.pieces(lambda: beating.browser.GetSequenceNode(beating.segmentation) is not None)
    beating.go(2)
    beats.pieces(lambda: run.done)
    own = beating.browser.GetSequenceNode(beating.segmentation)
    for t in range(TIMES):
        for segment_id in ("ball", "bar"):
            segment = own.GetDataNodeAtValue(str(t), True).GetSegmentation().GetSegment(segment_id)
            slices = np.flatnonzero(beating.at(t, segment_id).any(axis=(1, 2)))
            bounds = segment.GetRepresentation("Closed surface").GetBounds()[4:]
            ends = [MATRIX[2, 3] + MATRIX[2, 2] * k for k in (slices[0], slices[-1])]
            assert bounds == pytest.approx(ends, abs=MATRIX[2, 2])


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
