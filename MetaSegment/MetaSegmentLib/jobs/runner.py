"""Resumable work: what an earlier run has kept is taken from there, the rest is run and kept as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ..progress import Progress
from .executors import Executor, InTurn

Task = TypeVar("Task")
Value = TypeVar("Value")


def run(
    function: Callable[[Task], Value],
    tasks: Sequence[Task],
    executor: Executor | None = None,
    find: Callable[[Task], Value | None] = lambda task: None,
    keep: Callable[[Task, Value], object] = lambda task, value: None,
    progress: Progress | None = None,
    stage: str = "working",
) -> Iterator[tuple[Task, Value]]:
    """Each task with its value: first those that were found, in their order, then the others as they come.

    Args:
        function: makes the value of a task; where the executor has other processes, of a module's top level.
        executor: where it runs; in turn in this process by default.
        find: the value that an earlier run has kept, or None.
        keep: puts a value on disk, whole or not at all; called in this process before the value is given out.
        progress: told of the tasks that are run, as ``stage``.

    Raises:
        MetaSegmentError: a worker was ended from outside; and whatever ``function`` and ``keep`` raise.
    """
    open_tasks = []
    for task in tasks:
        if (value := find(task)) is None:
            open_tasks.append(task)
        else:
            yield task, value
    finished = (executor or InTurn()).run(function, open_tasks)
    for task, value in (progress or Progress()).steps(stage, finished, len(open_tasks)):
        keep(task, value)
        yield task, value
