"""Names of the steps that undo and redo lead over, found again by the state in which they left the segments.

Slicer's undo history has no names, and the editor's own buttons and strokes go through it too. So a step is known by
the states before and after it; a step between unknown states, a stroke, has no name.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

_KEPT = 32
"""More than Slicer's editor can undo."""


class StepNames:
    """Names of the last steps.

    Attributes:
        undo: what the next undo takes back; empty when it is not known.
        redo: what the next redo brings back; empty when it is not known.
    """

    def __init__(self) -> None:
        self.undo = self.redo = ""
        self._state: Hashable = None
        self._to: OrderedDict[Hashable, str] = OrderedDict()
        self._from: OrderedDict[Hashable, str] = OrderedDict()

    def note(self, before: Hashable, after: Hashable, name: str) -> None:
        """A step was made."""
        if before == after:
            return
        for names, state in ((self._from, before), (self._to, after)):
            names[state] = name
            names.move_to_end(state)
            while len(names) > _KEPT:
                names.popitem(last=False)
        self.follow(after, can_redo=False)

    def follow(self, state: Hashable, can_redo: bool) -> None:
        """The segments are in another state, by a stroke, an undo or a redo."""
        if state != self._state and state not in self._to and not can_redo:
            self._from.pop(self._state, None)  # a stroke: what could be brought back from there is gone
        self._state = state
        self.undo = self._to.get(state, "")
        self.redo = self._from.get(state, "") if can_redo else ""

    def forget(self) -> None:
        """The segments are gone."""
        self._to.clear()
        self._from.clear()
        self.follow(None, can_redo=False)
