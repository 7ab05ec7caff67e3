"""``metasegment evaluate``: the few-slice protocol over folders of labelled volumes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.protocol import PAINTED_COUNTS, PLACEMENTS, Placement
from ..errors import InputError, SettingsError
from ..progress import Progress
from ..terminal import positive, progress_bar, words

if TYPE_CHECKING:
    from .records import Task

DESCRIPTION = """\
Paint K slices of structures in labelled volumes from their true labels, let every method, Slicer's own tools and other
simple ones segment the rest, and score them on all slices that were not painted. A folder holds images/ and labels/
with files of equal names, and perhaps a dataset.json with the names of the labels, the slice axis and the anatomy.
Tables go to standard output; records of all cases, tables and plots to the output folder. An interrupted run goes on
where it stopped when it is started again with the same output folder; what was made with other weights or by another
version is made anew.
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
        help="see 'metasegment methods'; 'all', the default; 'ablation': the default method without each of its parts",
    )
    add("--k", type=_counts, default=PAINTED_COUNTS, metavar="3,5,8", help="how many slices are painted (3,5,8)")
    add("--placement", type=_placements, default=PLACEMENTS[:1], metavar="inside,ends", help="where they lie (inside)")
    add(
        "--axis",
        choices=("auto", "0", "1", "2"),
        default="auto",
        help="slice axis in numpy order; auto: the data set's own, else the coarsest, else 0",
    )
    add("--limit", type=positive, metavar="N", help="at most N cases of each folder, well spread")
    add("--held-out", action="store_true", help="only volumes that training keeps out: those of every sixth person")
    add("--render", action="store_true", help="make images with random intensities for folders with labels only")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--suggestions", action="store_true", help="measure instead what painting the suggested slice gains"
    )
    instead.add_argument(
        "--effort",
        action="store_true",
        help="measure instead how many painted slices it takes, from 3 'inside' on, to reach a Dice of .90 and .95",
    )
    instead.add_argument(
        "--worst",
        type=words,
        nargs="?",
        const=(),
        metavar="A,B",
        help="draw the ten worst cases of these methods (of the default one), which are run again for it",
    )
    add("--jobs", type=positive, default=1, metavar="N", help="cases run at the same time (1)")
    add("--surface", action=argparse.BooleanOptionalAction, default=True, help="score surface distances (yes)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    add("--weights", default="", metavar="FOLDER", help="weights of your own, as 'metasegment train' writes them")
    add("--seed", type=int, default=0, help="of the choice of cases and of the methods (0)")


def run(args: argparse.Namespace) -> int:
    """Evaluate; 0 when the tables are written.

    Raises:
        MetaSegmentError: see its message.
    """
    from . import output, peers, worst
    from .effort import Effort
    from .records import work_through
    from .runner import Comparison
    from .suggestions import Suggestions

    methods = _methods(args.methods, args.suggestions or args.effort)
    drawn = _drawn(args.worst, methods)
    if not args.suggestions:
        peers.require_slicer()
    with progress_bar(getattr(args, "quiet", False)) as callback:
        progress = Progress(callback)
        tasks = _tasks(args, progress)
        comparison = Comparison(methods, args.device, args.seed, args.surface, args.weights)
        plan: Comparison | Suggestions | Effort = comparison
        if args.suggestions:
            plan = Suggestions(methods, args.device, args.seed, args.weights)
        elif args.effort:
            plan = Effort(methods, args.device, args.seed, args.weights)
        records = work_through(tasks, plan, args.jobs, progress)
        settings = {name: getattr(args, name) for name in ("seed", "limit", "held_out", "render")}
        if args.suggestions:
            tables = output.write_suggestions(records, methods, settings, args.output)
        elif args.effort:
            tables = output.write_effort(records, methods, settings, args.output)
        else:
            tables = output.write_comparison(records, methods, settings, args.output, _anatomies(args.data))
        for method in drawn:
            worst.draw(method, tasks, records, comparison, args.output / f"worst-{method}.png", progress)
    sys.stdout.write(tables)
    return 0


def _tasks(args: argparse.Namespace, progress: Progress) -> list[Task]:
    from ..data.datasets import Case, choose, find_cases
    from .effort import FIRST
    from .records import make_tasks

    folders = [folder.resolve().name for folder in args.data]
    if len(set(folders)) < len(folders):
        raise InputError("Two of the data folders have the same name; rename one of them.")
    axis = None if args.axis == "auto" else int(args.axis)
    ks, placements = ((FIRST,), PLACEMENTS[:1]) if args.effort else (args.k, args.placement)
    chosen: dict[int, list[Case]] = {k: [] for k in ks}
    for folder in args.data:
        cases = find_cases(folder, axis, progress, args.held_out, args.render)
        for k, some in choose(cases, ks, args.limit, args.seed).items():
            chosen[k] += some
    if not any(chosen.values()):
        raise InputError("No structure has 200 voxels and twice as many slices as are painted; paint fewer slices.")
    kept = "suggestions" if args.suggestions else "effort" if args.effort else "cases"
    return make_tasks(chosen, placements, args.output / kept)


def _anatomies(folders: Iterable[Path]) -> dict[str, str]:
    """The anatomy of each data set that states one."""
    from ..data.datasets import describe

    stated = {folder.resolve().name: describe(folder).get("anatomy") for folder in folders}
    return {data_set: str(anatomy) for data_set, anatomy in stated.items() if anatomy}


def _drawn(asked: tuple[str, ...] | None, methods: tuple[str, ...]) -> tuple[str, ...]:
    """The methods whose worst cases are drawn.

    Raises:
        SettingsError: one of them is not run, or pictures cannot be made here.
    """
    from ..settings import DEFAULT_METHOD
    from .plots import can_plot

    if asked is None:
        return ()
    drawn = tuple(dict.fromkeys(asked or (DEFAULT_METHOD,)))
    if missing := [name for name in drawn if name not in methods]:
        raise SettingsError(f"'{missing[0]}' is to be drawn and is not run; add it to --methods.")
    if not can_plot():
        raise SettingsError("Pictures need matplotlib; install it with 'pip install matplotlib', or leave out --worst.")
    return drawn


def _methods(names: Iterable[str] | None, only_default: bool) -> tuple[str, ...]:
    """Names of methods, each once, all of them known; without any, all of them or the default one."""
    from ..predictors.registry import ABLATIONS, METHODS, find_method
    from ..settings import DEFAULT_METHOD

    if names is None:
        names = (DEFAULT_METHOD,) if only_default else METHODS
    groups = {"all": tuple(METHODS), "ablation": (DEFAULT_METHOD, *ABLATIONS)}
    wanted = [one for name in names for one in groups.get(name, (name,))]
    return tuple(find_method(name).name for name in dict.fromkeys(wanted))


def _placements(text: str) -> tuple[Placement, ...]:
    found = tuple(placement for placement in PLACEMENTS if placement in words(text))
    if len(found) < len(set(words(text))) or not found:
        raise argparse.ArgumentTypeError(f"'{text}' is not one or more of {', '.join(PLACEMENTS)}")
    return found


def _counts(text: str) -> tuple[int, ...]:
    return tuple(sorted({positive(part) for part in words(text) or ("",)}))
