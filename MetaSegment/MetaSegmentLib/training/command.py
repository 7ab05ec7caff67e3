"""``metasegment train``: make episodes, then train on them; both can be stopped at any time and go on later."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..terminal import INTERRUPTED
from .config import BurstSettings, Config, EpisodeSettings, Share, TaskSettings, TrainingSettings, write_config

if TYPE_CHECKING:
    from torch import Tensor

_LATER = ("bayesian", "variational", "robust", "meta-regularised", "clustered")
STAGES = ("base", "context", "resnet", "maml", "fomaml", "anil", "reptile", *_LATER, "ridge", "matching")
"""Stages of training, known here so that help loads no torch; the keys of OBJECTIVES."""

_SECTIONS = {
    "tasks ('episodes')": TaskSettings,
    "episodes ('episodes')": EpisodeSettings,
    "training (all other stages)": TrainingSettings,
    "burst ('burst'; rate, support and queries are those above)": BurstSettings,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``metasegment train``; those of the config file come from its classes."""
    parser.description = (
        "Meta-train a network. 'episodes' runs the predictors on tasks drawn from volumes and writes the inputs of a "
        "network; 'base' and then the others train on that; 'mean' takes the mean of what several runs led to. 'pack' "
        "puts the data into one small file; 'burst' makes episodes of it and trains on them by the clock. A run that "
        "was stopped goes on where it was. With 'torchrun --nproc-per-node N -m MetaSegmentLib train ...' several "
        "processes share the training. With --continue instead of a stage, the weights of the default method learn a "
        "cohort of your own."
    )
    add = parser.add_argument
    add("stage", nargs="?", choices=("episodes", *STAGES, "mean", "pack", "burst"))
    add(
        "--continue",
        type=Path,
        dest="cohort",
        metavar="COHORT",
        help="add a cohort, a folder with images/ and labels/, to the weights (--start; default: the shipped ones); "
        "what is in --data is rehearsed, else random shapes are; use the result with --weights OUTPUT",
    )
    parser.set_defaults(fail=parser.error)
    add(
        "--config",
        type=Path,
        metavar="FILE",
        help="TOML file; the options below win over it, it wins over the defaults",
    )
    add("--episodes", type=Path, metavar="FOLDER", help="episodes, written or read; but for 'mean', 'pack', 'burst'")
    add(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="training data sets, or one: labels/ and images/ ('episodes', 'pack', 'burst'; that takes a pack too)",
    )
    add("--held-out", action="store_true", help="write episodes of the volumes kept for validation ('episodes')")
    add(
        "--source",
        type=_source,
        action="append",
        default=[],
        metavar="FOLDER:KIND:SHARE",
        help="one of the task sources that replace those of the config file ('episodes', 'pack', 'burst')",
    )
    add(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="the run: checkpoint, log, config, weights ('burst': weights, logs, curves); 'pack': the file",
    )
    add("--of", type=Path, nargs="+", default=[], metavar="FOLDER", help="weights to take the mean of ('mean')")
    add("--limit", type=float, default=60.0, metavar="MB", help="largest size of a pack; default: %(default)s")
    add(
        "--work",
        type=Path,
        metavar="FOLDER",
        help="where a burst keeps unpacked data, episodes (10 MB each) and checkpoints; default: OUTPUT/work",
    )
    add(
        "--start",
        type=Path,
        metavar="FOLDER",
        help="weights to go on from: the stage's own or 'base'; default: the shipped 'base'",
    )
    add("--held-out-episodes", type=Path, metavar="FOLDER", help="episodes to validate on; the best weights are kept")
    known: set[str] = set()
    for title, section in _SECTIONS.items():
        group = parser.add_argument_group(title)
        for one in fields(section):
            if "help" in one.metadata and one.name not in known:
                known.add(one.name)
                name, meaning = "--" + one.name.replace("_", "-"), one.metadata["help"]
                group.add_argument(name, type=_KINDS[str(one.type)], metavar="X", help=meaning)


def run(args: argparse.Namespace) -> int:
    """Run one stage; 0 when done, 130 when stopped.

    Raises:
        MetaSegmentError: missing folders, no data, damaged weights, unknown settings.
    """
    if (args.stage is None) == (args.cohort is None):
        args.fail("name a stage, or a cohort with --continue")
    names = {one.name for section in _SECTIONS.values() for one in fields(section)} - {"stage"}
    chosen = {name: value for name in names if (value := getattr(args, name)) is not None}
    if args.cohort is not None:
        return _continue(args, chosen)
    config = Config(args.config, chosen, args.source)
    if args.stage == "burst":
        config = Config(args.config, {**chosen, "plan": config.burst.plan}, args.source)
    if args.stage == "pack":
        return _pack(args, config)
    if args.stage == "mean":
        return _mean(args)
    if args.stage == "burst":
        return _burst(args, config)
    if args.episodes is None:
        raise InputError("Name the folder of the episodes with --episodes.")
    return _write_episodes(args, config) if args.stage == "episodes" else _train(args, config)


def _pack(args: argparse.Namespace, config: Config) -> int:
    from ..progress import Progress
    from ..terminal import progress_bar
    from .pack import write_pack

    data, file = _data(args), _output(args)
    with progress_bar(args.quiet) as callback:
        packed = write_pack(data, config.sources, file, args.limit, Progress(callback))
    if not args.quiet:
        for name, one in packed.items():
            coarser = f", {2**one.coarser} times coarser" if one.coarser else ""
            print(f"{name}: {one.volumes} of {one.of} volumes, {one.bytes / 1e6:.2f} MB{coarser} ({one.licence})")
        print(f"{file.stat().st_size / 1e6:.1f} MB")
    return 0


def _mean(args: argparse.Namespace) -> int:
    from .mean import store_mean

    names = store_mean(args.of, _output(args))
    if not args.quiet:
        print(f"The mean of {len(args.of)} weights: {', '.join(names)}.")
    return 0


def _burst(args: argparse.Namespace, config: Config) -> int:
    from tqdm import tqdm

    from ..device import choose_device
    from ..networks import weights
    from .burst import ENDLESS, Burst
    from .pack import unpack

    output = _output(args)
    work = args.work or output / "work"
    data = unpack(args.data, work / "data") if args.data is not None and args.data.is_file() else _data(args)
    jobs = max(1, min(config.episodes.jobs or os.cpu_count() or 1, config.episodes.count))
    device = choose_device(config.training("base").device)
    burst = Burst(data, work, output, config, device, args.start or weights.FOLDER, args.steps or ENDLESS)
    with tqdm(desc="burst", unit="update", mininterval=5, disable=args.quiet) as bar:

        def on_step(step: int, loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()

        try:
            summary = burst.run(jobs, on_step)
        except KeyboardInterrupt:
            return _stopped("Stopped; the same command goes on from there.", bar)
    if not args.quiet:
        print(summary)
    return 0


def _continue(args: argparse.Namespace, chosen: Mapping[str, Any]) -> int:
    from tqdm import tqdm

    from ..networks import weights
    from ..progress import Progress
    from ..terminal import progress_bar
    from .continual import STAGE, Continual

    if args.data is not None:
        _data(args)
    start = args.start or weights.FOLDER
    config = Config(args.config, {**chosen, "plan": weights.load_plan(STAGE, start).name}, args.source)
    learner = Continual(args.cohort, _output(args), config, start, args.data)
    with progress_bar(args.quiet) as callback:
        learner.write_episodes(Progress(callback))
    with tqdm(total=learner.settings.steps, desc="continue", unit="step", disable=args.quiet) as bar:

        def on_step(step: int, loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(step - bar.n)

        try:
            found = learner.train(on_step)
        except KeyboardInterrupt:
            return _stopped("Stopped; the same command goes on from there.", bar)
    if not args.quiet:
        for name, change in found.items():
            print(
                f"Mean Dice on volumes kept out, {name}: {_number(change.before)} before, {_number(change.after)} now"
            )
        print("Use the weights with --weights and the folder of the output.")
    return 0


def _number(dice: float | None) -> str:
    return "none were" if dice is None else f"{dice:.3f}"


def _data(args: argparse.Namespace) -> Path:
    if args.data is None or not args.data.is_dir():
        raise InputError("Name the folder of the training data with --data.")
    return Path(args.data)


def _output(args: argparse.Namespace) -> Path:
    if args.output is None:
        raise InputError("Name where the result goes with --output.")
    return Path(args.output)


def _write_episodes(args: argparse.Namespace, config: Config) -> int:
    from tqdm import tqdm

    from ..jobs.executors import LocalProcesses
    from ..jobs.runner import run as run_tasks
    from .episodes import EpisodeOrder
    from .sources import find_sources

    data = _data(args)
    if all(source.kind == "shapes" for source in find_sources(data, config.sources)):
        raise InputError("There are no volumes to train on there; a data set is a folder with labels/ and images/.")
    count = config.episodes.count
    jobs = max(1, min(config.episodes.jobs or os.cpu_count() or 1, count))
    tables = {"sources": config.sources, "tasks": config.tasks, "episodes": config.episodes}
    write_config(args.episodes, tables)
    order = EpisodeOrder(data, args.held_out, args.episodes, config)
    layout = {"desc": "episodes", "unit": "episode", "disable": args.quiet}
    with tqdm(total=count, **layout) as bar:
        try:
            for _ in run_tasks(order.write, range(count), LocalProcesses(jobs, threads=1), order.find):
                bar.update()
        except KeyboardInterrupt:
            # Those that had begun have ended meanwhile.
            written = sum(order.find(number) is not None for number in range(count))
            return _stopped(f"Stopped after {written} episodes; the same command makes the others.", bar)
    return 0


def _train(args: argparse.Namespace, config: Config) -> int:
    from tqdm import tqdm

    from .distributed import joined
    from .meta import Trainer
    from .objectives import OBJECTIVES

    if args.output is None:
        raise InputError("Name the folder of the run with --output.")
    objective = OBJECTIVES[args.stage]
    settings = config.training(args.stage)
    start = _start(args.stage, objective.start, args.start, settings.plan)
    with joined(settings.device) as (ranks, device):
        trainer = Trainer(args.episodes, args.output, settings, start, args.held_out_episodes, ranks, device)
        if ranks.first:
            write_config(args.output, {f"training.{args.stage}": settings})
        layout = {"initial": trainer.step, "desc": args.stage, "unit": "step", "disable": args.quiet or not ranks.first}
        with tqdm(total=settings.steps, **layout) as bar:

            def on_step(step: int, loss: float) -> None:
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
                bar.update(step - bar.n)

            try:
                trainer.train(on_step)
            except KeyboardInterrupt:
                sentence = f"Stopped after step {trainer.step}; the same command goes on from there."
                return _stopped(sentence if ranks.first else "", bar)
    return 0


def _start(stage: str, usual: str | None, folder: Path | None, plan: str) -> dict[str, Tensor] | None:
    """Weights to begin with: the stage's own where ``folder`` has them, else its ``usual`` ones; those of another plan
    are made to fit."""
    from ..networks import weights
    from ..networks.grown import grown
    from ..networks.plan import plan_named

    name = stage if folder is not None and (folder / f"{stage}.safetensors").is_file() else usual
    if name is None:
        return None
    folder = folder or weights.FOLDER
    return grown(weights.load(name, folder), weights.load_plan(name, folder), plan_named(plan))


def _stopped(sentence: str, bar: Any) -> int:
    bar.close()
    if sentence:
        print(sentence, file=sys.stderr)
    return INTERRUPTED


def _source(text: str) -> Share:
    folder, kind, share = text.rsplit(":", 2)
    return Share(folder, kind, float(share))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


_KINDS: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": str, "tuple[int, ...]": _numbers}
