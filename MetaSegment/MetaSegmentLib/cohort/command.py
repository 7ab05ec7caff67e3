"""``metasegment batch``: one structure in many volumes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Cancelled, InputError, MetaSegmentError
from ..progress import ProgressCallback
from ..terminal import DONE, FAILED, INTERRUPTED, add_method_arguments, one_line, positive, progress_bar, settings_of
from .cases import ENDINGS, Common

if TYPE_CHECKING:
    from .engine import Workers
    from .run import Cohort

DESCRIPTION = """\
Segment a structure in all volumes of a cohort, from paint on one or a few of them or on each. Every case gets its
result in the output folder, which also gets summary.csv, summary.json and summary.html, most doubtful cases first. A
case that fails does not stop the others. What was stopped or killed goes on with --resume.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.description = DESCRIPTION
    add = parser.add_argument
    add(
        "--manifest",
        type=Path,
        required=True,
        metavar="CASES",
        help="CSV or TSV with the columns id, image, support, …; or a folder, a dataset.json, a DICOM tree",
    )
    add("--output", type=Path, required=True, metavar="FOLDER", help="where the results go")
    add(
        "--support",
        type=Path,
        action="append",
        default=[],
        metavar="PAINTED",
        help="painted slices for all cases that have none of their own (repeatable: several patients)",
    )
    add(
        "--support-image",
        type=Path,
        action="append",
        default=[],
        metavar="IMAGE",
        help="what PAINTED was painted on; one for each, in the same order",
    )
    add("--format", choices=tuple(ENDINGS), default="seg.nrrd", help="of the results; default: %(default)s")
    add("--resume", action="store_true", help="go on with an earlier batch; finished cases are not done again")
    add("--workers", type=positive, metavar="N", help="processes; default: one a GPU, or one for two cores")
    add("--scheduler", default="", metavar="ADDRESS", help="use the workers of this Dask scheduler: tcp://host:8786")
    add("--scheduler-file", type=Path, metavar="F.json", help="the same, its address from a file")
    add("--no-dashboard", action="store_true", help="serve no page that shows the workers")
    add_method_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Segment the cohort as asked; 0 when every case is done, 1 when one failed, 130 when interrupted.

    Raises:
        MetaSegmentError: see its message.
    """
    from .run import Cohort, run_source

    settings, cohort = settings_of(args), Cohort()
    common = Common(tuple(args.support), tuple(args.support_image), ENDINGS[args.format])
    try:
        with _progress(args.quiet, cohort) as progress:
            workers = _workers(args)
            run_source(args.manifest, args.output, common, settings, workers, args.resume, progress, cohort=cohort)
    except (KeyboardInterrupt, Cancelled):
        _print_failed(cohort)
        done, total = len(cohort.done), len(cohort.rows)
        print(f"metasegment: Interrupted; {done} of {total} cases are done, add --resume to go on.", file=sys.stderr)
        return INTERRUPTED
    except MetaSegmentError:
        _print_failed(cohort)
        raise
    _print_failed(cohort)
    if not args.quiet:
        print(f"{len(cohort.done)} of {len(cohort.rows)} cases are done; see summary.html in the output folder.")
    return FAILED if cohort.failed else DONE


def _workers(args: argparse.Namespace) -> Workers:
    from .engine import Workers

    if bool(args.scheduler) + bool(args.scheduler_file) + bool(args.workers) > 1:
        raise InputError("Give one of --workers, --scheduler and --scheduler-file.")
    usual = Workers.dashboard
    return Workers(args.workers, args.scheduler, args.scheduler_file, None if args.no_dashboard else usual)


@contextmanager
def _progress(quiet: bool, cohort: Cohort) -> Iterator[ProgressCallback | None]:
    """The bar, with the number of failures; the address of the dashboard stands above it."""
    with progress_bar(quiet) as bar:
        shown = False

        def show(stage: str, done: int, total: int, eta_s: float | None) -> None:
            nonlocal shown
            if not shown and not quiet and cohort.dashboard:
                shown = True
                print(f"Dashboard: {cohort.dashboard}", file=sys.stderr)
            if bar is not None:
                bar(stage, done, total, eta_s)

        yield show


def _print_failed(cohort: Cohort) -> None:
    for row in cohort.failed:
        print(f"metasegment: {one_line(row.id)}: {one_line(row.sentence)}", file=sys.stderr)
