"""The files of an evaluation: tables, numbers and plots, all in place together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files.atomic import Staging
from ..version import __version__
from .curves import pool
from .effort import effort_to_markdown, summarise_effort
from .layout import to_csv, to_markdown
from .plots import can_plot, plot, plot_gains
from .records import Record
from .suggestions import gains_to_markdown, summarise_gains
from .tables import ALL_DATA_SETS, by_anatomy, groups, same_cases, summarise

Settings = Mapping[str, Any]


def write_comparison(
    records: Sequence[Record],
    methods: Sequence[str],
    settings: Settings,
    folder: Path,
    anatomies: Mapping[str, str] | None = None,
) -> str:
    """``summary.json``, ``tables.csv``, ``tables.md`` and a PNG for each table; returns the Markdown.

    Args:
        settings: of the run, to be kept in the summary.
        anatomies: of the data sets that state one.
    """
    rows = summarise(records, methods)
    same = summarise(same_cases(records), methods)
    anatomy = [
        row
        for row in summarise(by_anatomy(records, anatomies or {}), methods)
        if row["data_set"] != ALL_DATA_SETS  # which stands in the other tables
    ]
    markdown = to_markdown(rows, same, anatomy)
    curves = []
    with Staging() as staging:
        for placement, data_set, k, group in groups(records):
            for method in methods:
                found = [record["methods"][method] for record in group]
                if histograms := [scores["histogram"] for scores in found if "histogram" in scores]:
                    place = {"placement": placement, "data_set": data_set, "k": k, "method": method}
                    curves.append({**place, **pool(histograms)})
            if can_plot():
                file = staging.path(folder / f"{data_set}-{placement}-k{k}.png".replace(" ", "-"))
                plot(group, methods, f"{data_set}, {placement}, K = {k}, {len(group)} cases", file)
        about = {**settings, "version": __version__}
        summary = {"settings": about, "rows": rows, "same_cases": same, "by_anatomy": anatomy, "curves": curves}
        _write(staging, folder, {"summary.json": to_json(summary), "tables.csv": to_csv(rows), "tables.md": markdown})
        staging.commit()
    return markdown


def write_suggestions(records: Sequence[Record], methods: Iterable[str], settings: Settings, folder: Path) -> str:
    """``suggestions.json``, ``suggestions.md`` and ``suggestions.png``; returns the Markdown."""
    rows = summarise_gains(records, tuple(methods))
    markdown = gains_to_markdown(rows)
    with Staging() as staging:
        if can_plot():
            plot_gains(rows, staging.path(folder / "suggestions.png"))
        summary = {"settings": {**settings, "version": __version__}, "rows": rows}
        _write(staging, folder, {"suggestions.json": to_json(summary), "suggestions.md": markdown})
        staging.commit()
    return markdown


def write_effort(records: Sequence[Record], methods: Sequence[str], settings: Settings, folder: Path) -> str:
    """``summary.json``, ``tables.csv`` and ``tables.md`` of the effort; returns the Markdown."""
    rows = summarise_effort(records, methods)
    markdown = effort_to_markdown(rows)
    summary = {"settings": {**settings, "version": __version__}, "rows": rows}
    with Staging() as staging:
        _write(staging, folder, {"summary.json": to_json(summary), "tables.csv": to_csv(rows), "tables.md": markdown})
        staging.commit()
    return markdown


def to_json(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"


def _write(staging: Staging, folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        staging.path(folder / name).write_text(text, encoding="utf-8")
