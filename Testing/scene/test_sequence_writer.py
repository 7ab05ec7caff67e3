"""All time points of a sequence, from the paint at one or a few of them, and what comes between meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import slicer
from MetaSegmentLib import Cancelled, InputError
from MetaSegmentLib.data.protocol import dice
from MetaSegmentLib.scene import sequence_writer
from MetaSegmentLib.scene.geometry import Grid
from MetaSegmentLib.scene.reader import read_mask
from MetaSegmentLib.scene.record import record_of, records_of
from MetaSegmentLib.task.parts import Part
from scene.beating import MATRIX, PAINTED, TIMES, Beating
from scene.nodes import SHAPE, a_ball, affine, only, oriented_image, put_under
from scene.timer import after_a_preview


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
    assert "Another time point is shown" in str(after_a_preview(beating, lambda: beating.go(2)))
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


def test_the_application_gets_its_turns_while_time_points_are_read_and_written(beating, beats):
    before, seen = beating.nodes(), set()
    run = beating.process(wait=False)
    job = beating.session._job
    assert beats.pieces(lambda: job.waiting) > 3 * TIMES
    beats.pieces(lambda: not job.waiting)

    def written() -> bool:
        own = beating.browser.GetSequenceNode(beating.segmentation)
        seen.add(0 if own is None else own.GetNumberOfDataNodes())
        return own is not None

    assert beats.pieces(written) > 3 * TIMES and seen == {0, TIMES}
    assert len(beating.nodes()) == len(before) + 2  # the sequence, and the editor that writes
    beats.pieces(lambda: run.done)
    assert all(np.array_equal(beating.at(t), run.result.labels[t] == 1) for t in range(TIMES))


@pytest.mark.parametrize("t", [0, 2])
@pytest.mark.parametrize("when", ["read", "written"])
def test_what_is_painted_between_two_pieces_is_kept(beating, beats, when, t):
    beating.process()
    run = beating.process(wait=False)
    job = beating.session._job
    if when == "written":
        beats.pieces(lambda: job.waiting)
        beats.pieces(lambda: not job.waiting)
    for _ in range(2 * TIMES):
        beats.calls.pop(0)()
    beating.go(t)
    painted = beating.shown()
    painted[9], painted[9, 2:5, 2:5] = False, True
    beating.edit(painted)
    beats.pieces(lambda: run.done)
    assert run.error is None and np.array_equal(beating.at(t)[9], painted[9])
    assert beating.session.undo() and np.array_equal(beating.at(t), painted)


def test_a_time_point_that_changes_once_it_was_worked_out_is_worked_out_anew(beating, beats, monkeypatch):
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
    beats.pieces(lambda: run.done)
    assert len(worked_out) == 2 and np.array_equal(beating.at(1)[9], mask[9])


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


def test_a_segment_that_was_removed_at_another_time_point_is_noticed(beating):
    beating.process()
    run = beating.begin()
    node = beating.browser.GetSequenceNode(beating.segmentation).GetDataNodeAtValue("2", True)
    node.GetSegmentation().RemoveSegment("ball")
    with pytest.raises(InputError, match="segment was removed"):
        run.wait(120)
