"""However a program ends, its worker ends with it, and no memory is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import MetaSegmentLib
from executors.requests import is_running, shared_memory, wait_for

_FOLDERS = [str(Path(MetaSegmentLib.__file__).parents[1]), str(Path(__file__).parents[1])]
_PROGRAM = f"""
import sys, time
sys.path[:0] = {_FOLDERS!r}
from executors.pretender import executor
from executors.requests import a_request, run, start, wait_for
from MetaSegmentLib.executors.memory import SharedArray
executor = executor()
method, end = sys.argv[1:]
handle = start(executor, a_request(method)) if method else run(executor, a_request())
held = SharedArray((1000, 1000), "u1")
print(executor.pid, flush=True)
if end == "wait":
    time.sleep(60)
if end == "error":
    raise RuntimeError
"""


@pytest.fixture(autouse=True)
def no_memory_left() -> object:
    before = shared_memory()
    yield
    assert shared_memory() - before == set()


def a_program(method: str, end: str) -> tuple[subprocess.Popen[str], int]:
    program = subprocess.Popen([sys.executable, "-c", _PROGRAM, method, end], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    return program, int(program.stdout.readline())


@pytest.mark.parametrize("method", ["", "asleep", "busy", "obedient"])
def test_a_program_that_is_killed_takes_its_worker_along(method: str) -> None:
    program, worker = a_program(method, "wait")
    assert is_running(worker)
    program.kill()
    program.wait()
    assert wait_for(lambda: not is_running(worker), 5) < 2


@pytest.mark.parametrize("end", ["quit", "error"])
def test_a_program_that_ends_takes_its_worker_along(end: str) -> None:
    program, worker = a_program("busy", end)
    program.wait(10)
    assert wait_for(lambda: not is_running(worker), 5) < 2


def test_both_killed_at_once() -> None:
    program, worker = a_program("busy", "wait")
    os.kill(worker, signal.SIGSTOP)
    program.kill()
    os.kill(worker, signal.SIGKILL)
    program.wait()
    wait_for(lambda: not is_running(worker), 2)


def test_ctrl_c_is_for_the_program(tmp_path: Path) -> None:
    program, worker = a_program("obedient", "wait")
    os.kill(worker, signal.SIGINT)
    program.send_signal(signal.SIGINT)
    program.wait(10)
    assert program.returncode != 0
    wait_for(lambda: not is_running(worker), 2)
