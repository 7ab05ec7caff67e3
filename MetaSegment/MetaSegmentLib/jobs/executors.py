"""Where tasks are run: in this process, or in several local ones."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import Protocol, TypeVar

from ..errors import MetaSegmentError

Task = TypeVar("Task")
Value = TypeVar("Value")

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
"""Variables that say how many threads a process may use."""


class Executor(Protocol):
    """Runs a function on tasks; in other processes, so function, tasks and values have to be picklable."""

    def run(self, function: Callable[[Task], Value], tasks: Sequence[Task]) -> Iterator[tuple[Task, Value]]:
        """Each task with its value, as soon as it is there, in any order; the first error ends it."""


class InTurn:
    """One task after the other, in this process."""

    def run(self, function: Callable[[Task], Value], tasks: Sequence[Task]) -> Iterator[tuple[Task, Value]]:
        for task in tasks:
            yield task, function(task)


class LocalProcesses:
    """Several tasks at the same time, each in a process of its own; when stopped, those that have begun end first.

    Args:
        jobs: how many processes.
        threads: of each; by default they share the machine.
    """

    def __init__(self, jobs: int, threads: int | None = None) -> None:
        self._jobs = jobs
        self._threads = threads or max(1, (os.cpu_count() or 1) // jobs)

    def run(self, function: Callable[[Task], Value], tasks: Sequence[Task]) -> Iterator[tuple[Task, Value]]:
        """See :class:`Executor`.

        Raises:
            MetaSegmentError: a worker was ended from outside.
        """
        # Started afresh, not forked: ITK and torch do not survive a fork of their threads.
        pool = ProcessPoolExecutor(
            self._jobs, get_context("spawn"), initializer=_prepare_worker, initargs=(self._threads,)
        )
        waiting = iter(tasks)
        running: dict[Future[Value], Task] = {}
        try:
            while True:
                # No more than can run, so that a stop does not have to wait for others.
                for task in islice(waiting, self._jobs - len(running)):
                    running[pool.submit(function, task)] = task
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        except BrokenProcessPool as error:
            raise MetaSegmentError(
                "A worker was ended from outside, perhaps for want of memory; "
                "run the same command again with fewer --jobs."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def executor(jobs: int) -> Executor:
    """In turn for one job, else in so many local processes."""
    return InTurn() if jobs == 1 else LocalProcesses(jobs)


def _prepare_worker(threads: int) -> None:
    # Ctrl-C is the parent's to handle. The variables are read when ITK and torch are first imported.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in THREADS:
        os.environ[name] = str(threads)
