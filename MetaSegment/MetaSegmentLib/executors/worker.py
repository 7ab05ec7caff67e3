"""What runs in the worker process: takes requests, computes them one by one, and goes when its parent goes."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Hashable
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from ..errors import Cancelled, MemoryExhausted, MetaSegmentError
from ..progress import ProgressCallback
from ..settings import Result, Settings
from .memory import SharedArray, open_array, sweep
from .messages import Decoder, Message, encode
from .protocol import Request

IDLE_SECONDS = 300.0
"""A worker with a GPU that has nothing to do for so long ends: that is how all of the GPU's memory is given back."""

_WATCH_SECONDS = 0.5
_REPORT_SECONDS = 0.05


class Computes(Protocol):
    """Segments, and remembers."""

    def compute(self, request: Request, progress: Any = None, cancel: Any = None) -> Result: ...

    def forget(self) -> None: ...

    def warm_up(self) -> None: ...


class Pipe:
    """The way to the parent. Writing never waits: a parent that does not read holds up no computation."""

    def __init__(self, file: int) -> None:
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, args=(file,), daemon=True)
        self._thread.start()

    def send(self, message: Message) -> None:
        self._queue.put(encode(message))

    def close(self) -> None:
        """Wait until everything is written."""
        self._queue.put(None)
        self._thread.join()

    def _write(self, file: int) -> None:
        try:
            while (data := self._queue.get()) is not None:
                while data:
                    data = data[os.write(file, data) :]
        except OSError:
            os._exit(0)  # nobody is there


class Service:
    """Answers messages.

    Args:
        pipe: to the parent.
        engine: computes.
    """

    def __init__(self, pipe: Pipe, engine: Computes) -> None:
        self._pipe = pipe
        self._engine = engine
        self._queue: SimpleQueue[Message] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: set[int] = set()
        self._cancelled: set[int] = set()
        self._image: tuple[Hashable, Any] | None = None
        self._given: list[SharedArray] = []

    def take(self, message: Message) -> None:
        """Receive a message; called in another thread than :meth:`serve`."""
        if message["do"] == "cancel":
            with self._lock:
                number = message["request"]
                self._cancelled.add(number)
                if number in self._waiting:  # it has not begun: something else may take long, a first import
                    self._waiting.discard(number)
                    self._fail(number, Cancelled())
            return
        if message["do"] == "segment":
            with self._lock:
                self._waiting.add(message["request"])
        self._queue.put(message)

    def serve(self, idle_seconds: float = IDLE_SECONDS) -> None:
        """Work until there was nothing to do for so long, where a GPU is in use; without end where none is."""
        while True:
            try:
                message = self._queue.get(timeout=idle_seconds)
            except Empty:
                if _uses_gpu():
                    return
                continue
            match message["do"]:
                case "warm up":
                    self._engine.warm_up()
                case "segment":
                    self._segment(message)
                case "forget":
                    self._engine.forget()
                    self._image = None
                case "taken":
                    self._given = []

    def _segment(self, message: Message) -> None:
        number = message["request"]
        with self._lock:
            if number not in self._waiting:
                return
            self._waiting.discard(number)
        try:
            result = self._compute(number, message)
            self._given = [SharedArray.of(result.labels), SharedArray.of(result.uncertainty)]
            if message["probabilities"]:
                self._given.append(SharedArray.of(result.probabilities))
        except Exception as error:
            self._fail(number, error)
        else:
            self._pipe.send(
                {
                    "is": "result",
                    "request": number,
                    "arrays": [given.description for given in self._given],
                    "estimated_dice": list(result.estimated_dice.items()),
                    "suggested_slices": result.suggested_slices,
                    "report": result.report,
                }
            )

    def _compute(self, number: int, message: Message) -> Result:
        if message["image"] is not None:
            self._engine.forget()  # before there are two volumes
            self._image = (message["origin"], open_array(message["image"]))
        assert self._image is not None and self._image[0] == message["origin"]
        request = Request(
            self._image[1],
            message["origin"],
            open_array(message["labels"]),
            tuple(message["spacing"]),
            _slices(message["slices"]),
            message["axis"],
            {int(value): name for value, name in message["names"]},
            Settings(**message["settings"]),
            message["probabilities"],
        )
        return self._engine.compute(request, self._reporter(number), lambda: number in self._cancelled)

    def _reporter(self, number: int) -> ProgressCallback:
        last: tuple[str, float] = ("", 0.0)

        def report(stage: str, done: int, total: int, eta_s: float | None) -> None:
            nonlocal last
            now = time.monotonic()
            if stage != last[0] or done == total or now - last[1] >= _REPORT_SECONDS:
                last = (stage, now)
                self._pipe.send({"is": "report", "request": number, "about": [stage, done, total, eta_s]})

        return report

    def _fail(self, number: int, error: Exception) -> None:
        if isinstance(error, MemoryError):
            error = MemoryExhausted()
        foreseen = isinstance(error, MetaSegmentError)
        self._pipe.send(
            {
                "is": "error",
                "request": number,
                "kind": type(error).__name__ if foreseen else None,
                "text": str(error),
                "trace": "" if foreseen else "".join(traceback.format_exception(error)),
            }
        )


def main(parent: int, engine: Computes | None = None, idle_seconds: float = IDLE_SECONDS) -> None:
    """Serve the process with the id ``parent``, which holds the other ends of standard input and output."""
    os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the parent's
    requests, answers = _private_pipes()
    faulthandler.enable()
    os.write(answers, encode({"is": "ready", "pid": os.getpid()}))  # at once: what crashes later did start
    pipe = Pipe(answers)
    if engine is None:
        from .warm_engine import WarmEngine

        engine = WarmEngine()
    service = Service(pipe, engine)
    threading.Thread(target=_listen, args=(requests, service, parent), daemon=True).start()
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    service.serve(idle_seconds)
    pipe.send({"is": "leaving"})
    pipe.close()
    os._exit(0)


def _private_pipes() -> tuple[int, int]:
    """Standard input and output for messages alone; whatever a library prints goes to standard error."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


def _listen(file: int, service: Service, parent: int) -> None:
    decoder = Decoder()
    while data := os.read(file, 65536):
        for message in decoder.feed(data):
            service.take(message)
    _leave(parent)


def _watch(parent: int) -> None:
    """A second look at the parent, for when another of its children holds the pipe open."""
    if sys.platform == "win32":
        import ctypes

        synchronize, infinite = 0x00100000, 0xFFFFFFFF
        kernel = ctypes.windll.kernel32
        kernel.OpenProcess.restype = ctypes.c_void_p
        handle = kernel.OpenProcess(synchronize, False, parent)
        if handle:
            kernel.WaitForSingleObject(ctypes.c_void_p(handle), infinite)
    else:
        try:
            while True:
                os.kill(parent, 0)
                time.sleep(_WATCH_SECONDS)
        except ProcessLookupError:
            pass
    _leave(parent)


def _leave(parent: int) -> None:
    sweep(parent)
    os._exit(0)  # also in the middle of a computation


def _uses_gpu() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and (torch.cuda.is_initialized() or torch.backends.mps.is_available())


def _slices(sent: list[int] | dict[str, list[int]] | None) -> list[int] | dict[int, list[int]] | None:
    """The keys of a JSON object are text."""
    return {int(label): some for label, some in sent.items()} if isinstance(sent, dict) else sent
