"""What an application does between the pieces of a run: a timer, fired by hand, and a run that is polled."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from MetaSegmentLib.app.flow import Flow, RunRequest


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


def after_a_preview(painted: Any, do: Callable[[], Any]) -> Exception | None:
    """How a run ends that has a preview, after which something is done; of a bench or a beating that is painted."""
    ended: list[Exception | None] = []

    def ready() -> bool:
        do()
        return True

    request = RunRequest(painted.volume, painted.segmentation, "propagation", "cpu", preview=True)
    Flow(painted.session).start(request, lambda *_: None, lambda *_: None, ended.append, ready)
    while not ended:
        painted.session.poll()
        time.sleep(0.01)
    return ended[0]
