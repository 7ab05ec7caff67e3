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
