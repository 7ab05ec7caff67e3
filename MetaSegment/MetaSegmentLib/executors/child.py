"""A child process and its pipes, read without ever waiting."""

from __future__ import annotations

import os
import subprocess
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Protocol

_LIBRARY = Path(__file__).resolve().parents[2]
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from MetaSegmentLib.executors.worker import main; "
    "main(int(sys.argv[2]))"
)
_LINES_OF_ERRORS = 40
_SECONDS_TO_READ = 1.0


class Child(Protocol):
    """A process that was started."""

    @property
    def alive(self) -> bool:
        """False once it has ended and all it wrote can be read."""

    def read(self) -> bytes:
        """What has come from its standard output."""

    def write(self, data: bytes) -> None:
        """To its standard input; nothing happens when it has ended."""

    def errors(self) -> str:
        """The last lines of its standard error, for the log."""

    def kill(self) -> None:
        """End it at once."""


Launch = Callable[[Sequence[str], Callable[[], None]], Child]
"""Starts a program with arguments; the callable may be called, on the thread of the caller, when there is something to
read. Raises OSError when there is no such program."""


def command(interpreter: str) -> list[str]:
    """Starts the worker in a Python that has the packages, whatever the folder and the environment it is started in."""
    return [interpreter, "-X", "utf8", "-P", "-c", _BOOT, str(_LIBRARY), str(os.getpid())]


class PipedChild:
    """A child of Python's own; for programs whose main thread is Python's, since threads read the pipes."""

    def __init__(self, arguments: Sequence[str], _ready: Callable[[], None]) -> None:
        pipe = subprocess.PIPE
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows would open one for a console program
        self._process = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, creationflags=flags)
        self._output: SimpleQueue[bytes] = SimpleQueue()
        self._errors: deque[bytes] = deque(maxlen=_LINES_OF_ERRORS)
        assert self._process.stdout is not None and self._process.stderr is not None
        self._reader = threading.Thread(target=_pass_on, args=(self._process.stdout, self._output), daemon=True)
        self._reader.start()
        threading.Thread(target=_collect, args=(self._process.stderr, self._errors), daemon=True).start()
        weakref.finalize(self, _kill, self._process)

    @property
    def alive(self) -> bool:
        if self._process.poll() is None:
            return True
        self._reader.join(_SECONDS_TO_READ)  # what it wrote last may still be on its way
        return False

    def read(self) -> bytes:
        data = b""
        with suppress(Empty):
            while True:
                data += self._output.get_nowait()
        return data

    def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def errors(self) -> str:
        return b"".join(self._errors).decode(errors="replace")

    def kill(self) -> None:
        _kill(self._process)


def _pass_on(pipe: IO[bytes], output: SimpleQueue[bytes]) -> None:
    with pipe:
        while data := os.read(pipe.fileno(), 65536):
            output.put(data)


def _collect(pipe: IO[bytes], lines: deque[bytes]) -> None:
    with pipe:
        lines.extend(pipe)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.02)  # or it stays in the list of processes; the next one to be started looks again
