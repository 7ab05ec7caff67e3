"""A segmentation in the background: what its owner sees of it, and what brings it to its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from ..errors import Cancelled
from ..executors import Handle, Report, Request, StartAnew
from ..pieces import Steps
from ..progress import CancelCallback, ProgressCallback
from ..settings import Result
from .presence import Removed, watched

T = TypeVar("T")

_POLL_SECONDS = 0.02
_TIMES_ANEW = 5
"""What is changed again and again while it is read is at last read without a pause."""


class Poller(Protocol):
    """What a run asks to look after it: a session."""

    def poll(self) -> bool: ...


def same_axis(request: Request, results: Sequence[Result]) -> Request:
    """A request that follows others on the same volume, for which they found the slice axis and learned much."""
    return replace(request, axis=int(results[0].report["axis"])) if results else request


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
        """Stop; nothing will be written."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether it is to stop, or has."""
        return self._cancelled.is_set()

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
    """A background run and what it needs to come to its end: reads, has it computed, writes, all in short pieces.

    Attributes:
        waiting: there is nothing to do but to wait for the executor.
        submitted: what was read is with the executor.
        shares_lock: it is computed in a thread of this process, which needs a turn now and then.

    Args:
        run: what the caller holds.
        read: reads the paint; what it returns goes to ``requests`` and ``write``.
        requests: what is to be computed, one after the other.
        submit: hands one of them to the executor.
        write: puts the results into the scene and returns what the caller is to get.
        nodes: when one of them leaves its scene before ``write`` has begun to change anything, the run ends.
        state: what is read, and written to; changes whenever that does.
        progress, cancel, finished: the caller's callbacks.
    """

    def __init__(
        self,
        run: Run,
        read: Callable[[], Steps[Any]],
        requests: Callable[[Any], Sequence[Any]],
        submit: Callable[[Any], Steps[Any]],
        write: Callable[[Any, Sequence[Any]], Steps[Any]],
        nodes: tuple[Any, ...],
        state: Callable[[], Hashable],
        progress: ProgressCallback | None,
        cancel: CancelCallback | None,
        finished: Callable[[Run], None] | None,
    ) -> None:
        self.run = run
        self.waiting = self.submitted = self.shares_lock = False
        self._read = read
        self._requests = requests
        self._submit = submit
        self._write = write
        self._are_there = watched(nodes)
        self._state = state
        self._progress = progress
        self._cancel = cancel
        self._finished = finished
        self._reports: list[Report] = []
        self._outcome: Result | Exception | None = None
        self._work = self._steps()

    def abandon(self) -> None:
        """Cancel, and tell nobody how it ends."""
        self._progress = self._cancel = self._finished = None
        self.run.cancel()

    def advance(self, seconds: float) -> bool:
        """Work for about ``seconds``, at most until there is something to wait for; True at the end."""
        until = time.monotonic() + seconds
        while self._outcome is None:
            try:
                self.waiting = bool(next(self._work))
            except StopIteration as end:
                self._outcome = end.value
            except Exception as error:
                self._outcome = error
            self._relay()
            if self.waiting or time.monotonic() > until:
                break
        return self._outcome is not None

    @property
    def error(self) -> Exception | None:
        """Why it has ended without a result."""
        return self._outcome if isinstance(self._outcome, Exception) else None

    def finish(self) -> None:
        """Tell the caller how it ended."""
        if isinstance(self._outcome, Exception):
            self.run.error = self._outcome
        else:
            self.run.result = self._outcome
        self.run.done = True
        if self._finished is not None:
            self._finished(self.run)

    def _relay(self) -> None:
        """Pass reports to the caller and the caller's wish to the run."""
        while self._reports:
            report = self._reports.pop(0)
            if self._progress is not None:
                self._progress(*report)
        if self._cancel is not None and self._cancel():
            self.run.cancel()

    def _steps(self) -> Generator[bool | None, None, Any]:
        """The whole way; yields True where there is nothing to do but to wait."""
        while True:
            try:
                painting, handle, rest = yield from self._anew_when_changed(self._hand_over)
                self.submitted = True
                results = [(yield from self._wait(handle))]
                for request in rest:
                    self.waiting = False
                    handle = yield from self._submit(same_axis(request, results))
                    results.append((yield from self._wait(handle)))
                break
            except StartAnew:
                continue
        self.waiting = False
        return (yield from self._anew_when_changed(lambda: self._write(painting, results)))

    def _hand_over(self) -> Steps[tuple[Any, Handle, list[Any]]]:
        painting = yield from self._read()
        first, *rest = self._requests(painting)
        handle = yield from self._submit(first)
        return painting, handle, rest

    def _wait(self, handle: Handle) -> Generator[bool, None, Result]:
        why: Cancelled | None = None
        while True:
            why = why or self._reason_to_stop()
            if why is not None:
                handle.cancel()
            done = handle.done
            self._reports += handle.reports()
            if done:
                break
            yield True
        if why is not None:
            raise why
        return handle.result()

    def _anew_when_changed(self, begin: Callable[[], Steps[T]]) -> Steps[T]:
        """Do all pieces; begin anew when somebody else changes what is worked on between two of them.

        Pieces that themselves change it have begun to write: what was begun is done. Up to where it is in place they
        see for themselves whether the nodes are still there; afterwards it no longer matters.
        """
        for _time in range(_TIMES_ANEW):
            steps, before = begin(), self._state()
            writes = False
            while writes or self._state() == before:
                why = None if writes else self._reason_to_stop()
                if why is not None:
                    steps.close()
                    raise why
                try:
                    next(steps)
                except StopIteration as end:
                    made: T = end.value
                    return made
                writes = writes or self._state() != before
                yield
            steps.close()
        steps = begin()
        while True:
            try:
                next(steps)
            except StopIteration as end:
                made = end.value
                return made

    def _reason_to_stop(self) -> Cancelled | None:
        if not self._are_there():
            return Removed()
        return Cancelled() if self.run.cancelled else None
