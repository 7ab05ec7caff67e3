"""What came of a cohort: a row for every structure of every case, as CSV, JSON and a page."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..files.atomic import Staging, output_error
from ..version import __version__
from .order import Order, Outcome, read_record
from .page import to_html

FILES = ("summary.csv", "summary.json", "summary.html")
COLUMNS = (
    "id",
    "state",
    "segment",
    "name",
    "volume_ml",
    "voxels",
    "estimated_dice",
    "found",
    "doubt",
    "seconds",
    "sentence",
)


@dataclass(frozen=True)
class Structure:
    """What was found of one segment in one case.

    Attributes:
        value: its label.
        estimated_dice: None where it cannot be estimated.
        found: confidence that it is in the volume at all; None where that was not in question.
    """

    value: int
    name: str
    volume_ml: float
    voxels: int
    estimated_dice: float | None
    found: float | None


@dataclass(frozen=True)
class Row:
    """One case.

    Attributes:
        state: ``done``, ``failed``, or ``open`` where the batch was stopped before.
        doubt: in [0, 1], see :func:`~MetaSegmentLib.cohort.picture.doubt`; None where there is no result.
        sentence: why it failed, or what the user should know.
        picture: PNG file of two slices; not part of the files.
    """

    id: str
    state: str
    structures: tuple[Structure, ...] = ()
    doubt: float | None = None
    seconds: float = 0.0
    sentence: str = ""
    picture: Path | None = None


def row_of(order: Order, outcome: Outcome | None) -> Row:
    """The row of a case; an ``outcome`` of None is that of one that did not end."""
    if outcome is None:
        return Row(order.case.id, "open")
    record = read_record(order.record) if outcome.state == "done" else None
    if record is None:
        return Row(outcome.id, outcome.state, seconds=outcome.seconds, sentence=outcome.sentence)
    report = record["report"]
    confidence = report.get("found") or {}
    structures = tuple(
        Structure(
            int(value),
            str(one["name"]),
            float(one["volume_ml"]),
            int(one["voxels"]),
            one["estimated_dice"],
            confidence.get(value),
        )
        for value, one in report["segments"].items()
    )
    sentence = " ".join(report["warnings"])
    return Row(outcome.id, "done", structures, record["doubt"], outcome.seconds, sentence, order.picture)


def by_doubt(rows: Iterable[Row]) -> list[Row]:
    """Failed cases, then the others with the most doubtful first, those that are open last."""
    return sorted(rows, key=lambda row: (("failed", "done", "open").index(row.state), -(row.doubt or 0), row.id))


def write_summary(folder: Path, rows: Sequence[Row], settings: Mapping[str, Any]) -> None:
    """``summary.csv``, ``summary.json`` and ``summary.html``, all three or none.

    Raises:
        OutputError: they could not be written.
    """
    counts = Counter(row.state for row in rows)
    texts = (to_csv(rows), to_json(rows, counts, settings), to_html(by_doubt(rows), counts))
    with Staging() as staging:
        try:
            for name, text in zip(FILES, texts, strict=True):
                staging.path(folder / name).write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise output_error(error, folder) from error
        staging.commit()


def to_csv(rows: Iterable[Row]) -> str:
    """A line for each structure of each case, in the order of the cases; one line for a case without any."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        common = {"id": row.id, "state": row.state, "doubt": row.doubt, "seconds": row.seconds}
        common["sentence"] = row.sentence
        for one in row.structures or (None,):
            own = {} if one is None else asdict(one)
            writer.writerow({**common, **({"segment": own.pop("value"), **own} if own else {})})
    return text.getvalue()


def to_json(rows: Iterable[Row], counts: Mapping[str, int], settings: Mapping[str, Any]) -> str:
    cases = [{key: value for key, value in asdict(row).items() if key != "picture"} for row in rows]
    about = {"version": __version__, "settings": settings, "counts": counts, "cases": cases}
    return json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
