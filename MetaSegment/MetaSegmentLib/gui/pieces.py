"""Long work of the panel, done piece by piece between the user's events."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import Cancelled
from ..pieces import Steps

T = TypeVar("T")

_BUDGET_SECONDS = 0.015
"""How long the panel is held at a time."""


class InPieces:
    """Does one thing at a time; what is begun takes the place of what was not yet done."""

    def __init__(self) -> None:
        import qt

        self._steps: Steps[Any] | None = None
        self._then: Callable[[Any], None] = _nothing
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._go_on)

    @property
    def busy(self) -> bool:
        """Whether there is something left to do."""
        return self._steps is not None

    def begin(self, steps: Steps[T], then: Callable[[T], None] = lambda made: None) -> None:
        """Do all pieces, and call ``then`` with what was made."""
        self.stop()
        self._steps, self._then = steps, then
        self._go_on()

    def stop(self) -> None:
        """Give up what is not yet done."""
        self._timer.stop()
        if self._steps is not None:
            self._steps.close()
        self._steps, self._then = None, _nothing

    def _go_on(self) -> None:
        steps, end = self._steps, time.monotonic() + _BUDGET_SECONDS
        if steps is None:
            return
        try:
            while time.monotonic() < end:
                next(steps)
        except StopIteration as made:
            then = self._then
            self._steps, self._then = None, _nothing
            then(made.value)
        except Cancelled:
            self.stop()  # what it was about is gone
        except Exception:
            self.stop()
            logging.exception("MetaSegment: something could not be shown")
        else:
            self._timer.start()


def _nothing(_made: Any) -> None:
    return None
