"""The whole way, from painted segments in the scene to filled ones, at once and in the background."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from vtk.util.numpy_support import numpy_to_vtk

import slicer
from MetaSegmentLib import Cancelled, InputError, MetaSegmentError
from MetaSegmentLib.scene import Session
from MetaSegmentLib.scene.views import show_uncertainty
from scene.bench import BALL, SUPPORT, Bench
from scene.lasting import lasting_executor
from scene.nodes import (
    add_segmentation,
    affine,
    an_image,
    look,
    only,
    repaint,
)
from scene.timer import ATimer, after_a_preview


def dice(a: Any, b: Any) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_fills_what_is_not_painted(scene: Any, axis: int) -> None:
    bench = Bench(scene, axis)
    result = bench.run()
    assert result.report["axis"] == axis
    np.testing.assert_array_equal(bench.look(), result.labels == 1)
    planes, painted = (np.moveaxis(m, axis, 0)[SUPPORT] for m in (bench.look(), bench.painted))
    np.testing.assert_array_equal(planes, painted)
    assert dice(bench.look(), BALL) > 0.85


def test_segments_are_reported_by_name(bench: Bench) -> None:
    report = bench.run().report
    assert [s["name"] for s in report["segments"].values()] == ["ball"]
    assert "volume" not in str(report["segments"]).replace("volume_ml", "")


def test_second_run_gives_the_same(bench: Bench) -> None:
    first = bench.run().labels
    np.testing.assert_array_equal(bench.run().labels, first)
    bench.session.forget()
    np.testing.assert_array_equal(bench.run().labels, first)


def test_one_more_slice_is_learned_from(bench: Bench) -> None:
    first = bench.run().labels == 1
    edited = bench.look()
    edited[6] = BALL[6]
    edited[7] = first[7]
    repaint(bench.segmentation, bench.volume, bench.ball, edited)
    result = bench.run()
    assert result.report["support_slices"] == [5, 6, 8, 11]
    fresh = Bench(bench.scene)
    repaint(fresh.segmentation, fresh.volume, fresh.ball, only(BALL, 0, [5, 6, 8, 11]))
    assert dice(result.labels == 1, fresh.run().labels == 1) > 0.98


def test_other_voxels_are_learned_anew(bench: Bench) -> None:
    bench.run()
    array = an_image(BALL)
    array[:] = 7
    bench.volume.GetImageData().GetPointData().SetScalars(numpy_to_vtk(array.ravel(), deep=True))
    with pytest.raises(InputError, match="same value"):
        bench.run()


def test_undo(bench: Bench) -> None:
    bench.run()
    assert bench.session.undo()
    assert bench.is_untouched()
    assert not bench.session.undo()


class APanel:
    """A segment editor widget that only notes what it is told."""

    def __init__(self, segmentation: Any) -> None:
        self.segmentation = segmentation
        self.told: list[str] = []

    def segmentationNode(self) -> Any:
        return self.segmentation

    def saveStateForUndo(self) -> None:
        self.told.append("save")

    def canUndo(self) -> bool:
        return "save" in self.told

    def undo(self) -> None:
        self.told.append("undo")


def test_undo_steps_on_what_a_panel_shows_are_the_panels(bench: Bench) -> None:
    panel = bench.editor.panel = APanel(bench.segmentation)
    bench.run()
    assert panel.told == ["save"]
    assert not bench.session.undo(), "this panel takes nothing back"
    assert panel.told == ["save", "undo"]


def test_undo_steps_elsewhere_are_not_the_panels(bench: Bench) -> None:
    panel = bench.editor.panel = APanel(add_segmentation(bench.scene))
    bench.run()
    assert bench.session.undo() and bench.is_untouched() and panel.told == []


def test_a_step_goes_on_until_something_else_is_changed(bench: Bench) -> None:
    first = bench.run().labels
    assert (bench.run(method="propagation", same_step=True).labels != first).any()
    assert bench.session.undo() and bench.is_untouched()
    bench.run()
    edited = bench.look()
    edited[6] = BALL[6]
    repaint(bench.segmentation, bench.volume, bench.ball, edited)
    bench.run(same_step=True)
    assert bench.session.undo()
    np.testing.assert_array_equal(bench.look(), edited)


def test_the_report_says_what_was_written(bench: Bench) -> None:
    bar = np.zeros_like(BALL)
    bar[6:8, 5:12, 5:15] = True
    bench.paint("bar", bar)
    bench.user_editor()
    result = bench.run(segment_ids=[bench.ball])
    millilitres = 0.8 * 0.8 * 2.0 / 1000
    written = result.report["written"]
    assert written["volume_ml"][1] == pytest.approx(bench.look().sum() * millilitres)
    assert written["left_to_others_ml"] == pytest.approx(((result.labels == 1) & bar).sum() * millilitres)
    assert written["left_to_others_ml"] > 0


def test_millilitres_of_a_sheared_grid(scene: Any) -> None:
    shear = np.array([[0.8, 0, 0], [0, 0.8, 1.2], [0, 0, 2.0]])
    bench = Bench(scene, 0, affine(shear, (5, 6, 7)), (affine(np.diag([1.0, 1.5, 1.0])), None))
    report = bench.run().report
    voxels = int(bench.look().sum())
    assert report["segments"]["1"]["volume_ml"] == pytest.approx(voxels * 0.8 * 0.8 * 2.0 * 1.5 / 1000)
    assert report["written"]["volume_ml"][1] == pytest.approx(voxels * 0.8 * 0.8 * 2.0 * 1.5 / 1000)


def test_an_overlay_of_uncertainty_is_no_input(bench: Bench) -> None:
    overlay = show_uncertainty(bench.volume, np.zeros(BALL.shape, np.float16))
    with pytest.raises(InputError, match="the scan itself"):
        bench.session.process(overlay, bench.segmentation, method="shape")


def test_a_run_that_is_abandoned_tells_nobody(bench: Bench) -> None:
    told: list[Any] = []
    run = bench.start(progress=lambda *_: told.append(1), finished=told.append)
    bench.session.abandon()
    with pytest.raises(Cancelled):
        run.wait(60)
    assert told == [] and bench.is_untouched()


def test_the_panels_editor_comes_before_others(bench: Bench) -> None:
    import slicer

    def an_editor(mode: int) -> Any:
        node = bench.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        node.SetAndObserveSegmentationNode(bench.segmentation)
        node.SetMaskMode(mode)
        return node

    an_editor(slicer.vtkMRMLSegmentationNode.EditAllowedInsideAllSegments)
    bench.run()
    assert (bench.look() == bench.painted).all()
    bench.session.editor_node = an_editor(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
    result = bench.run()
    np.testing.assert_array_equal(bench.look(), result.labels == 1)
    bench.session.editor_node.SetAndObserveSegmentationNode(None)
    bench.run()


def test_output_segmentation(bench: Bench) -> None:
    output = add_segmentation(bench.scene)
    result = bench.run(output=output)
    assert bench.is_untouched()
    np.testing.assert_array_equal(look(output, bench.volume, "ball"), result.labels == 1)


def test_background_run_writes_when_polled(bench: Bench) -> None:
    threads, stages, ended = set(), [], []

    def progress(stage: str, done: int, total: int, eta: float | None) -> None:
        threads.add(threading.current_thread())
        stages.append(stage)

    run = bench.start(progress=progress, finished=ended.append)
    assert bench.is_untouched()
    assert bench.session.running
    result = run.wait(60)
    np.testing.assert_array_equal(bench.look(), result.labels == 1)
    assert threads == {threading.main_thread()}
    assert stages
    assert ended == [run]
    assert (run.done, run.error, bench.session.poll()) == (True, None, False)


def test_background_run_polls_itself_when_there_is_a_timer(bench: Bench) -> None:
    timer: list[Any] = []
    bench.session = Session(lambda call, _milliseconds: timer.append(call), lasting_executor())
    run = bench.start()
    for _ in range(100_000):
        if not timer:
            break
        timer.pop()()
        threading.Event().wait(0.001)
    assert run.done
    assert not bench.is_untouched()


def test_background_run_has_its_own_copy(bench: Bench) -> None:
    first = bench.run().labels
    bench.session.undo()
    bench.session.forget()
    run = bench.start()
    bench.volume.GetImageData().GetPointData().GetScalars().Fill(0)
    np.testing.assert_array_equal(run.wait(60).labels, first)


def test_one_background_run_at_a_time(bench: Bench) -> None:
    run = bench.start()
    with pytest.raises(MetaSegmentError, match="under way"):
        bench.run()
    run.wait(60)
    bench.run()


@pytest.mark.parametrize("how", ["run", "session", "callback"])
def test_cancelled_run_writes_nothing(bench: Bench, how: str) -> None:
    run = bench.start(cancel=(lambda: True) if how == "callback" else None)
    {"run": run.cancel, "session": bench.session.cancel, "callback": lambda: None}[how]()
    with pytest.raises(Cancelled):
        run.wait(60)
    assert bench.is_untouched()
    bench.run()


def test_cancel_while_waiting(bench: Bench) -> None:
    with pytest.raises(Cancelled):
        bench.run(cancel=lambda: True)
    assert bench.is_untouched()


@pytest.mark.parametrize("gone", ["volume", "segmentation", "output", "everything"])
def test_deleted_in_the_middle(bench: Bench, gone: str) -> None:
    output = add_segmentation(bench.scene) if gone == "output" else None
    run = bench.start(output=output)
    if gone == "everything":
        bench.scene.Clear(False)
    else:
        bench.scene.RemoveNode({"volume": bench.volume, "segmentation": bench.segmentation, "output": output}[gone])
    with pytest.raises(Cancelled, match="was removed; nothing was written"):
        run.wait(60)
    assert bench.is_untouched()
    assert not bench.session.running


@pytest.fixture
def timer(bench: Bench, timer: ATimer) -> ATimer:
    """Runs of the bench go on, piece by piece, when it is fired."""
    bench.session = Session(timer, lasting_executor())
    return timer


def test_paint_that_comes_while_paint_is_read_is_read(bench: Bench, timer: ATimer) -> None:
    run = bench.start()
    timer.fire()
    more = only(BALL, 0, [5, 6, 8, 11])
    repaint(bench.segmentation, bench.volume, bench.ball, more)
    assert run.wait(60).report["support_slices"] == [5, 6, 8, 11]


def test_voxels_that_come_while_voxels_are_read_are_read(bench: Bench, timer: ATimer) -> None:
    first = bench.start()
    first.wait(60)
    other = np.roll(an_image(BALL), 3, 1)
    run = bench.start()
    timer.fire()
    bench.volume.GetImageData().GetPointData().SetScalars(numpy_to_vtk(other.ravel(), deep=True))
    result = run.wait(60)
    fresh = bench.run()
    np.testing.assert_array_equal(result.labels, fresh.labels)


@pytest.mark.parametrize("gone", ["volume", "segmentation"])
def test_removed_while_it_is_read(bench: Bench, timer: ATimer, gone: str) -> None:
    run = bench.start()
    timer.fire()
    bench.scene.RemoveNode(getattr(bench, gone))
    with pytest.raises(Cancelled, match="was removed; nothing was written"):
        run.wait(60)
    assert bench.is_untouched()


def test_what_is_wrong_with_the_paint_is_found_in_the_run(bench: Bench, timer: ATimer) -> None:
    repaint(bench.segmentation, bench.volume, bench.ball, np.zeros_like(BALL))
    run = bench.start(segment_ids=[bench.ball])
    with pytest.raises(InputError, match="no paint"):
        run.wait(60)


def test_a_thread_gets_its_turns(bench: Bench, timer: ATimer, monkeypatch: pytest.MonkeyPatch) -> None:
    from MetaSegmentLib.executors import InProcessExecutor
    from MetaSegmentLib.scene import session

    turns: list[int] = []
    monkeypatch.setattr(session, "let_threads_run", lambda: turns.append(threading.Event().wait(0.005)))
    bench.session = Session(timer, InProcessExecutor())
    run = bench.start()
    while timer.fire():
        pass
    assert run.error is None and run.result is not None and turns


def test_the_total_is_what_the_user_waited(bench: Bench) -> None:
    begin = time.monotonic()
    run = bench.start(started=begin - 100)
    total = run.wait(60).report["seconds"]["total"]
    assert 100 < total <= 100 + time.monotonic() - begin + 0.001, "rounded to milliseconds"


def test_a_closed_session_lets_go_and_may_be_used_again(bench: Bench) -> None:
    from MetaSegmentLib.executors import InProcessExecutor

    bench.session = Session(executor=InProcessExecutor())
    run = bench.start()
    bench.session.close()
    with pytest.raises(Cancelled):
        run.wait(60)
    assert bench.is_untouched() and bench.session._here.engine.empty
    assert bench.start().wait(60).labels.any()


def test_a_closed_session_leaves_no_node_in_the_scene(bench: Bench) -> None:
    count = bench.scene.GetNumberOfNodes()
    for _ in range(2):
        bench.editor.open(bench.segmentation)
        assert bench.scene.GetNumberOfNodes() == count + 1
        bench.session.close()
        assert bench.scene.GetNumberOfNodes() == count


def test_a_session_may_be_closed_after_its_scene_is_gone() -> None:
    scene, session = slicer.vtkMRMLScene(), Session()
    session.editor.open(add_segmentation(scene))
    scene.Clear(True)
    del scene
    session.close()


def test_what_was_done_before_a_session_was_closed_is_not_taken_back(bench: Bench) -> None:
    bench.run()
    bench.session.close()
    assert not bench.session.undo()
    done = bench.look()
    bench.run(method="propagation")
    assert bench.session.undo() and not bench.session.undo()
    np.testing.assert_array_equal(bench.look(), done)


def test_a_preview_that_is_removed_is_not_followed_by_a_run(bench: Bench) -> None:
    assert after_a_preview(bench, lambda: bench.scene.RemoveNode(bench.segmentation)) is None
    assert not bench.session.running


def test_slices_may_be_named_for_each_segment(bench: Bench) -> None:
    box = np.zeros(BALL.shape, bool)
    box[3:14, 1:4, 1:6] = True
    bench.paint("box", only(box, 0, [4, 8, 12]))
    result = bench.run(slices={bench.ball: [*SUPPORT, 15], 2: [4, 8, 12, 14]})
    assert result.report["segments"]["1"]["support_slices"] == [*SUPPORT, 15]
    assert result.report["segments"]["2"]["support_slices"] == [4, 8, 12, 14]


@pytest.mark.parametrize("gone", ["volume", "segmentation", "scene"])
def test_what_a_callback_removes_while_a_script_waits(bench: Bench, gone: str) -> None:
    """As the user does where the callback lets events through."""

    def progress(*_about: Any) -> None:
        if gone == "scene":
            bench.scene.Clear(True)
        elif getattr(bench, gone).GetScene() is not None:
            bench.scene.RemoveNode(getattr(bench, gone))

    with pytest.raises(Cancelled, match="removed"):
        bench.run(progress=progress)
    assert bench.is_untouched()


@pytest.mark.parametrize("name", ["", None])
def test_a_segment_without_a_name_is_found_again_in_the_output(bench: Bench, name: str | None) -> None:
    bench.segments.GetSegment(bench.ball).SetName(name)
    output = add_segmentation(bench.scene)
    for _ in range(2):
        result = bench.run(output=output)
        assert list(output.GetSegmentation().GetSegmentIDs()) == [bench.ball]
    assert result.report["segments"]["1"]["name"] == bench.ball


def test_a_script_that_writes_into_the_volume_is_no_error(bench: Bench) -> None:
    """Without arrayFromVolumeModified nothing tells that the voxels are others."""
    bench.run()
    slicer.util.arrayFromVolume(bench.volume)[6] += 1
    again = bench.run().labels
    bench.session.forget()
    np.testing.assert_array_equal(bench.run().labels, again)
