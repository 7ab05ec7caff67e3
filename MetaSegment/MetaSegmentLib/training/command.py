"""``metasegment train``: make episodes, then train on them; both can be stopped at any time and go on later."""

from __future__ import annotations

import argparse
import multiprocessing
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .meta import TrainingSettings

STAGES = ("base", "maml", "fomaml")
"""Stages of training, known here so that help loads no torch; the keys of OBJECTIVES."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``metasegment train``."""
    parser.description = (
        "Meta-train a network. 'episodes' runs the experts on tasks drawn from labelled volumes and writes what a "
        "network would see; 'base' and then the others train on that. A run that was stopped goes on where it was."
    )
    parser.add_argument("stage", choices=("episodes", *STAGES))
    parser.add_argument("--data", type=Path, help="folder of training data sets, or one data set (episodes)")
    parser.add_argument("--episodes", type=Path, required=True, help="folder of episodes, written or read")
    parser.add_argument("--count", type=int, default=1000, help="how many episodes to write")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that write episodes")
    parser.add_argument("--held-out", action="store_true", help="episodes of the volumes kept for validation")
    parser.add_argument("--output", type=Path, help="folder of the run: checkpoint, log, weights")
    parser.add_argument("--start", type=Path, help="folder of the weights 'base' to go on from; default: those shipped")
    parser.add_argument("--steps", type=int, help="updates")
    parser.add_argument("--rate", type=float, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    """Do what the arguments say; 0 when done.

    Raises:
        MetaSegmentError: missing folders, no data, damaged weights.
    """
    return _write_episodes(args) if args.stage == "episodes" else _train(args)


def _write_episodes(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..errors import InputError
    from .sources import find_sources

    if args.data is None or not args.data.is_dir():
        raise InputError("Name the folder of the training data with --data.")
    if all(source.kind == "shapes" for source in find_sources(args.data)):
        raise InputError("There are no volumes to train on there; a data set is a folder with labels/ and images/.")
    jobs = max(1, min(args.jobs, args.count))
    parts = [(args.data, args.held_out, args.episodes, range(n, args.count, jobs), args.seed) for n in range(jobs)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs) as pool, tqdm(total=args.count, desc="episodes", unit="episode") as bar:
        done = pool.starmap_async(_worker, parts)
        while not done.ready():
            done.wait(1.0)
            bar.update(len(list(args.episodes.glob("*.safetensors"))) - bar.n)
        done.get()
        bar.update(args.count - bar.n)
    return 0


def _worker(data: Path, held_out: bool, folder: Path, numbers: range, seed: int) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from .episodes import write_episodes
    from .sources import find_sources
    from .tasks import TaskMaker

    torch.set_num_threads(1)
    write_episodes(TaskMaker(find_sources(data), held_out), folder, numbers, seed)


def _train(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from .. import weights
    from ..errors import InputError
    from .meta import Trainer
    from .objectives import OBJECTIVES

    if args.output is None:
        raise InputError("Name the folder of the run with --output.")
    first = OBJECTIVES[args.stage].start
    start = None if first is None else weights.load(first, args.start or weights.FOLDER)
    settings = _settings(args)
    trainer = Trainer(args.episodes, args.output, settings, start)
    with tqdm(total=settings.steps, initial=trainer.step, desc=args.stage, unit="step") as bar:

        def told(step: int, loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(step - bar.n)

        trainer.train(told)
    return 0


def _settings(args: argparse.Namespace) -> TrainingSettings:
    from .meta import TrainingSettings
    from .objectives import OBJECTIVES

    chosen = {key: getattr(args, key) for key in ("steps", "rate") if getattr(args, key) is not None}
    defaults = OBJECTIVES[args.stage].defaults
    return TrainingSettings(**{**defaults, **chosen, "stage": args.stage, "seed": args.seed})
