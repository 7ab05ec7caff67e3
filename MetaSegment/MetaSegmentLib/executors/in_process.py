"""Computing in this process: at once, or in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..pieces import Steps, copy_steps
from ..progress import CancelCallback, ProgressCallback
from ..settings import Result
from .protocol import Handle, Report, Request
from .thread import Worker
from .warm_engine import WarmEngine

Done = TypeVar("Done")


class InProcessExecutor:
    """For scripts, which wait; and in a thread where no process can be started.

    Attributes:
        engine: remembers the last volume.
    """

    shares_lock = True

    def __init__(self) -> None:
        self.engine = WarmEngine()
        self._worker = Worker()
        self._image: tuple[Hashable, NDArray[Any]] | None = None
        self._handle: ThreadHandle[Result] | None = None

    def listen(self, call: Callable[[], None]) -> None:
        """A thread cannot call into another one: nothing."""

    def warm_up(self) -> None:
        """Loading in a thread would take time from this one: nothing."""

    def compute(
        self, request: Request, progress: ProgressCallback | None = None, cancel: CancelCallback | None = None
    ) -> Result:
        """Segment at once, on the arrays as they are.

        Raises:
            MetaSegmentError: see :func:`MetaSegmentLib.segment`.
        """
        return self.engine.compute(request, progress, cancel)

    def submit(self, request: Request) -> Steps[Handle]:
        """Hand a request to the thread; see :class:`Executor`."""
        if self._image is None or self._image[0] != request.origin:
            self._image = None
            image = np.empty(request.image.shape, request.image.dtype)
            yield from copy_steps(request.image, image)
            self._image = (request.origin, image)
        given = replace(request, image=self._image[1])
        self._handle = ThreadHandle(self._worker, lambda *callbacks: self.engine.compute(given, *callbacks))
        return self._handle

    def forget(self) -> None:
        """Let go of the last volume; the thread does it when it is at work."""
        self._image = None
        if self._handle is not None and not self._handle.done:
            self._worker.submit(self.engine.forget)
        else:
            self.engine.forget()
        self._handle = None

    def close(self) -> None:
        """Cancel and forget."""
        if self._handle is not None:
            self._handle.cancel()
        self.forget()


class ThreadHandle(Generic[Done]):
    """Work in the thread of a worker.

    Args:
        work: called there with a progress and a cancel callback.
    """

    def __init__(self, worker: Worker, work: Callable[[ProgressCallback, CancelCallback], Done]) -> None:
        self._reports: SimpleQueue[Report] = SimpleQueue()
        self._cancelled = threading.Event()
        reports, cancelled, stopping = self._reports, self._cancelled, worker.stopping

        def report(*about: Any) -> None:
            reports.put(about)

        def stopped() -> bool:
            return cancelled.is_set() or stopping.is_set()

        self._future: Future[Done] = worker.submit(lambda: work(report, stopped))

    @property
    def done(self) -> bool:
        return self._future.done()

    def reports(self) -> list[Report]:
        found = []
        while True:
            try:
                found.append(self._reports.get_nowait())
            except Empty:
                return found

    def cancel(self) -> None:
        self._cancelled.set()

    def result(self) -> Done:
        return self._future.result()
