"""Progress, time left, cancel and threads."""

from __future__ import annotations

import threading
import time

import pytest

from MetaSegmentLib import Cancelled
from MetaSegmentLib.progress import Progress, run_all


def test_every_step_is_told_with_the_time_left():
    told = []
    progress = Progress(lambda *step: told.append(step))
    for _ in progress.steps("work", "abc"):
        time.sleep(0.01)
    assert [(stage, done, total) for stage, done, total, _ in told] == [("work", n, 3) for n in range(4)]
    etas = [eta for *_, eta in told]
    assert etas[0] is None and etas[1] > etas[2] > etas[3] == 0
    assert progress.seconds["work"] >= 0.03


@pytest.mark.parametrize("workers", [1, 3])
def test_all_tasks_run_and_callbacks_stay_on_the_callers_thread(workers):
    done, threads = [], set()
    progress = Progress(lambda *_: threads.add(threading.get_ident()), lambda: threads.add(threading.get_ident()))
    run_all("work", [lambda n=n: done.append(n) for n in range(20)], progress, workers)
    assert sorted(done) == list(range(20))
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_cancel_drops_the_tasks_that_have_not_begun(workers):
    done = []

    def task():
        time.sleep(0.02)
        done.append(1)

    with pytest.raises(Cancelled):
        run_all("work", [task] * 50, Progress(cancel=lambda: len(done) >= 3), workers)
    assert 3 <= len(done) <= 3 + 2 * workers


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_in_a_task_is_the_callers(workers):
    def task():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        run_all("work", [task] * 5, Progress(), workers)


@pytest.mark.parametrize("given", ["nothing", "another"])
def test_another_run_keeps_the_callbacks_that_it_is_not_given(given):
    first, second, stop = [], [], []
    progress = Progress(lambda *step: first.append(step), lambda: bool(stop))
    callback = None if given == "nothing" else lambda *step: second.append(step)
    again = progress.again(callback)
    again.report("work", 0, 1)
    assert (len(first), len(second)) == ((1, 0) if given == "nothing" else (0, 1))
    stop.append(True)
    with pytest.raises(Cancelled):
        again.check()


def test_listening_to_another_callback_keeps_an_earlier_cancel():
    told, stop = [], []
    progress = Progress(cancel=lambda: bool(stop))
    progress.listen(lambda *step: told.append(step), None)
    progress.report("work", 0, 1)
    stop.append(True)
    with pytest.raises(Cancelled):
        progress.report("work", 1, 1)
    assert len(told) == 1
    stop.clear()
    progress.listen(None, lambda: True)
    with pytest.raises(Cancelled):
        progress.check()


def test_another_run_counts_its_own_seconds():
    progress = Progress()
    list(progress.steps("work", range(2)))
    assert progress.again().seconds == {} and "work" in progress.seconds
