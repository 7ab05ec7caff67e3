"""``metasegment calibrate``: fit what is fitted on held-out volumes, and write it into the plan of the weights."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.protocol import PAINTED_COUNTS, PLACEMENTS
from ..errors import InputError, OutputError
from ..predictors.registry import METHODS, MethodInfo, find_method
from ..progress import Progress
from ..replacing import replacing
from ..terminal import positive, progress_bar, words

if TYPE_CHECKING:
    from ..evaluation.records import Task
    from ..networks.plan import Calibration
    from ..networks.weights import Weights
    from .fit import Figures
    from .samples import StoredSamples

    Fits = dict[str, tuple[Calibration, Figures, Figures]]
    """What was fitted for each method, and the figures before and after."""

DESCRIPTION = """\
Fit temperature, expected Dice and fusion weights of methods: each is adapted to 3, 5 and 8 painted slices of volumes
that training kept out, and what it predicts on the other slices is compared with the truth. The weights with their new
plan go to the output folder; their tensors stay as they are. Prints how right the numbers were before and are after.
An interrupted run goes on where it stopped.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.description = DESCRIPTION
    add = parser.add_argument
    add("--data", type=Path, nargs="+", required=True, metavar="FOLDER", help="labelled volumes: images/ and labels/")
    add(
        "--output", type=Path, required=True, metavar="FOLDER", help="weights with their new plan; predictions are kept"
    )
    add("--weights", default="", metavar="FOLDER", help="weights of your own, as 'metasegment train' writes them")
    add("--methods", type=words, metavar="A,B", help="see 'metasegment methods'; all that are offered by default")
    add("--limit", type=positive, metavar="N", help="at most N cases of each folder for each number of slices")
    add("--all-volumes", action="store_true", help="of folders that no weights were trained on, not only held-out ones")
    add("--keep-weights", action="store_true", help="leave the weights of a sum as they are")
    add("--jobs", type=positive, default=1, metavar="N", help="cases run at the same time (1)")
    add("--dry-run", action="store_true", help="print the figures, write no weights")
    add("--write", action="store_true", help="also give the installed weights their new plan")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    add("--seed", type=int, default=0, help="of the choice of cases and of the methods (0)")


def run(args: argparse.Namespace) -> int:
    """Calibrate as asked; 0 when done.

    Raises:
        MetaSegmentError: see its message.
    """
    from ..evaluation import peers
    from ..jobs.executors import executor
    from ..jobs.runner import run as run_tasks
    from ..networks.weights import Weights
    from .samples import Sampling, StoredSamples

    given = Weights.of(args.weights)
    peers.require_slicer()  # or else a fusion would be calibrated without one of its parts
    methods = _methods(args.methods)
    if args.write and args.weights:
        raise InputError("'--write' is for the installed weights; leave it or '--weights' out.")
    if not args.dry_run:
        _refuse_others(methods, given, args.output)
    with progress_bar(getattr(args, "quiet", False)) as callback:
        progress = Progress(callback)
        cases = _cases(args, progress)
        sampling = Sampling(methods, args.device, args.seed, args.weights)
        results = run_tasks(
            sampling.collect, cases, executor(args.jobs), sampling.find, progress=progress, stage="predicting"
        )
        found = dict(results)
    files = [found[case] for case in cases]
    fits = {name: _fit(find_method(name), StoredSamples(files, name), given, args.keep_weights) for name in methods}
    if not args.dry_run:
        write_plans(fits, given, args.output)
        if args.write:
            write_plans(fits, given)
    sys.stdout.write(to_text(fits))
    return 0


def write_plans(fits: Fits, given: Weights, output: Path | None = None) -> None:
    """Write weights whose plans hold the calibrations of ``fits``, and the figures, into a folder.

    Args:
        given: the weights that were calibrated.
        output: by default the plans of the installed weights are changed.

    Raises:
        OutputError: it cannot be written to.
    """
    from ..networks import weights

    folder = output or weights.FOLDER
    names = sorted({find_method(method).weights[0] for method in fits})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            plan = given.load_plan(name)
            new = {_key(info): fits[info.name][0] for info in map(find_method, fits) if info.weights[0] == name}
            if output and output.resolve() != given.place(name):
                weights.copy(name, folder, given.place(name))
            weights.store_plan(name, replace(plan, calibration={**plan.calibration, **new}), folder)
        if output:
            about = {
                method: {"calibration": asdict(calibration), "before": asdict(before), "after": asdict(after)}
                for method, (calibration, before, after) in fits.items()
            }
            with replacing(folder / "calibration.json") as waiting:
                waiting.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError("The folder of the weights cannot be written to; choose another one.") from error


def to_text(fits: Fits) -> str:
    """The figures before and after, and what was fitted, a line each."""
    lines = []
    for method, (calibration, before, after) in fits.items():
        lines.append(f"{method}, {before.cases} cases, mean Dice {before.dice:.3f} before, {after.dice:.3f} after")
        for title, field in (
            ("negative log-likelihood", "likelihood"),
            ("expected Dice, mean error", "dice_error"),
            ("expected Dice, calibration error", "calibration_error"),
        ):
            lines.append(f"    {title}: {getattr(before, field):.4f} before, {getattr(after, field):.4f} after")
        numbers = {key: value for key, value in asdict(calibration).items() if not isinstance(value, dict)}
        fitted = {**numbers, **{f"weight of {name}": w for name, w in calibration.fusion_weights.items()}}
        fitted |= {f"weight of {name} where few are painted": w for name, w in calibration.few_fusion_weights.items()}
        fitted |= {f"weight of {name} where many are": w for name, w in calibration.dense_fusion_weights.items()}
        lines.append("    " + ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in fitted.items()))
    return "\n".join([*lines, "The figures after are on the cases that were fitted on."]) + "\n"


def _fit(
    info: MethodInfo, samples: StoredSamples, given: Weights, keep_weights: bool
) -> tuple[Calibration, Figures, Figures]:
    from ..networks.plan import Calibration
    from .fit import figures, fit

    before = given.load_plan(info.weights[0]).calibration.get(_key(info), Calibration())
    after = fit(samples, before, keep_weights)
    return after, figures(samples, before), figures(samples, after)


def _refuse_others(methods: Sequence[str], given: Weights, output: Path) -> None:
    """Raise InputError where the output folder holds other weights of a name that would be written."""
    from ..networks import weights

    known = weights.names(output) if weights.lists_weights(output) else []
    for name in {find_method(method).weights[0] for method in methods} & {*known}:
        if not weights.same_numbers(name, given.place(name), output):
            raise InputError(
                f"The output folder holds other weights '{name}'; name it as '--weights' too, or choose another one."
            )


def _key(info: MethodInfo) -> str:
    return info.calibrated_as or info.name


def _methods(names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return tuple(name for name, info in METHODS.items() if not info.baseline)
    chosen = [find_method(name) for name in dict.fromkeys(names)]
    if borrowing := [info.name for info in chosen if info.calibrated_as]:
        raise InputError(f"'{borrowing[0]}' has no calibration of its own; leave it out.")
    return tuple(info.name for info in chosen)


def _cases(args: argparse.Namespace, progress: Progress) -> list[Task]:
    """Cases of volumes that no weights were trained on, for every number of painted slices."""
    from ..data.datasets import Case, choose, describe, find_cases
    from ..evaluation.records import make_tasks

    chosen: dict[int, list[Case]] = {k: [] for k in PAINTED_COUNTS}
    if len({folder.resolve().name for folder in args.data}) < len(args.data):
        raise InputError("Two of the data folders have the same name; rename one of them.")
    for folder in args.data:
        if describe(folder).get("use", "train") != "train":
            raise InputError(f"'{folder.name}' is for scoring only, nothing may be fitted on it; leave it out.")
        cases = find_cases(folder, None, progress, only_held_out=not args.all_volumes)
        for k, some in choose(cases, PAINTED_COUNTS, args.limit, args.seed).items():
            chosen[k] += some
    tasks = make_tasks(chosen, PLACEMENTS, args.output / "predictions")
    for parent in {task.file.parent for task in tasks}:
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError("The output folder cannot be written to; choose another one.") from error
    return tasks
