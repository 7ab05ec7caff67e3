"""Computing in a process of its own: it may crash, run out of memory or be killed, and nothing else goes with it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import weakref
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from .. import errors
from ..errors import Cancelled, MetaSegmentError
from ..pieces import Steps, copy_steps
from ..settings import Result
from .child import Child, Launch, PipedChild, command
from .in_process import InProcessExecutor
from .memory import SharedArray, open_array, sweep
from .messages import Decoder, Message, encode
from .protocol import Handle, Report, Request, StartAnew

SECONDS_TO_CANCEL = 0.2
"""A worker that has not stopped by then is killed."""

_SECONDS_TO_START = 60.0
_GONE = "The computation ended unexpectedly, perhaps for want of memory; close other programs and try again."
_FAILED = "The segmentation failed for a reason that was not foreseen; the details are in the log."


class WorkerTraceback(Exception):
    """What happened in the worker, as the cause of an error here: for the log."""


class ProcessExecutor:
    """Keeps a worker process, from the first request or :meth:`warm_up` to :meth:`close`, and starts it again when it
    has ended. Where it cannot be started, requests go to a thread.

    Args:
        interpreter: a Python that has the packages; the default is the running one.
        launch: starts a program; see :class:`PipedChild`.
        arguments: what to start instead of ``interpreter``'s worker.
    """

    def __init__(
        self,
        interpreter: str = sys.executable,
        launch: Launch = PipedChild,
        arguments: list[str] | None = None,
    ) -> None:
        self._arguments = arguments or command(interpreter)
        self._launch = launch
        self._call: Callable[[], None] = _nothing
        self._worker: _Worker | None = None
        # Weak: a result belongs to whoever asked for it, and goes with them.
        self._last: Callable[[], _Handle | None] = _nothing
        self._instead: InProcessExecutor | None = None

    @property
    def shares_lock(self) -> bool:
        """Whether requests go to a thread, since no process can be started."""
        return self._instead is not None

    @property
    def pid(self) -> int | None:
        """The process that computes, once it has reported itself."""
        return None if self._worker is None else self._worker.look().pid

    def listen(self, call: Callable[[], None]) -> None:
        """See :class:`Executor`."""
        self._call = call

    def warm_up(self) -> None:
        """Start the worker, if need be, and have it load what it needs."""
        worker = self._running()
        if worker is not None:
            worker.send({"do": "warm up"})

    def submit(self, request: Request) -> Steps[Handle]:
        """See :class:`Executor`."""
        worker = self._running()
        if worker is None:
            assert self._instead is not None
            handle: Handle = yield from self._instead.submit(request)
            return handle
        image = None
        if worker.origin != request.origin:
            worker.origin = None
            image = SharedArray(request.image.shape, request.image.dtype)
            yield from copy_steps(request.image, image.array)
        labels = SharedArray(request.labels.shape, request.labels.dtype)
        yield from copy_steps(request.labels, labels.array)
        if worker is not self._worker or not worker.look().alive:
            raise StartAnew
        handle = worker.submit(request, image, labels, self._abort)
        self._last = weakref.ref(handle)
        return handle

    def forget(self) -> None:
        """See :class:`Executor`."""
        if self._worker is not None:
            self._worker.forget()
        if self._instead is not None:
            self._instead.forget()

    def close(self) -> None:
        """End the worker, whatever it does."""
        worker, self._worker = self._worker, None
        if (handle := self._last()) is not None:
            handle.end(Cancelled())
        if worker is not None:
            worker.kill()
        if self._instead is not None:
            self._instead.close()

    def _running(self) -> _Worker | None:
        """The worker, started if need be; None where that cannot be done."""
        if self._worker is not None and not self._worker.look().alive:
            if self._worker.pid is None:
                self._give_up("it ended before it was ready")
            self._worker = None
        if self._worker is None and self._instead is None:
            try:
                self._worker = _Worker(self._launch(self._arguments, self._heard))
            except OSError as error:
                self._give_up(type(error).__name__)
        return self._worker

    def _give_up(self, reason: str) -> None:
        logging.warning("MetaSegment: the worker process cannot be started (%s); a thread is used instead.", reason)
        self._instead = InProcessExecutor()

    def _abort(self) -> None:
        """Kill a worker that does not stop by itself; the next request finds another one."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def _heard(self) -> None:
        self._call()


class _Worker:
    """A worker process that was started, and what is known of it.

    Attributes:
        pid: of the process that computes, which a launcher may have started; None until it is ready.
        origin: the state of the volume that it is known to hold: one that is on its way, for a request that may be
            cancelled before it has begun, is not held yet.
        alive: whether it can be given requests.
    """

    def __init__(self, child: Child) -> None:
        self.pid: int | None = None
        self.origin: Hashable = None
        self._on_its_way: tuple[int, Hashable] | None = None
        self.alive = True
        self.leaving = False
        self._child = child
        self._decoder = Decoder()
        self._last: Callable[[], _Handle | None] = _nothing
        self._requests = self._images = 0
        self._start = time.monotonic()

    def submit(
        self, request: Request, image: SharedArray | None, labels: SharedArray, abort: Callable[[], None]
    ) -> _Handle:
        self._requests += 1
        if image is not None:
            self._images += 1
            self.origin = None
            self._on_its_way = (self._requests, request.origin)
        handle = _Handle(self, self._requests, [labels, *([image] if image else [])], abort)
        self._last = weakref.ref(handle)
        self.send(
            {
                "do": "segment",
                "request": self._requests,
                "origin": self._images,
                "image": image and image.description,
                "labels": labels.description,
                "spacing": request.spacing,
                "slices": request.slices,
                "axis": request.axis,
                "names": list(request.names.items()),
                "settings": asdict(request.settings),
                "probabilities": request.probabilities,
            }
        )
        return handle

    def forget(self) -> None:
        """Let it drop the volume and what it has worked out."""
        self.origin = self._on_its_way = None
        self.send({"do": "forget"})

    def send(self, message: Message) -> None:
        if self.alive:
            self._child.write(encode(message))

    def look(self) -> _Worker:
        """Take what has come from it."""
        if not self.alive:
            return self
        alive = self._child.alive
        for message in self._decoder.feed(self._child.read()):
            self._take(message)
        if alive and self.pid is None and time.monotonic() - self._start > _SECONDS_TO_START:
            self._child.kill()
            alive = False
        if not alive and self.alive:
            self.alive = False
            self._ended()
        return self

    def kill(self) -> None:
        if self.pid is not None and self._child.alive:
            with suppress(OSError):
                os.kill(self.pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
        self._child.kill()
        self.alive = False
        self._sweep()

    def _take(self, message: Message) -> None:
        match message.get("is"):
            case "ready":
                self.pid = message["pid"]
            case "leaving":
                self.leaving = True
                self.alive = False
                self._ended()
            case "report" | "result" | "error" as kind:
                if kind != "error" and self._on_its_way and self._on_its_way[0] <= message["request"]:
                    self.origin, self._on_its_way = self._on_its_way[1], None
                if (handle := self._last()) is not None:
                    handle.take(message)

    def _ended(self) -> None:
        if (handle := self._last()) is not None and not handle.ended:
            if self.leaving or self.pid is None:
                handle.end(StartAnew())
            else:
                logging.error("MetaSegment: the worker process ended unexpectedly.\n%s", self._child.errors())
                handle.end(MetaSegmentError(_GONE))
        self._sweep()

    def _sweep(self) -> None:
        if self.pid is not None:
            sweep(self.pid)


class _Handle:
    """A request in the worker.

    Args:
        number: of the request.
        memory: what the worker opens; held until it has done so.
        abort: kills a worker that does not stop.
    """

    def __init__(self, worker: _Worker, number: int, memory: list[SharedArray], abort: Callable[[], None]) -> None:
        self._worker = worker
        self._number = number
        self._memory = memory
        self._abort = abort
        self._reports: list[Report] = []
        self._outcome: Result | Exception | None = None
        self._patience: float | None = None

    @property
    def ended(self) -> bool:
        return self._outcome is not None

    @property
    def done(self) -> bool:
        if not self.ended:
            self._worker.look()
        if not self.ended and self._patience is not None and time.monotonic() > self._patience:
            self.end(Cancelled())
            self._abort()
        return self.ended

    def reports(self) -> list[Report]:
        found, self._reports = self._reports, []
        return found

    def cancel(self) -> None:
        if not self.ended and self._patience is None:
            self._patience = time.monotonic() + SECONDS_TO_CANCEL
            self._worker.send({"do": "cancel", "request": self._number})

    def result(self) -> Result:
        assert self._outcome is not None
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def take(self, message: Message) -> None:
        """A message about a request, perhaps an earlier one."""
        if message["request"] != self._number or self.ended:
            return
        if message["is"] == "report":
            stage, done, total, eta_s = message["about"]
            self._reports.append((stage, done, total, eta_s))
        elif message["is"] == "result":
            self.end(self._received(message))
        else:
            self.end(_as_error(message))

    def end(self, outcome: Result | Exception) -> None:
        if not self.ended:
            self._outcome = outcome
            self._memory = []

    def _received(self, message: Message) -> Result | Exception:
        try:
            labels, uncertainty, *rest = (open_array(description) for description in message["arrays"])
        except OSError:
            return MetaSegmentError(_GONE)
        self._worker.send({"do": "taken"})
        return Result(
            labels,
            uncertainty,
            {int(value): dice for value, dice in message["estimated_dice"]},
            message["suggested_slices"],
            message["report"],
            (lambda: rest[0]) if rest else None,
        )


def _as_error(message: Message) -> Exception:
    """The same class with the same sentence where it was foreseen."""
    kind: Any = getattr(errors, message["kind"] or "", None)
    if isinstance(kind, type) and issubclass(kind, MetaSegmentError):
        return kind(message["text"])
    error = MetaSegmentError(_FAILED)
    error.__cause__ = WorkerTraceback("\n" + message["trace"])
    return error


def _nothing() -> None:
    pass
