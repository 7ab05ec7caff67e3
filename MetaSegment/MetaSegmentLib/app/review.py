"""A walk through doubtful slices, the most doubtful first."""

from __future__ import annotations

from collections.abc import Sequence

from ..scene.i18n import tr as _
from ..scene.review import DoubtfulSlice


class ReviewWalk:
    """Where a reader is among the doubtful slices; what was accepted is not shown again.

    Attributes:
        current: the slice to look at; None before the first and when none is left.
    """

    def __init__(self) -> None:
        self.current: DoubtfulSlice | None = None
        self._slices: list[DoubtfulSlice] = []
        self._accepted: set[tuple[str, int, int]] = set()
        self._begun = False

    def begin(self, found: Sequence[DoubtfulSlice]) -> None:
        """Go to the most doubtful of the slices that were not accepted before."""
        self._slices = [one for one in found if _key(one) not in self._accepted]
        self.current = self._slices[0] if self._slices else None
        self._begun = True

    def move(self, steps: int) -> None:
        """Go on, or back; round at both ends."""
        if self.current is not None:
            place = self._slices.index(self.current) + steps
            self.current = self._slices[place % len(self._slices)]

    def accept(self) -> None:
        """The current slice is right; go on to the next one."""
        if self.current is None:
            return
        place = self._slices.index(self.current)
        self._accepted.add(_key(self.current))
        del self._slices[place]
        self.current = self._slices[place % len(self._slices)] if self._slices else None

    @property
    def text(self) -> str:
        """Where the reader is."""
        if self.current is None:
            return _("Nothing is doubtful (any more).") if self._begun else ""
        return _("{place} of {count}: {name}, slice {index}").format(
            place=self._slices.index(self.current) + 1,
            count=len(self._slices),
            name=self.current.name,
            index=self.current.index,
        )


def _key(one: DoubtfulSlice) -> tuple[str, int, int]:
    return one.segment_id, one.axis, one.index
