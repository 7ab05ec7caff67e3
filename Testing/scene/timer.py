"""A timer of an application, fired by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class ATimer:
    """A timer's single shots, one after the other."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __call__(self, call: Any, _milliseconds: int) -> None:
        self.calls.append(call)

    def fire(self) -> bool:
        """Run what is due next; whether there is more."""
        if self.calls:
            self.calls.pop(0)()
        return bool(self.calls)

    def pieces(self, until: Callable[[], bool]) -> int:
        """How many pieces are done until a condition holds."""
        count = 0
        while not until():
            self.calls.pop(0)()
            count += 1
            time.sleep(0.001)
        return count
