"""What the records of many cases come to: one row for each method, data set and K."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from .curves import pool
from .runner import Record

Row = dict[str, Any]

SLICER_TOOLS = ("fill_between_slices", "grow_from_seeds")
BETTER_TOOL = "better_slicer_tool"
ALL_DATA_SETS = "all data sets"
# A Dice lower by no more than this is no worse.
NOT_WORSE_MARGIN = 0.01

TITLES = {
    "fill_between_slices": "Fill between slices (Slicer)",
    "grow_from_seeds": "Grow from seeds (Slicer)",
    BETTER_TOOL: "the better of these two, case by case",
    "signed_distance": "signed-distance interpolation",
}
# Column of a row: its heading and how its numbers are written.
COLUMNS = {
    "dice": ("Dice", ".3f"),
    "difference": ("against the better tool", "+.3f"),
    "not_worse": ("not worse", ".0%"),
    "hausdorff_95_mm": ("HD95, mm", ".1f"),
    "surface_dice_2mm": ("surface Dice, 2 mm", ".3f"),
    "roc_area": ("ROC area", ".3f"),
    "pr_area": ("PR area", ".3f"),
    "calibration_error": ("calibration error", ".3f"),
    "estimate_error": ("estimated Dice off by", ".3f"),
    "estimate_correlation": ("its correlation", ".2f"),
    "seconds": ("seconds", ".2f"),
    "peak_memory_mb": ("peak MB", ".0f"),
    "failed": ("failed", "d"),
}
FOOTNOTE = (
    "Mean Dice over all slices that were not painted; a case that failed counts 0. Against the better tool: mean "
    "difference to the better of Slicer's two tools, case by case; not worse: share of cases at most .01 below it. "
    "Seconds: median of a case; peak memory: highest of a case, of the whole process. Areas and calibration error: "
    "voxels in the structure's neighbourhood, every case weighing the same."
)


def summarise(records: Sequence[Record], methods: Sequence[str]) -> list[Row]:
    """Rows by data set (all together last, when there are several), then K, then method as listed.

    Each row has ``data_set``, ``k``, ``method``, ``cases`` and the keys of ``COLUMNS``; None where there is nothing
    to tell.
    """
    data_sets = sorted({record["data_set"] for record in records})
    groups = [(name, [record for record in records if record["data_set"] == name]) for name in data_sets]
    if len(groups) > 1:
        groups.append((ALL_DATA_SETS, list(records)))
    names = [*SLICER_TOOLS, BETTER_TOOL, "signed_distance", *methods]
    rows = []
    for data_set, group in groups:
        for k in sorted({record["k"] for record in group}):
            painted = [record for record in group if record["k"] == k]
            rows += [{"data_set": data_set, "k": k, **_row(name, painted)} for name in names]
    return rows


def scores_of(record: Record, method: str) -> Record:
    """The scores of one method on one case; for ``better_slicer_tool`` those of the tool with the higher Dice."""
    if method != BETTER_TOOL:
        return record["methods"][method]
    both = [record["methods"][tool] for tool in SLICER_TOOLS]
    best = max(both, key=dice_of)
    if any("error" in scores for scores in both):
        return best
    # Nobody knows beforehand which is the better one: both have to be run.
    return {**best, "seconds": sum(scores["seconds"] for scores in both)}


def dice_of(scores: Record) -> float:
    """Dice of a case; a failure is worth nothing."""
    return float(scores.get("dice", 0.0))


def _row(method: str, records: Sequence[Record]) -> Row:
    results = [scores_of(record, method) for record in records]
    dice = [dice_of(scores) for scores in results]
    best = [dice_of(scores_of(record, BETTER_TOOL)) for record in records]
    differences = [mine - other for mine, other in zip(dice, best, strict=True)]
    histograms = [scores["histogram"] for scores in results if "histogram" in scores]
    curves = pool(histograms) if histograms and method not in TITLES else None
    pairs = estimates(records, method)
    return {
        "method": method,
        "cases": len(records),
        "failed": sum("error" in scores for scores in results),
        "dice": statistics.fmean(dice),
        "difference": None if method in SLICER_TOOLS or method == BETTER_TOOL else statistics.fmean(differences),
        "not_worse": statistics.fmean(difference >= -NOT_WORSE_MARGIN for difference in differences),
        "hausdorff_95_mm": _mean(_column(results, "hausdorff_95_mm")),
        "surface_dice_2mm": _mean(_column(results, "surface_dice_2mm")),
        "roc_area": curves and curves["roc_area"],
        "pr_area": curves and curves["pr_area"],
        "calibration_error": curves and curves["calibration_error"],
        "estimate_error": _mean([abs(estimated - true) for estimated, true in pairs]),
        "estimate_correlation": _correlation(pairs),
        "seconds": _median(_column(results, "seconds")),
        "peak_memory_mb": max(_column(results, "peak_memory_mb"), default=None),
    }


def estimates(records: Iterable[Record], method: str) -> list[tuple[float, float]]:
    """(estimated, true) Dice of the cases for which the method gave an estimate."""
    results = (record["methods"].get(method, {}) for record in records)
    return [(s["estimated_dice"], s["dice"]) for s in results if s.get("estimated_dice") is not None]


def to_markdown(rows: Sequence[Row]) -> str:
    """One table for each data set and K; columns without any number are left out."""
    parts = []
    for data_set, k in dict.fromkeys((row["data_set"], row["k"]) for row in rows):
        here = [row for row in rows if (row["data_set"], row["k"]) == (data_set, k)]
        columns = [key for key in COLUMNS if any(row[key] is not None for row in here)]
        if not any(row["failed"] for row in here):
            columns.remove("failed")
        lines: list[list[str]] = [
            ["method", *(COLUMNS[key][0] for key in columns)],
            ["---", *("---:" for _ in columns)],
        ]
        for row in here:
            title = TITLES.get(row["method"], str(row["method"]))
            lines.append([title, *(_written(row[key], COLUMNS[key][1]) for key in columns)])
        parts.append(f"### {data_set}, K = {k}, {here[0]['cases']} {'case' if here[0]['cases'] == 1 else 'cases'}\n")
        parts += ["| " + " | ".join(line) + " |" for line in lines]
        parts.append("")
    return "\n".join([*parts, FOOTNOTE, ""])


def to_csv(rows: Sequence[Row]) -> str:
    """All rows, numbers in full."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["data_set", "k", "method", "cases", *COLUMNS], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _column(results: Iterable[Record], key: str) -> list[float]:
    return [scores[key] for scores in results if scores.get(key) is not None]


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    if len(pairs) < 3:
        return None
    try:
        return statistics.correlation(*zip(*pairs, strict=True))
    except statistics.StatisticsError:  # all the same
        return None


def _written(value: float | None, form: str) -> str:
    return (
        ""
        if value is None
        else format(value, form).replace("0.", ".", 1)
        if form.endswith("3f")
        else format(value, form)
    )
