"""Which slices of a segment the user painted and which were filled in, remembered in the segment itself.

After a run a segment holds both. A second run must learn from the painted ones only, so each slice is remembered
with a fingerprint of its voxels: a filled slice that no longer matches was corrected by the user and counts as
painted. The record is the text of one segment tag, so it is undone, copied, saved and loaded with the segment, in a
scene as in a ``.seg.nrrd``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from ..pieces import Steps, drain
from .history import RunNote, notes_from_text, notes_to_text
from .parts import Part

TAG = "MetaSegment.Slices"
_EMPTY = "-"


@dataclass(frozen=True)
class SliceRecord:
    """The slices of one segment as a run left them.

    Attributes:
        axis: the slice axis, numpy order.
        shape: (K, J, I) of the volume.
        support: fingerprints of the painted slices and of those named as empty, by index.
        filled: fingerprints of the slices that the run filled, by index.
        runs: what was done, the last run last.
    """

    axis: int
    shape: tuple[int, ...]
    support: dict[int, str]
    filled: dict[int, str]
    runs: tuple[RunNote, ...] = ()

    @classmethod
    def take(cls, part: Part, axis: int, support: Collection[int], ignore: Collection[int] = ()) -> SliceRecord:
        """Remember a mask; slices in ``ignore`` are left out, so that any paint on them is the user's."""
        return drain(cls.take_steps(part, axis, support, ignore))

    @classmethod
    def take_steps(
        cls, part: Part, axis: int, support: Collection[int], ignore: Collection[int] = ()
    ) -> Steps[SliceRecord]:
        """As :meth:`take`, in pieces."""
        prints = yield from part.fingerprints_steps(axis)
        return cls(
            axis,
            part.shape,
            {i: prints.get(i, _EMPTY) for i in sorted(support) if i not in ignore},
            {i: p for i, p in prints.items() if i not in support and i not in ignore},
        )

    def painted_now(self, part: Part) -> list[int] | None:
        """Slices that are the user's by now: painted before the run, painted since, or corrected since (an emptied
        slice says that the structure is absent there). None if nothing is left of what was remembered."""
        return drain(self.painted_now_steps(part))

    def painted_now_steps(self, part: Part) -> Steps[list[int] | None]:
        """As :meth:`painted_now`, in pieces."""
        if part.shape != self.shape:
            return (yield from self._painted_elsewhere_steps(part))
        prints = yield from part.fingerprints_steps(self.axis)
        known = self.support | self.filled
        if not any(prints.get(i) == p for i, p in known.items()):
            return None
        corrected = {i for i, p in self.filled.items() if prints.get(i) != p}
        return sorted(corrected | (prints.keys() - known.keys()) | self.support.keys())

    def named_empty(self, part: Part) -> list[int]:
        """Slices that were named as empty, which they stay where nothing is left of the segment; none in a volume of
        another size, where they may be others."""
        return sorted(i for i, p in self.support.items() if p == _EMPTY) if part.shape == self.shape else []

    def _painted_elsewhere_steps(self, part: Part) -> Steps[list[int] | None]:
        """As :meth:`painted_now`, where the volume was cut or extended after the run, which moves all indices."""
        known = self.support | self.filled
        shift = yield from part.shifts_steps(self.axis, set(known.values()) - {_EMPTY}, self.shape)
        if shift is None:
            return None
        place = list(shift)
        place.insert(self.axis, 0)
        k, j, i = (c + n for c, n in zip(part.corner, place, strict=True))
        prints = yield from replace(part, corner=(k, j, i)).fingerprints_steps(self.axis)
        longer = self.shape[self.axis] - part.shape[self.axis]

        def matches(up: int) -> int:
            return sum(prints.get(index - up) == p for index, p in known.items())

        up = max(range(min(0, longer), max(0, longer) + 1), key=matches)
        there = range(part.shape[self.axis])
        support = {index - up: p for index, p in self.support.items() if index - up in there}
        filled = {index - up: p for index, p in self.filled.items() if index - up in there}
        corrected = {index for index, p in filled.items() if prints.get(index) != p}
        if corrected and self._cuts(part):
            return None
        return sorted(corrected | (prints.keys() - support.keys() - filled.keys()) | support.keys())

    def _cuts(self, part: Part) -> bool:
        """Whether the volume may have been cut through the segment: what is missing then looks like a correction."""
        return any(
            part.shape[axis] < self.shape[axis]
            and (part.corner[axis] == 0 or part.corner[axis] + part.box.shape[axis] == part.shape[axis])
            for axis in range(3)
            if axis != self.axis
        )

    def to_text(self) -> str:
        """One line without ``:``, ``|`` and ``~``, which separate tags in a segmentation file."""
        parts = [f"axis={self.axis}", "shape=" + ",".join(str(n) for n in self.shape)]
        for name, prints in (("painted", self.support), ("filled", self.filled)):
            parts.append(f"{name}=" + ",".join(f"{i}.{p}" for i, p in prints.items()))
        if self.runs:
            parts.append("runs=" + notes_to_text(self.runs))
        return ";".join(parts)

    @classmethod
    def from_text(cls, text: str) -> SliceRecord | None:
        """None for a text that is not a record, such as one of a later version."""
        try:
            parts = dict(part.split("=", 1) for part in text.split(";"))
            shape = tuple(int(n) for n in parts["shape"].split(","))
            axis = int(parts["axis"])
            support, filled = (_parse(parts[name]) for name in ("painted", "filled"))
            inside = all(0 <= i < shape[axis] for i in support | filled)
        except (ValueError, KeyError, IndexError):
            return None
        if not inside or axis not in (0, 1, 2):
            return None
        return cls(axis, shape, support, filled, notes_from_text(parts.get("runs", "")))


def _parse(text: str) -> dict[int, str]:
    return {int(i): p for i, p in (item.split(".") for item in text.split(",") if item)}
