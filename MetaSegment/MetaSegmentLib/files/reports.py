"""The report of a run, as JSON without names or paths of the input."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .atomic import output_error

Report = dict[str, Any]


def merge_reports(reports: Sequence[Report]) -> Report:
    """One report of several runs on one image, as when overlapping segments were done one layer after the other."""
    merged = dict(reports[0])
    merged["segments"] = {value: found for report in reports for value, found in report["segments"].items()}
    merged["peak_memory_mb"] = max(
        (peak for report in reports if (peak := report["peak_memory_mb"]) is not None), default=None
    )
    merged["support_slices"] = sorted({index for report in reports for index in report["support_slices"]})
    merged["warnings"] = list(dict.fromkeys(sentence for report in reports for sentence in report["warnings"]))
    merged["seconds"] = {}
    suggested: dict[tuple[int, int], Any] = {}
    for report in reports:
        for stage, seconds in report["seconds"].items():
            merged["seconds"][stage] = merged["seconds"].get(stage, 0.0) + seconds
        for suggestion in report["suggested_slices"]:
            place = suggestion["axis"], suggestion["index"]
            suggested[place] = max(suggestion, suggested.get(place, suggestion), key=lambda one: one["score"])
    merged["suggested_slices"] = sorted(suggested.values(), key=lambda one: -one["score"])
    return merged


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write the report.

    Raises:
        OutputError: it could not be written.
    """
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise output_error(error, path.parent) from error
