"""The background thread: one for all jobs, and it ends with its owner."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from MetaSegmentLib.executors.thread import Worker


def test_all_jobs_run_in_one_other_thread() -> None:
    worker = Worker()
    threads = {worker.submit(threading.current_thread).result(10) for _ in range(3)}
    assert len(threads) == 1
    assert threads.isdisjoint({threading.current_thread()})


def test_what_a_job_raises_comes_back_and_the_next_one_runs() -> None:
    worker = Worker()
    with pytest.raises(ZeroDivisionError):
        worker.submit(lambda: 1 // 0).result(10)
    assert worker.submit(lambda: 5).result(10) == 5


def test_thread_ends_with_its_owner() -> None:
    worker = Worker()
    thread = worker.submit(threading.current_thread).result(10)
    del worker
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def test_the_thread_itself_may_let_go_of_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", faults.append)
    held, let_go = [Worker()], threading.Event()

    def job() -> threading.Thread:
        assert let_go.wait(10)
        held.clear()
        gc.collect()
        return threading.current_thread()

    future = held[0].submit(job)
    let_go.set()
    thread = future.result(10)
    thread.join(10)
    assert not thread.is_alive() and not held and not faults


def test_leaving_the_program_stops_a_running_job(repository: Path) -> None:
    code = (
        "import time\n"
        "from MetaSegmentLib.executors.thread import Worker\n"
        "worker = Worker()\n"
        "worker.submit(lambda: worker.stopping.wait(60) and print('stopped', flush=True))\n"
        "time.sleep(0.2)\n"
    )
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository / "MetaSegment", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "stopped"
    assert time.monotonic() - start < 30
