"""``metasegment evaluate``: the few-slice protocol over folders of labelled volumes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, SettingsError
from ..progress import Progress
from ..terminal import progress_bar
from .protocol import PAINTED_COUNTS, PLACEMENTS

DESCRIPTION = """\
Paint K slices of structures in labelled volumes from their true labels, let every method and Slicer's own tools
segment the rest, and score them on all slices that were not painted. A folder holds images/ and labels/ with files of
equal names, and perhaps a dataset.json with the names of the labels and the slice axis. Tables go to standard output;
records of all cases, tables and plots to the output folder. An interrupted run goes on where it stopped when it is
started again with the same output folder; take a new one after changing methods or weights.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.description = DESCRIPTION
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FOLDER", help="labelled volumes")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where results are kept")
    parser.add_argument("--methods", type=_names, metavar="A,B", help="see 'metasegment methods'; all by default")
    parser.add_argument(
        "--k", type=_counts, default=PAINTED_COUNTS, metavar="3,5,8", help="how many slices are painted (3,5,8)"
    )
    parser.add_argument("--placement", choices=PLACEMENTS, default=PLACEMENTS[0], help="where they lie (inside)")
    parser.add_argument(
        "--axis",
        choices=("auto", "0", "1", "2"),
        default="auto",
        help="slice axis in numpy order; auto: the data set's own, else the coarsest, else 0",
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="at most N cases of each folder, well spread")
    parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="cases run at the same time (1)")
    parser.add_argument("--surface", action="store_true", help="score surface distances too; slower")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of cases and of the methods (0)")


def run(args: argparse.Namespace) -> int:
    """Evaluate as asked; 0 when the tables are written.

    Raises:
        MetaSegmentError: see its message.
    """
    from . import peers
    from .cases import choose, find_cases
    from .runner import Plan, make_tasks, run_tasks
    from .tables import to_markdown

    methods = _known(args.methods)
    peers.require_slicer()
    folders = [folder.resolve().name for folder in args.data]
    if len(set(folders)) < len(folders):
        raise InputError("Two of the data folders have the same name; rename one of them.")
    axis = None if args.axis == "auto" else int(args.axis)
    plan = Plan(methods, args.placement, args.device, args.seed, args.surface)
    with progress_bar(getattr(args, "quiet", False)) as callback:
        progress = Progress(callback)
        chosen: dict[int, list[Any]] = {k: [] for k in args.k}
        for folder in args.data:
            for k, cases in choose(find_cases(folder, axis, progress), args.k, args.limit, args.seed).items():
                chosen[k] += cases
        if not any(chosen.values()):
            raise InputError("No structure has 200 voxels and twice as many slices as are painted; paint fewer slices.")
        records = run_tasks(make_tasks(chosen, plan, args.output / "cases"), plan, args.jobs, progress)
    rows = _write(records, methods, args)
    sys.stdout.write(to_markdown(rows))
    return 0


def _write(records: list[dict[str, Any]], methods: Sequence[str], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Tables, curves and plots into the output folder; returns the rows of the tables."""
    from ..files.atomic import Staging
    from ..version import __version__
    from .curves import pool
    from .plots import can_plot, plot
    from .tables import ALL_DATA_SETS, summarise, to_csv, to_markdown

    rows = summarise(records, methods)
    curves = []
    with Staging() as staging:
        for data_set, k in dict.fromkeys((row["data_set"], row["k"]) for row in rows):
            group = [r for r in records if r["k"] == k and data_set in (r["data_set"], ALL_DATA_SETS)]
            for method in methods:
                found = [r["methods"][method] for r in group]
                if histograms := [scores["histogram"] for scores in found if "histogram" in scores]:
                    curves.append({"data_set": data_set, "k": k, "method": method, **pool(histograms)})
            if can_plot():
                file = staging.path(args.output / f"{data_set}-k{k}.png".replace(" ", "-"))
                plot(group, methods, f"{data_set}, K = {k}, {args.placement}, {len(group)} cases", file)
        settings = {"placement": args.placement, "seed": args.seed, "limit": args.limit, "version": __version__}
        summary = {"settings": settings, "rows": rows, "curves": curves}
        staging.path(args.output / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
        staging.path(args.output / "tables.csv").write_text(to_csv(rows), encoding="utf-8")
        staging.path(args.output / "tables.md").write_text(to_markdown(rows), encoding="utf-8")
        staging.commit()
    return rows


def _known(names: tuple[str, ...] | None) -> tuple[str, ...]:
    from ..methods import METHODS

    for name in names or ():
        if name not in METHODS:
            raise SettingsError(f"There is no method '{name}'; use one of {', '.join(METHODS)}.")
    return tuple(METHODS) if names is None else names


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _counts(text: str) -> tuple[int, ...]:
    counts = sorted({_positive(part) for part in text.split(",")})
    return tuple(counts)


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 on")
    return number
