"""Time for background threads, in an application that does not give them any.

Slicer's event loop keeps Python's global lock while it waits for events: a thread goes on only while Python code on the
main thread lets the lock go. Whoever waits for a thread there calls this from a timer, again and again.
"""

from __future__ import annotations

import time

PAUSE_MILLISECONDS = 5
"""Between one turn and the next, for the events of the user."""

_TURN_SECONDS = 0.015


def let_threads_run() -> None:
    """Give the other threads of this process a turn: short enough that nobody feels it, three quarters of the time."""
    time.sleep(_TURN_SECONDS)
