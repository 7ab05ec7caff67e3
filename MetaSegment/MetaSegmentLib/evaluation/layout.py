"""The rows of an evaluation as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence

from .tables import ALL_DATA_SETS, BEST_TOOL, BETTER_TOOL, COMPARED, Row

TITLES = {
    "fill_between_slices": "Slicer: Fill between slices",
    "grow_from_seeds": "Slicer: Grow from seeds",
    BETTER_TOOL: "Slicer: the better of the two, case by case",
    "signed_distance": "signed-distance interpolation",
    "random_walker": "random walker",
    "biomedisa": "Biomedisa",
    BEST_TOOL: "best simple tool, case by case",
    "average": "average of shrinking interpolation and Grow",
}
_HEAD = ("placement", "data_set", "k")

# Key of a row → its heading and how its numbers are written.
Columns = Mapping[str, tuple[str, str]]
OVERVIEW: Columns = {
    "dice": ("Dice", ".3f"),
    "difference": ("to the better tool", "+.3f"),
    "to_average": ("to the average", "+.3f"),
    "not_worse": ("not worse", ".0%"),
}
ACCURACY: Columns = {
    **OVERVIEW,
    "hausdorff_95_mm": ("HD95, mm", ".1f"),
    "surface_dice_2mm": ("surface Dice, 2 mm", ".3f"),
    "seconds": ("seconds", ".2f"),
    "peak_memory_mb": ("peak MB", ".0f"),
    "failed": ("failed", "d"),
}
CALIBRATION: Columns = {
    "roc_area": ("ROC area", ".3f"),
    "pr_area": ("PR area", ".3f"),
    "calibration_error": ("calibration error", ".3f"),
    "calibration_error_unsure": ("where unsure", ".3f"),
    "brier": ("Brier score", ".3f"),
    "estimate_error": ("estimated Dice off by", ".3f"),
    "estimate_correlation": ("its correlation", ".2f"),
}
LEAD: Columns = {
    "cases": ("cases", "d"),
    "best": ("best simple tool", ".3f"),
    "dice": ("Dice", ".3f"),
    "lead": ("lead", "+.3f"),
    "worse": ("worse", ".0%"),
    "estimate_error": ("estimated Dice off by", ".3f"),
    "overconfident": ("> .9 estimated, < .7 true", "d"),
}
FOOTNOTE = """\
Mean Dice over all slices that were not painted, of the whole volume; a case that failed counts 0. To the better tool:
mean difference to the better of Slicer's two tools, chosen case by case with hindsight; to the average: to the average
of shrinking-ends interpolation and Grow from seeds; in brackets the 95 % confidence interval (bootstrap over cases, of
which those of one volume are not independent). Not worse: share of cases at most .01 below the better tool. Seconds:
median of a case; peak memory: highest of a case, of the whole process. Areas, calibration error (expected, ten equal
bins) and Brier score: voxels of unpainted slices in a box half as long again as the structure, every case weighing the
same; where unsure: calibration error of those with a probability within .02 and .98. Estimated Dice off by: mean
absolute error.
"""
LEAD_FOOTNOTE = """\
The best simple tool is the best of Slicer's Fill between slices and Grow from seeds, signed-distance interpolation and
the random walker, chosen case by case with hindsight. Lead: mean difference to it, in brackets the 95 % confidence
interval; worse: share of cases more than .01 below it; last, the number of cases whose estimated Dice is above .9 and
whose true Dice is below .7.
"""


def to_markdown(rows: Sequence[Row], same: Sequence[Row] = (), by_anatomy: Sequence[Row] = ()) -> str:
    """An overview of every placement, then accuracy and calibration by data set and K; empty columns are left out.

    Args:
        rows: of all cases.
        same: of the cases that are there at every K.
        by_anatomy: with an anatomy in the place of a data set.
    """
    parts = [f"## Overview\n\n{overview(rows)}"]
    for placement, data_set, k in _distinct(rows, _HEAD):
        here = [row for row in rows if _at(row, _HEAD) == (placement, data_set, k)]
        cases = here[0]["cases"]
        parts.append(f"## {data_set}, {placement}, K = {k}, {cases} {'case' if cases == 1 else 'cases'}\n")
        any_failed = any(row["failed"] for row in here)
        accuracy = {key: column for key, column in ACCURACY.items() if key != "failed" or any_failed}
        parts.append(_table(here, accuracy, _with_interval))
        if calibrated := [row for row in here if row["roc_area"] is not None]:
            parts.append(_table(calibrated, CALIBRATION, _plain))
    parts.append(FOOTNOTE)
    if against := leads(rows):
        parts.append(f"## Against the best simple tool\n\n{against}")
        if anatomies := leads(by_anatomy, "anatomy"):
            parts.append(f"## Against the best simple tool, by anatomy\n\n{anatomies}")
    if same:
        parts.append(f"## The same cases at every K\n\n{overview(same)}\n{leads(same)}")
    if against:
        parts.append(LEAD_FOOTNOTE)
    return "\n".join(parts)


def overview(rows: Sequence[Row], methods: Sequence[str] | None = None) -> str:
    """For each placement a table of ``methods`` (all by default) with the issue of every K side by side."""
    data_sets = {row["data_set"] for row in rows}
    widest = ALL_DATA_SETS if ALL_DATA_SETS in data_sets else min(data_sets)
    parts = []
    for (placement,) in _distinct(rows, ("placement",)):
        here = [row for row in rows if (row["placement"], row["data_set"]) == (placement, widest)]
        by_place = {(row["method"], row["k"]): row for row in here}
        counts = {row["k"]: row["cases"] for row in here}
        ks = sorted(counts)
        counted = ", ".join(f"K = {k}: {counts[k]} cases" for k in ks)
        heads = [f"{heading}, K = {k}" if k == ks[0] else f"{k}" for heading, _ in OVERVIEW.values() for k in ks]
        lines = [["method", *heads], ["---", *("---:" for _ in heads)]]
        for name in methods or list(dict.fromkeys(row["method"] for row in here)):
            found = [by_place.get((name, k), {}) for k in ks]
            cells = [_plain(row, key, form) for key, (_, form) in OVERVIEW.items() for row in found]
            lines.append([_title({"method": name, **found[0]}), *cells])
        parts.append(f"`{placement}`, {widest}; {counted}\n\n{lay_out(lines)}")
    return "\n".join(parts)


def leads(rows: Sequence[Row], first: str = "data set") -> str:
    """For each placement a table of the methods against the best simple tool, by data set and K; "" without any.

    Args:
        first: heading of what ``data_set`` stands for.
    """
    best = {_at(row, _HEAD): row["dice"] for row in rows if row["method"] == BEST_TOOL}
    parts = []
    for (placement,) in _distinct(rows, ("placement",)):
        here = [row for row in rows if row["placement"] == placement and row["method"] not in COMPARED]
        shown = [{**row, "best": best[_at(row, _HEAD)]} for row in here if _at(row, _HEAD) in best]
        if shown:
            heads = [first, "K", "method", *(heading for heading, _ in LEAD.values())]
            lines = [heads, ["---", "---:", "---", *("---:" for _ in LEAD)]]
            for row in shown:
                cells = [_with_interval(row, key, form) for key, (_, form) in LEAD.items() if key != "dice"]
                cells.insert(2, _plain(row, "dice", ".3f"))
                lines.append([str(row["data_set"]), str(row["k"]), str(row["method"]), *cells])
            parts.append(f"`{placement}`\n\n{lay_out(lines)}")
    return "\n".join(parts)


def lay_out(lines: Iterable[Sequence[str]]) -> str:
    """Cells as lines of a Markdown table."""
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def number(value: float | None, form: str) -> str:
    """A number as printed: fractions without the zero before the point, nothing for None."""
    if value is None:
        return ""
    written = format(value, form)
    if form.endswith("3f"):
        written = written.replace("0.", ".", 1)
    return written.replace("-", "−")


def to_csv(rows: Sequence[Row]) -> str:
    """All rows, numbers in full; an interval takes two columns."""
    flat = [dict(_flat(row)) for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flat(row: Row) -> Iterable[tuple[str, object]]:
    for key, value in row.items():
        if key.endswith("_interval"):
            low, high = value or (None, None)
            yield from ((f"{key}_low", low), (f"{key}_high", high))
        else:
            yield key, value


def _table(rows: Sequence[Row], columns: Columns, write: Callable[[Row, str, str], str]) -> str:
    shown = {key: column for key, column in columns.items() if any(row[key] is not None for row in rows)}
    lines = [["method", *(heading for heading, _ in shown.values())], ["---", *("---:" for _ in shown)]]
    for row in rows:
        lines.append(
            [
                _title(row),
                *(write(row, key, form) for key, (_, form) in shown.items()),
            ]
        )
    return lay_out(lines)


def _title(row: Row) -> str:
    title = TITLES.get(row["method"], str(row["method"]))
    return f"{title} ({row['maker']})" if row.get("maker") else title


def _plain(row: Row, key: str, form: str) -> str:
    return number(row.get(key), form)


def _with_interval(row: Row, key: str, form: str) -> str:
    interval = row.get(f"{key}_interval")
    if row[key] is None or interval is None:
        return _plain(row, key, form)
    low, high = (number(value, form) for value in interval)
    return f"{number(row[key], form)} [{low}, {high}]"


def _at(row: Row, keys: Sequence[str]) -> tuple[object, ...]:
    return tuple(row[key] for key in keys)


def _distinct(rows: Sequence[Row], keys: Sequence[str]) -> list[tuple[object, ...]]:
    return list(dict.fromkeys(_at(row, keys) for row in rows))
