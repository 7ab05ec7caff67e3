"""Progress, time left and cancellation: one object that every stage reports to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TypeVar

from .errors import Cancelled

ProgressCallback = Callable[[str, int, int, float | None], None]
CancelCallback = Callable[[], bool]
Item = TypeVar("Item")
_POLL_SECONDS = 0.05


class Progress:
    """Tells a callback how far a run is and stops the run when it was cancelled.

    Args:
        callback: called as ``callback(stage, done, total, eta_s)``; ``eta_s`` is None until it can be told.
        cancel: polled at every step; returning True raises :class:`Cancelled` from that step.

    ``seconds`` holds the seconds spent in each stage so far.
    """

    def __init__(self, callback: ProgressCallback | None = None, cancel: CancelCallback | None = None) -> None:
        self._callback = callback
        self._cancel = cancel
        self.seconds: dict[str, float] = {}

    def again(self, callback: ProgressCallback | None = None, cancel: CancelCallback | None = None) -> Progress:
        """For another run, with the callbacks of this one where none are given."""
        return Progress(callback or self._callback, cancel or self._cancel)

    def listen(self, callback: ProgressCallback | None, cancel: CancelCallback | None) -> None:
        """Call these from now on; None leaves what was there."""
        self._callback, self._cancel = callback or self._callback, cancel or self._cancel

    def check(self) -> None:
        """Raise :class:`Cancelled` if the caller wants to stop."""
        if self._cancel is not None and self._cancel():
            raise Cancelled

    def report(self, stage: str, done: int, total: int, eta_s: float | None = None) -> None:
        self.check()
        if self._callback is not None:
            self._callback(stage, done, total, eta_s)

    def steps(self, stage: str, items: Iterable[Item], total: int | None = None) -> Iterator[Item]:
        """Yield ``items``, reporting before the first and after each; time counts towards ``seconds[stage]``."""
        if total is None:
            if not isinstance(items, Sized):
                items = list(items)
            total = len(items)
        start = time.monotonic()
        before = self.seconds.get(stage, 0.0)
        self.report(stage, 0, total)
        for done, item in enumerate(items, start=1):
            yield item
            spent = time.monotonic() - start
            self.seconds[stage] = before + spent
            self.report(stage, done, total, spent / done * (total - done))


def run_all(stage: str, tasks: Sequence[Callable[[], object]], progress: Progress, workers: int = 1) -> None:
    """Run tasks in threads, ``workers`` at a time; callbacks are called from this thread only.

    A cancel or an error lets the tasks that have begun end and drops the others.
    """
    if workers < 2 or len(tasks) < 2:
        for task in progress.steps(stage, tasks):
            task()
        return
    pool = ThreadPoolExecutor(workers)
    try:
        waiting = {pool.submit(task) for task in tasks}
        for _ in progress.steps(stage, range(len(tasks))):
            while not (done := wait(waiting, _POLL_SECONDS, FIRST_COMPLETED).done):
                progress.check()
            finished = done.pop()
            waiting.discard(finished)
            finished.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
