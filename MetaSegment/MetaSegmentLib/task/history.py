"""What runs did to a segment: a short log that travels with the segment, in its record (see record.py)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..version import __version__

_KEPT = 20
"""Of the last runs; older ones say little about what is there now."""

_WORD = re.compile(r"[\w.+-]*")


@dataclass(frozen=True)
class RunNote:
    """One run, without anything that identifies the patient.

    Attributes:
        method: a name of ``metasegment methods``.
        version: of the program.
        date: when the result was there, in UTC, as ``YYYYMMDDTHHMMZ``: a record may not hold colons.
        slices: how many painted slices were learned from.
        estimated_dice: in [0, 1]; None where it is not known.
    """

    method: str
    version: str
    date: str
    slices: int
    estimated_dice: float | None = None

    @property
    def day(self) -> str:
        """As ``YYYY-MM-DD``."""
        return f"{self.date[:4]}-{self.date[4:6]}-{self.date[6:8]}"


def note_of_run(report: Mapping[str, Any], label: int, slices: int) -> RunNote:
    """What a run that has just ended did to one segment, by its report and the number of painted slices."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%MZ")
    dice = report["segments"][str(label)].get("estimated_dice")
    return RunNote(str(report.get("method", "")), __version__, now, slices, dice)


def with_note(notes: Sequence[RunNote], note: RunNote, replaces: bool = False) -> tuple[RunNote, ...]:
    """The log with one more run, which may take the place of the last one: a result that follows its preview."""
    return (*(notes[:-1] if replaces else notes), note)[-_KEPT:]


def notes_to_text(notes: Sequence[RunNote]) -> str:
    """Without the characters that separate the parts of a record."""
    return ",".join(
        f"{n.method}/{n.version}/{n.date}/{n.slices}/" + ("" if n.estimated_dice is None else f"{n.estimated_dice:.4f}")
        for n in notes
    )


def notes_from_text(text: str) -> tuple[RunNote, ...]:
    """Leaves out what cannot be read, such as notes of a later version."""
    found = []
    for item in text.split(","):
        try:
            method, version, date, slices, dice = item.split("/")
            if all(_WORD.fullmatch(word) for word in (method, version, date)):
                found.append(RunNote(method, version, date, int(slices), float(dice) if dice else None))
        except ValueError:
            continue
    return tuple(found)
