"""Standard error without what C libraries print, and warnings and logs without what parsers quote from a file."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType


class Quiet:
    """While anybody is inside, nothing reaches the process's standard error; any number of threads may be.

    C libraries print about a bad file what the exception that follows says in one line. They write to the file
    descriptor, which belongs to the whole process: the first one in puts it away, the last one out brings it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._kept: int | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._put_away()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._kept is not None:
                os.dup2(self._kept, 2)
                os.close(self._kept)
                self._kept = None

    def _put_away(self) -> None:
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
        except OSError:
            return
        try:
            self._kept = os.dup(2)
            os.dup2(nowhere, 2)
        except OSError:  # there is no standard error
            self._kept = None
        finally:
            os.close(nowhere)


quiet_stderr = Quiet()
"""The one of this process."""


@contextmanager
def quiet_parsers() -> Iterator[None]:
    """No warnings and no logs of pydicom, which quote values that it takes for odd: dates of birth, names."""
    logger = logging.getLogger("pydicom")
    nothing = _Nothing()  # one of its own for each block, so that blocks of several threads may overlap
    logger.addFilter(nothing)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeFilter(nothing)


class _Nothing(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return False
