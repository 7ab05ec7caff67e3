"""A cohort of one's own added to weights that know others, without losing those.

Two things hold what was learned before: half of the episodes are of the old kinds (rehearsal, Robins 1995), and the
weights are pulled back to where they began: λ (θ − θ₀) is added to every gradient (L²-SP, Li et al., ICML 2018).
Which of the two is worth how much is measured on volumes that were kept out, before and after.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..errors import InputError
from ..jobs.executors import InTurn, LocalProcesses
from ..jobs.runner import run
from ..networks import weights
from ..networks.architectures import slice_network
from ..networks.plan import plan_named
from ..progress import Progress
from ..version import __version__
from .config import Config, Share, TrainingSettings
from .episodes import EpisodeOrder
from .meta import Trainer
from .objectives import OBJECTIVES
from .sources import Source, find_sources
from .validation import validate

STAGE = "context"
"""The weights that go on learning: those that weigh most in the default."""
_NEEDS_NO_DATA = (Share("", "shapes", 1.0),)
_OLD = 500_000
"""Number of the first episode of what is rehearsed; those of the cohort come before."""
_KEPT_OUT = 24
"""At most so many episodes old and new are each judged by."""


@dataclass(frozen=True)
class Change:
    """Mean Dice on episodes of volumes that were kept out; None where a cohort is too small to spare any."""

    before: float | None
    after: float | None


@dataclass(frozen=True)
class Continual:
    """One cohort, and where its weights go.

    Attributes:
        cohort: folder with ``images/`` and ``labels/``.
        output: where episodes, checkpoint and the new weights are kept.
        config: the tables ``[episodes]``, ``[tasks]`` and ``[training.continue]``, with the plan of the weights.
        start: folder of the weights to go on from.
        old: data sets to rehearse; random shapes, which need none, by default.
    """

    cohort: Path
    output: Path
    config: Config
    start: Path = weights.FOLDER
    old: Path | None = None

    def write_episodes(self, progress: Progress) -> None:
        """Write what is not there yet.

        Raises:
            InputError: nothing to learn from in the cohort or among what is to be rehearsed.
        """
        half, jobs = self.config.episodes.count // 2, self.config.episodes.jobs or os.cpu_count() or 1
        rehearsed = self.config if self.old is not None else self.config.with_sources(_NEEDS_NO_DATA)
        old = self.old or self.output
        if not self._labelled or not find_sources(old, rehearsed.sources):
            raise InputError("There are no volumes to train on there; a cohort is a folder with labels/ and images/.")
        write = partial(self._write, jobs=jobs, progress=progress)
        write(EpisodeOrder(self.cohort, False, self._episodes, self.config), range(half), "the cohort")
        write(EpisodeOrder(old, False, self._episodes, rehearsed), range(_OLD, _OLD + half), "what is rehearsed")
        judged = range(min(half, _KEPT_OUT))
        if self._can_spare:
            write(EpisodeOrder(self.cohort, True, self._kept_out("new"), self.config), judged, "kept out")
        write(EpisodeOrder(old, True, self._kept_out("old"), rehearsed), judged, "kept out")

    def train(self, on_step: Callable[[int, float], None] = lambda step, loss: None) -> dict[str, Change]:
        """Train, write the weights, and what became of the old and the new on volumes that were kept out."""
        settings = self.settings
        before = weights.load(STAGE, self.start)
        trainer = Trainer(self._episodes, self.output, settings, before)
        after = trainer.train(on_step)
        plan = weights.load_plan(STAGE, self.start)
        data = f"{plan.data}; then a cohort of its users".removeprefix("; ")
        weights.store(STAGE, after, replace(plan, data=data, commit=__version__), self.output)
        network, objective = slice_network(plan_named(settings.plan)), OBJECTIVES[STAGE]
        found = {}
        for name in ("new", "old"):
            known = name == "old" or self._can_spare
            first, last = (
                validate(self._kept_out(name), objective, network, one, settings)["dice"] if known else None
                for one in (before, after)
            )
            found[name] = Change(first, last)
        return found

    @property
    def settings(self) -> TrainingSettings:
        """Of the training."""
        return replace(self.config.training("continue"), stage=STAGE)

    def _write(self, order: EpisodeOrder, numbers: range, stage: str, jobs: int, progress: Progress) -> None:
        order.folder.mkdir(parents=True, exist_ok=True)
        where = InTurn() if jobs == 1 else LocalProcesses(min(jobs, len(numbers)), threads=1)
        for _ in run(order.write, numbers, where, order.find, progress=progress, stage=stage):
            pass

    @property
    def _episodes(self) -> Path:
        return self.output / "episodes"

    def _kept_out(self, name: str) -> Path:
        return self.output / "kept-out" / name

    @property
    def _can_spare(self) -> bool:
        """Whether volumes of the cohort are kept out."""
        return any(source.files(validation=True) != source.files() for source in self._labelled)

    @property
    def _labelled(self) -> list[Source]:
        return [one for one in find_sources(self.cohort, self.config.sources) if one.kind == "labelled"]
