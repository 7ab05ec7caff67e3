"""What the records of many cases come to: one row for each method, data set, placement and K."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .curves import pool
from .records import Record
from .tools import BIOMEDISA, SIMPLE_TOOLS, SLICER_TOOLS

Row = dict[str, Any]
Interval = tuple[float, float]

BETTER_TOOL, BEST_TOOL = "better_slicer_tool", "best_simple_tool"
BEST_OF = {BETTER_TOOL: SLICER_TOOLS, BEST_TOOL: SIMPLE_TOOLS}
"""What is taken case by case, with hindsight, from which tools."""
COMPARED = (*SLICER_TOOLS, BETTER_TOOL, "signed_distance", "random_walker", BIOMEDISA, BEST_TOOL, "average")
ALL_DATA_SETS = "all data sets"
# A Dice lower by no more than this is no worse.
NOT_WORSE_MARGIN = 0.01
# An estimate above the first is a promise, broken by a true Dice below the second.
PROMISED, BROKEN = 0.9, 0.7

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
        for name in (*compared(records), *methods)
    ]


def compared(records: Iterable[Record]) -> tuple[str, ...]:
    """The tools, and best of tools, that all records have."""
    there = [record["methods"].keys() for record in records]
    return tuple(name for name in COMPARED if all(set(BEST_OF.get(name, (name,))) <= names for names in there))


def same_cases(records: Sequence[Record]) -> list[Record]:
    """The records of those structures that are there at every K of their placement; none where there is one K only."""
    found: dict[tuple[object, ...], set[int]] = {}
    for record in records:
        found.setdefault(_structure(record), set()).add(record["k"])
    every: dict[str, set[int]] = {}
    for record in records:
        every.setdefault(record["placement"], set()).add(record["k"])
    return [
        record
        for record in records
        if len(every[record["placement"]]) > 1 and found[_structure(record)] == every[record["placement"]]
    ]


def by_anatomy(records: Iterable[Record], anatomies: Mapping[str, str]) -> list[Record]:
    """The records with the anatomy in the place of their data set; those of data sets without one are left out."""
    return [
        {**record, "data_set": anatomies[record["data_set"]]} for record in records if record["data_set"] in anatomies
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
    """The scores of one method on one case; for the best of several tools those of the one with the highest Dice."""
    if method not in BEST_OF:
        return record["methods"][method]
    tried = [record["methods"][tool] for tool in BEST_OF[method]]
    best = max(tried, key=dice_of)
    if any("error" in scores for scores in tried):
        return best
    # Nobody knows beforehand which is the best one: all have to be run.
    return {**best, "seconds": sum(scores["seconds"] for scores in tried)}


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

    lead = against(BEST_TOOL) if method != BEST_TOOL and BEST_TOOL in compared(records) else []
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
        "lead": statistics.fmean(lead) if lead else None,
        "lead_interval": interval_of_mean(lead),
        "worse": statistics.fmean(difference < -NOT_WORSE_MARGIN for difference in lead) if lead else None,
        "overconfident": sum(estimated > PROMISED and true < BROKEN for estimated, true in pairs) if pairs else None,
        "maker": records[0]["methods"].get(method, {}).get("maker"),
    }


def _structure(record: Record) -> tuple[object, ...]:
    return tuple(record[key] for key in ("data_set", "volume", "label", "axis", "placement"))


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
