"""A burst: weights from a pack in a few minutes of one machine, by the clock.

All cores write episodes from the first second; meanwhile the network is trained on those that are there: ``base``, many
episodes an update, then ``maml`` on what it has reached. Checkpoints and weights are written each minute, so that a
machine that is taken away takes no more than that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.protocol import paint, painted_slices
from ..engine import segment
from ..errors import MetaSegmentError
from ..networks import weights
from ..networks.grown import grown
from ..networks.plan import plan_named
from ..replacing import replacing
from ..settings import DEFAULT_METHOD, Settings
from .config import BurstSettings, Config, TrainingSettings, write_config
from .curves import plot_curves
from .drawing import list_episodes
from .meta import Trainer
from .objectives import OBJECTIVES
from .resident import Resident
from .writers import Order, Writers, writing

SUMMARY = "summary.json"
ENDLESS = 10_000_000
"""Updates that no burst reaches: the clock ends it."""
_POLL_SECONDS = 0.2
_EPISODES = "episodes"


@dataclass(frozen=True)
class Summary:
    """What a burst did.

    Attributes:
        seconds: from the start to the end of training.
        updates: by stage.
        loss, dice: by stage; the Dice is that of the held-out episodes at the end.
        episodes: how many were written.
        segment_seconds: of the default method on 40 slices of 128 × 128, five of them painted; None: not measured.
    """

    device: str
    seconds: float
    updates: Mapping[str, int]
    loss: Mapping[str, float]
    dice: Mapping[str, float]
    episodes: int
    segment_seconds: float | None

    def __str__(self) -> str:
        stages = [
            f"{name} {count} updates, loss {self.loss[name]:.3f}"
            + (f", held-out Dice {self.dice[name]:.3f}" if name in self.dice else "")
            for name, count in self.updates.items()
        ]
        timed = "" if self.segment_seconds is None else f"; segment {self.segment_seconds:.2f} s"
        return f"{'; '.join(stages)}; {self.episodes} episodes; {self.seconds:.0f} s on {self.device}{timed}"


class Burst:
    """One burst; with the same folders it goes on where it was.

    Args:
        data: folder of data sets.
        work: folder for episodes and runs, which may be large.
        output: folder for what is to be brought back: weights, logs, curves, summary.
        start: folder with weights ``base`` to begin with.
        steps: end each stage after so many updates, if the clock has not ended it before.
    """

    def __init__(
        self,
        data: Path,
        work: Path,
        output: Path,
        config: Config,
        device: torch.device,
        start: Path = weights.FOLDER,
        steps: int = ENDLESS,
    ) -> None:
        self._data, self._work, self._output, self._config = data, work, output, config
        self._device, self._start, self._steps = device, start, steps
        self._updates: dict[str, int] = {}
        output.mkdir(parents=True, exist_ok=True)

    def run(self, jobs: int, on_step: Callable[[str, int, float], None] = lambda stage, step, loss: None) -> Summary:
        """Train by the clock.

        Args:
            on_step: called with stage, update and loss after every update.

        Raises:
            MetaSegmentError: no episodes can be written; damaged checkpoint or weights.
            KeyboardInterrupt: by Ctrl-C or a polite kill, once the checkpoint is written.
        """
        begun, burst = time.monotonic(), self._config.burst
        count = self._config.episodes.count
        training = Order(self._data, False, self._work / _EPISODES, count)
        kept_out = Order(self._data, True, self._work / "held-out", min(burst.kept_out, count))
        with writing([kept_out, training], self._config, jobs) as writers:
            _wait(writers, training.folder, min(burst.together, count))
            waited = time.monotonic() - begun
            shares = {"base": 1 - burst.maml_share, "maml": burst.maml_share}
            resident = Resident(training.folder, self._device)
            for stage, share in shares.items():
                if share > 0:
                    seconds = share * (burst.seconds - waited)
                    settings = self._settings(stage, burst, max(seconds, 1e-3))
                    self._train(settings, resident, kept_out.folder, on_step)
        seconds = time.monotonic() - begun
        return self._summary(seconds, len(list_episodes(training.folder)))

    def _settings(self, stage: str, burst: BurstSettings, seconds: float) -> TrainingSettings:
        own = self._config.training(stage, OBJECTIVES[stage].defaults)
        own = replace(own, steps=self._steps, seconds=seconds, support=burst.support, queries=burst.queries)
        return replace(own, tasks=burst.together, rate=burst.rate) if stage == "base" else own

    def _train(
        self, settings: TrainingSettings, resident: Resident, held_out: Path, on_step: Callable[[str, int, float], None]
    ) -> None:
        stage, run = settings.stage, self._work / settings.stage
        trainer = Trainer(
            self._work / _EPISODES,
            run,
            settings,
            self._first(settings),
            held_out if any(held_out.glob("*.safetensors")) else None,
            device=self._device,
            draws=partial(resident.draws, settings),
            together=stage == "base",
            on_save=lambda: self._bring(stage),
        )
        write_config(run, {f"training.{stage}": settings, "burst": self._config.burst})
        trainer.train(lambda step, loss: on_step(stage, step, loss))
        self._updates[stage] = trainer.step

    def _first(self, settings: TrainingSettings) -> dict[str, Tensor]:
        """Weights that a stage begins with: ``maml`` with what this burst's ``base`` has reached."""
        folder = self._start if settings.stage == "base" else self._work / "base"
        return grown(weights.load("base", folder), weights.load_plan("base", folder), plan_named(settings.plan))

    def _bring(self, stage: str) -> None:
        """Put weights and log of a run where they are looked for."""
        run = self._work / stage
        weights.copy(stage, self._output, run)
        with replacing(self._output / f"{stage}.jsonl") as waiting:
            waiting.write_bytes((run / "log.jsonl").read_bytes())

    def _summary(self, seconds: float, episodes: int) -> Summary:
        lines = {stage: self._lines(stage) for stage in self._updates}
        loss = {stage: some["loss"][-1][1] for stage, some in lines.items() if some.get("loss")}
        dice = {stage: some["held_out_dice"][-1][1] for stage, some in lines.items() if some.get("held_out_dice")}
        plot_curves(lines, self._output / "curves.png")
        gpu = self._device.type == "cuda"
        name = torch.cuda.get_device_name(self._device) if gpu else self._device.type
        found = Summary(name, seconds, self._updates, loss, dice, episodes, segment_seconds(str(self._device)))
        with replacing(self._output / SUMMARY) as waiting:
            waiting.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
        return found

    def _lines(self, stage: str) -> dict[str, list[tuple[int, float]]]:
        """The curves of a stage's log: (update, value) by their names."""
        found: dict[str, list[tuple[int, float]]] = {}
        for text in (self._work / stage / "log.jsonl").read_text(encoding="utf-8").splitlines():
            line: dict[str, Any] = json.loads(text)
            step = int(line.pop("step"))
            for name, value in line.items():
                found.setdefault(name, []).append((step, float(value)))
        return found


def segment_seconds(device: str, times: int = 3) -> float:
    """Median seconds of the default method on 40 slices of 128 × 128, five of them painted, after one to warm up."""
    k, j, i = (np.linspace(-1, 1, n, dtype=np.float32) for n in (40, 128, 128))
    mask = (k[:, None, None] / 0.9) ** 2 + (j[:, None] / 0.55) ** 2 + (i / 0.6) ** 2 < 1
    image = 60 * mask + np.random.default_rng(0).normal(0, 25, mask.shape)
    painted = paint(mask, painted_slices(mask, 5))
    settings = Settings(method=DEFAULT_METHOD, device=device)
    spent = []
    for number in range(1 + times):
        begun = time.perf_counter()
        # Another image each time, so that nothing is found in a cache.
        segment((image + number).astype(np.int16), painted, spacing=(2.0, 1.0, 1.0), settings=settings)
        spent.append(time.perf_counter() - begun)
    return median(spent[1:])


def _wait(writers: Writers, folder: Path, count: int) -> None:
    """Until there are so many episodes to begin with."""
    while len(list(folder.glob("*.safetensors"))) < count:
        if not writers.alive:
            raise MetaSegmentError("No episodes could be written from these data; look for the reason above.")
        time.sleep(_POLL_SECONDS)
