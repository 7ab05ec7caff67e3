"""``metasegment evaluate``: the few-slice protocol over folders of labelled volumes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.protocol import PAINTED_COUNTS, PLACEMENTS, Placement
from ..errors import InputError
from ..progress import Progress
from ..terminal import progress_bar, words

if TYPE_CHECKING:
    from .records import Task

DESCRIPTION = """\
Paint K slices of structures in labelled volumes from their true labels, let every method and Slicer's own tools
segment the rest, and score them on all slices that were not painted. A folder holds images/ and labels/ with files of
equal names, and perhaps a dataset.json with the names of the labels and the slice axis. Tables go to standard output;
records of all cases, tables and plots to the output folder. An interrupted run goes on where it stopped when it is
started again with the same output folder; what was made with other weights or by another version is made anew.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.description = DESCRIPTION
    add = parser.add_argument
    add("--data", type=Path, nargs="+", required=True, metavar="FOLDER", help="labelled volumes")
    add("--output", type=Path, required=True, metavar="FOLDER", help="where results are kept")
    add(
        "--methods",
        type=words,
        metavar="A,B",
        help="see 'metasegment methods'; all by default. 'ablation': the default method without each of its parts",
    )
    add("--k", type=_counts, default=PAINTED_COUNTS, metavar="3,5,8", help="how many slices are painted (3,5,8)")
    add("--placement", type=_placements, default=PLACEMENTS[:1], metavar="inside,ends", help="where they lie (inside)")
    add(
        "--axis",
        choices=("auto", "0", "1", "2"),
        default="auto",
        help="slice axis in numpy order; auto: the data set's own, else the coarsest, else 0",
    )
    add("--limit", type=_positive, metavar="N", help="at most N cases of each folder, well spread")
    add("--held-out", action="store_true", help="only volumes that training keeps out: those of every sixth person")
    add("--render", action="store_true", help="make images with random intensities for folders with labels only")
    add("--suggestions", action="store_true", help="measure instead what painting the suggested slice gains")
    add("--jobs", type=_positive, default=1, metavar="N", help="cases run at the same time (1)")
    add("--surface", action=argparse.BooleanOptionalAction, default=True, help="score surface distances (yes)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    add("--seed", type=int, default=0, help="of the choice of cases and of the methods (0)")


def run(args: argparse.Namespace) -> int:
    """Evaluate; 0 when the tables are written.

    Raises:
        MetaSegmentError: see its message.
    """
    from . import output, peers
    from .records import work_through
    from .runner import Comparison
    from .suggestions import Suggestions

    methods = _methods(args.methods, args.suggestions)
    if not args.suggestions:
        peers.require_slicer()
    with progress_bar(getattr(args, "quiet", False)) as callback:
        progress = Progress(callback)
        tasks = _tasks(args, progress)
        plan: Comparison | Suggestions
        if args.suggestions:
            plan = Suggestions(methods, args.device, args.seed)
        else:
            plan = Comparison(methods, args.device, args.seed, args.surface)
        records = work_through(tasks, plan, args.jobs, progress)
    settings = {name: getattr(args, name) for name in ("seed", "limit", "held_out", "render")}
    write = output.write_suggestions if args.suggestions else output.write_comparison
    sys.stdout.write(write(records, methods, settings, args.output))
    return 0


def _tasks(args: argparse.Namespace, progress: Progress) -> list[Task]:
    from ..data.datasets import Case, choose, find_cases
    from .records import make_tasks

    folders = [folder.resolve().name for folder in args.data]
    if len(set(folders)) < len(folders):
        raise InputError("Two of the data folders have the same name; rename one of them.")
    axis = None if args.axis == "auto" else int(args.axis)
    chosen: dict[int, list[Case]] = {k: [] for k in args.k}
    for folder in args.data:
        cases = find_cases(folder, axis, progress, args.held_out, args.render)
        for k, some in choose(cases, args.k, args.limit, args.seed).items():
            chosen[k] += some
    if not any(chosen.values()):
        raise InputError("No structure has 200 voxels and twice as many slices as are painted; paint fewer slices.")
    return make_tasks(chosen, args.placement, args.output / ("suggestions" if args.suggestions else "cases"))


def _methods(names: Iterable[str] | None, suggestions: bool) -> tuple[str, ...]:
    """Names of methods, each once, all of them known."""
    from ..predictors.registry import ABLATIONS, METHODS, find_method
    from ..settings import DEFAULT_METHOD

    if names is None:
        names = (DEFAULT_METHOD,) if suggestions else METHODS
    wanted = [one for name in names for one in ((DEFAULT_METHOD, *ABLATIONS) if name == "ablation" else (name,))]
    return tuple(find_method(name).name for name in dict.fromkeys(wanted))


def _placements(text: str) -> tuple[Placement, ...]:
    found = tuple(placement for placement in PLACEMENTS if placement in words(text))
    if len(found) < len(set(words(text))) or not found:
        raise argparse.ArgumentTypeError(f"'{text}' is not one or more of {', '.join(PLACEMENTS)}")
    return found


def _counts(text: str) -> tuple[int, ...]:
    return tuple(sorted({_positive(part) for part in words(text) or ("",)}))


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 on")
    return number
