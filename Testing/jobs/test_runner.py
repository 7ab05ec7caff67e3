"""Tasks are run once, kept as they come, in this process or in others, and a worker that is gone is reported."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence

import pytest

from MetaSegmentLib.errors import MetaSegmentError
from MetaSegmentLib.jobs.executors import InTurn, LocalProcesses, executor
from MetaSegmentLib.jobs.runner import run
from MetaSegmentLib.progress import Progress

# What other processes run has to be importable there, so the tasks are functions of Python's own library.


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_task_gets_its_value(jobs: int) -> None:
    found = dict(run(math.sqrt, range(7), executor(jobs)))
    assert found == {task: math.sqrt(task) for task in range(7)}


def test_what_was_kept_is_not_run_again() -> None:
    shelf: dict[int, float] = {4: 2.0, 1: 1.0}
    told: list[tuple[int, int]] = []
    ran: list[int] = []

    def root(task: int) -> float:
        ran.append(task)
        return math.sqrt(task)

    progress = Progress(lambda stage, done, total, eta: told.append((done, total)))
    found = list(run(root, (9, 4, 16, 1), find=shelf.get, keep=shelf.__setitem__, progress=progress))
    assert found == [(4, 2.0), (1, 1.0), (9, 3.0), (16, 4.0)]
    assert ran == [9, 16] and told == [(0, 2), (1, 2), (2, 2)]
    assert list(run(root, (9, 4, 16, 1), find=shelf.get)) == [(9, 3.0), (4, 2.0), (16, 4.0), (1, 1.0)]
    assert ran == [9, 16]


def test_a_value_is_kept_before_it_is_given_out_and_what_is_done_survives_an_error() -> None:
    shelf: dict[int, float] = {}
    results = run(math.sqrt, (9, 4, -1, 16), keep=shelf.__setitem__)
    assert next(results) == (9, 3.0) and shelf == {9: 3.0}
    with pytest.raises(ValueError, match=r"math domain|nonnegative"):
        list(results)
    assert shelf == {9: 3.0, 4: 2.0}


def test_an_error_of_another_process_arrives_as_it_is() -> None:
    with pytest.raises(ValueError, match=r"math domain|nonnegative"):
        list(run(math.sqrt, (-1,), LocalProcesses(1)))


def test_a_worker_that_is_gone_is_reported_in_a_sentence() -> None:
    with pytest.raises(MetaSegmentError) as caught:
        list(run(os._exit, (3,), LocalProcesses(1)))
    assert re.fullmatch(r"[^.]+--jobs\.", str(caught.value))


def test_when_stopped_only_tasks_that_have_begun_are_run(tmp_path) -> None:
    folders = [tmp_path / str(number) for number in range(20)]
    results = run(os.mkdir, folders, LocalProcesses(2))
    next(results)
    results.close()
    assert 1 <= len(list(tmp_path.iterdir())) <= 3


def test_processes_share_the_threads_of_the_machine(monkeypatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    names = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
    assert dict(LocalProcesses(4).run(os.getenv, names)) == dict.fromkeys(names, "3")
    assert dict(LocalProcesses(4, threads=1).run(os.getenv, names)) == dict.fromkeys(names, "1")


class Backwards:
    """Another place to run tasks, as a cluster would be."""

    def run(self, function: Callable, tasks: Sequence) -> Iterator[tuple]:
        for task in reversed(tasks):
            yield task, function(task)


def test_any_other_executor_fits() -> None:
    assert list(run(math.sqrt, (1, 4), Backwards())) == [(4, 2.0), (1, 1.0)]
    assert isinstance(executor(1), InTurn)
