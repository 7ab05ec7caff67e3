"""What the records of many cases come to: one row for each method, data set, placement and K."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .curves import pool
from .records import Record

Row = dict[str, Any]
Interval = tuple[float, float]

SLICER_TOOLS = ("fill_between_slices", "grow_from_seeds")
BETTER_TOOL = "better_slicer_tool"
COMPARED = (*SLICER_TOOLS, BETTER_TOOL, "signed_distance", "average")
ALL_DATA_SETS = "all data sets"
# A Dice lower by no more than this is no worse.
NOT_WORSE_MARGIN = 0.01

_CONFIDENCE = 0.95
_RESAMPLES = 2000


def summarise(records: Sequence[Record], methods: Sequence[str]) -> list[Row]:
    """Rows by placement, then data set (all together last, when there are several), then K, then method as listed.

    Each row has ``placement``, ``data_set``, ``k``, ``method``, ``cases`` and the keys of ``_row``; None where there
    is nothing to report.
    """
    return [
        {"placement": placement, "data_set": data_set, "k": k, **_row(name, group)}
        for placement, data_set, k, group in groups(records)
        for name in (*COMPARED, *methods)
    ]


def groups(records: Sequence[Record]) -> Iterator[tuple[str, str, int, list[Record]]]:
    """(placement, data set, K, its records) in the order of the tables."""
    for placement in dict.fromkeys(record["placement"] for record in records):
        placed = [record for record in records if record["placement"] == placement]
        data_sets = sorted({record["data_set"] for record in placed})
        for data_set in [*data_sets, ALL_DATA_SETS] if len(data_sets) > 1 else data_sets:
            here = [record for record in placed if data_set in (ALL_DATA_SETS, record["data_set"])]
            for k in sorted({record["k"] for record in here}):
                yield placement, data_set, k, [record for record in here if record["k"] == k]


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


def estimates(records: Iterable[Record], method: str) -> list[tuple[float, float]]:
    """(estimated, true) Dice of the cases for which the method gave an estimate."""
    results = (record["methods"].get(method, {}) for record in records)
    return [(s["estimated_dice"], s["dice"]) for s in results if s.get("estimated_dice") is not None]


def interval_of_mean(values: Sequence[float]) -> Interval | None:
    """95 % confidence interval of the mean by the percentile bootstrap over cases (Efron, 1979)."""
    from scipy.stats import bootstrap

    if len(values) < 2:
        return None
    found = bootstrap(
        (values,),
        np.mean,
        n_resamples=_RESAMPLES,
        batch=200,
        confidence_level=_CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def _row(method: str, records: Sequence[Record]) -> Row:
    results = [scores_of(record, method) for record in records]
    dice = [dice_of(scores) for scores in results]

    def against(other: str) -> list[float]:
        return [mine - dice_of(scores_of(record, other)) for mine, record in zip(dice, records, strict=True)]

    better = against(BETTER_TOOL)
    average = against("average")
    own = method not in COMPARED
    histograms = [scores["histogram"] for scores in results if "histogram" in scores]
    curves = pool(histograms) if histograms and own else None
    pairs = estimates(records, method)
    return {
        "method": method,
        "cases": len(records),
        "failed": sum("error" in scores for scores in results),
        "dice": statistics.fmean(dice),
        "dice_interval": interval_of_mean(dice),
        "difference": None if method == BETTER_TOOL else statistics.fmean(better),
        "difference_interval": None if method == BETTER_TOOL else interval_of_mean(better),
        "to_average": None if method == "average" else statistics.fmean(average),
        "to_average_interval": None if method == "average" else interval_of_mean(average),
        "not_worse": statistics.fmean(difference >= -NOT_WORSE_MARGIN for difference in better),
        "hausdorff_95_mm": _aggregate(statistics.fmean, results, "hausdorff_95_mm"),
        "surface_dice_2mm": _aggregate(statistics.fmean, results, "surface_dice_2mm"),
        "seconds": _aggregate(statistics.median, results, "seconds"),
        "peak_memory_mb": _aggregate(max, results, "peak_memory_mb"),
        "roc_area": curves and curves["roc_area"],
        "pr_area": curves and curves["pr_area"],
        "calibration_error": curves and curves["calibration_error"],
        "calibration_error_unsure": curves and curves["calibration_error_unsure"],
        "brier": _aggregate(statistics.fmean, results, "brier") if own else None,
        "estimate_error": statistics.fmean(abs(estimated - true) for estimated, true in pairs) if pairs else None,
        "estimate_correlation": _correlation(pairs),
    }


def _aggregate(how: Callable[[list[float]], float], results: Iterable[Record], key: str) -> float | None:
    values = [scores[key] for scores in results if scores.get(key) is not None]
    return how(values) if values else None


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    if len(pairs) < 3:
        return None
    try:
        return statistics.correlation(*zip(*pairs, strict=True))
    except statistics.StatisticsError:  # all the same
        return None
