"""A worker process for many tests: to load torch anew for each of them would take minutes."""

from __future__ import annotations

from functools import cache

from MetaSegmentLib.executors import ProcessExecutor


class LastingExecutor(ProcessExecutor):
    """Goes on when a session is closed: what is under way is cancelled, and everything forgotten."""

    def close(self) -> None:
        if (handle := self._last()) is not None:
            handle.cancel()
        self.forget()

    def end(self) -> None:
        super().close()


@cache
def lasting_executor() -> LastingExecutor:
    """The one of this test run; it goes with it."""
    return LastingExecutor()
