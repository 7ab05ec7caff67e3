"""Seconds and peak memory of a piece of work."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ..answer.report import peak_memory_mb

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Measured:
    """``with Measured() as measured: work()``; then ``measured.seconds`` and ``measured.peak_memory_mb``.

    The memory is the most that the whole process held meanwhile: on Linux from the start of the block, elsewhere since
    the process started, None where the system does not provide it.
    """

    seconds: float = 0.0
    peak_memory_mb: float | None = None

    def __enter__(self) -> Measured:
        _forget_peak()
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._start
        self.peak_memory_mb = _peak_mb()


def _forget_peak() -> None:
    with suppress(OSError):
        # 5 sets the high-water mark of resident memory back: proc(5), clear_refs.
        _CLEAR.write_text("5", encoding="utf-8")


def _peak_mb() -> float | None:
    with suppress(OSError):
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return peak_memory_mb()
