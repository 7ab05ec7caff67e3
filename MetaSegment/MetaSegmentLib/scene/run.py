"""A segmentation in the background: what its owner sees of it, and what brings it to its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from ..errors import Cancelled
from ..progress import CancelCallback, ProgressCallback
from ..settings import Result
from .i18n import tr as _
from .worker import Worker

_POLL_SECONDS = 0.02

Compute = Callable[[ProgressCallback, CancelCallback], Result]


class Poller(Protocol):
    """What a run asks to look after it: a session."""

    def poll(self) -> bool: ...


class Run:
    """A segmentation that goes on in the background.

    Attributes:
        done: whether it has ended, with ``result`` or with ``error``.
        result: the engine's result, once it has been written to the scene.
        error: why there is no result; :class:`Cancelled` if it was cancelled.
    """

    def __init__(self, session: Poller) -> None:
        self.done = False
        self.result: Result | None = None
        self.error: Exception | None = None
        self._session = session
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop within one batch; nothing will be written."""
        self._cancelled.set()

    def wait(self, timeout: float | None = None) -> Result:
        """Poll until the run has ended, in seconds at most ``timeout``; not for the thread of a GUI.

        Raises:
            TimeoutError: the run is still under way.
            MetaSegmentError: the run has failed or was cancelled.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self.done:
            self._session.poll()
            if self.done:
                break
            if end is not None and time.monotonic() > end:
                raise TimeoutError("The segmentation is still under way.")
            time.sleep(_POLL_SECONDS)
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result


class Job:
    """A background run and what it needs to come to its end.

    Args:
        run: what the caller holds.
        worker: where the work is done.
        compute: the work; it must not touch Qt or MRML.
        write: puts the result into the scene and returns what the caller is to get.
        nodes: when one of them leaves its scene, the run is cancelled.
        progress, cancel, finished: the caller's callbacks.
    """

    def __init__(
        self,
        run: Run,
        worker: Worker,
        compute: Compute,
        write: Callable[[Result], Result],
        nodes: tuple[Any, ...],
        progress: ProgressCallback | None,
        cancel: CancelCallback | None,
        finished: Callable[[Run], None] | None,
    ) -> None:
        self.run = run
        self._write = write
        self._nodes = [(node, node.GetScene(), node.GetID()) for node in nodes]
        self._progress = progress
        self._cancel = cancel
        self._finished = finished
        self._reports: SimpleQueue[tuple[str, int, int, float | None]] = SimpleQueue()
        stopped, stopping, reports = run._cancelled, worker.stopping, self._reports

        def report(*about: Any) -> None:
            reports.put(about)

        def cancelled() -> bool:
            return stopped.is_set() or stopping.is_set()

        self._future: Future[Result] = worker.submit(lambda: compute(report, cancelled))

    def abandon(self) -> None:
        """Cancel, and tell nobody how it ends."""
        self._progress = self._cancel = self._finished = None
        self.run.cancel()

    def relay(self) -> bool:
        """Pass reports to the caller and the caller's wishes to the engine; True when the engine has ended."""
        ended = self._future.done()
        while self._progress is not None:
            try:
                report = self._reports.get_nowait()
            except Empty:
                break
            self._progress(*report)
        if (self._cancel is not None and self._cancel()) or not self._nodes_are_there():
            self.run.cancel()
        return ended

    def finish(self) -> None:
        """Write the result and tell the caller."""
        run = self.run
        try:
            result = self._future.result()
            if not self._nodes_are_there():
                raise Cancelled(_("The volume or the segmentation was removed; nothing was written."))
            if run._cancelled.is_set():
                raise Cancelled
            run.result = self._write(result)
        except Exception as error:
            run.error = error
        run.done = True
        if self._finished is not None:
            self._finished(run)

    def _nodes_are_there(self) -> bool:
        return all(scene.GetNodeByID(identifier) is node for node, scene, identifier in self._nodes)
