"""A child process that Qt watches: in Slicer threads that read pipes would starve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..executors import Executor, background_executor
from ..interpreter import python_slicer

_LETTERS_OF_ERRORS = 8000
_MILLISECONDS_TO_END = 20


def slicer_executor() -> Executor:
    """Computes in Slicer's own Python, in a process of its own; in a thread where that Python is not found."""
    found = python_slicer()
    return background_executor(None if found is None else str(found), QtChild)


class QtChild:
    """See :class:`MetaSegmentLib.executors.child.Child`."""

    def __init__(self, arguments: Sequence[str], ready: Callable[[], None]) -> None:
        import qt

        self._qt = qt
        self._errors = b""
        self._process = qt.QProcess()
        self._process.connect("readyReadStandardOutput()", ready)
        self._process.connect("finished(int,QProcess::ExitStatus)", lambda _code, _status: ready())
        program, *rest = arguments
        self._process.start(program, rest)

    @property
    def alive(self) -> bool:
        return self._running and not self._process.waitForFinished(0)

    def read(self) -> bytes:
        if self._running:
            self._process.waitForReadyRead(0)  # also where no event loop runs: a script that waits
        return _bytes(self._process.readAllStandardOutput())

    def write(self, data: bytes) -> None:
        if self._running:
            self._process.write(data)
            self._process.waitForBytesWritten(0)

    def errors(self) -> str:
        self._errors = (self._errors + _bytes(self._process.readAllStandardError()))[-_LETTERS_OF_ERRORS:]
        return self._errors.decode(errors="replace")

    def kill(self) -> None:
        self._process.kill()
        self._process.waitForFinished(_MILLISECONDS_TO_END)

    @property
    def _running(self) -> bool:
        return bool(self._process.state() != self._qt.QProcess.NotRunning)


def _bytes(data: Any) -> bytes:
    """What a QByteArray holds; some bindings give it as text."""
    content = data.data()
    return content if isinstance(content, bytes) else str(content).encode()
