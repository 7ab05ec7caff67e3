"""A burst: weights from a pack in a few minutes of one machine, by the clock.

All cores write episodes from the first second; meanwhile the network that attends to all painted slices is trained on
those that are there, many episodes an update. Checkpoint and weights are written each minute, so that a machine that is
taken away takes no more than that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
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
from .config import Config, write_config
from .curves import plot_curves
from .drawing import list_episodes
from .meta import Trainer
from .resident import Resident
from .writers import Order, Writers, writing

SUMMARY = "summary.json"
ENDLESS = 10_000_000
"""Updates that no burst reaches: the clock ends it."""
STAGE = "context"
_POLL_SECONDS = 0.2
_EPISODES = "episodes"


@dataclass(frozen=True)
class Summary:
    """What a burst did.

    Attributes:
        seconds: from the start to the end of training.
        dice: of the held-out episodes at the end; None without any.
        episodes: how many were written.
        segment_seconds: of the default method on 40 slices of 128 × 128, five of them painted.
    """

    device: str
    seconds: float
    updates: int
    loss: float
    dice: float | None
    episodes: int
    segment_seconds: float

    def __str__(self) -> str:
        dice = "" if self.dice is None else f", held-out Dice {self.dice:.3f}"
        learned = f"{self.updates} updates, loss {self.loss:.3f}{dice}; {self.episodes} episodes"
        return f"{learned}; {self.seconds:.0f} s on {self.device}; segment {self.segment_seconds:.2f} s"


class Burst:
    """One burst; with the same folders it goes on where it was.

    Args:
        data: folder of data sets.
        work: folder for episodes and runs, which may be large.
        output: folder for what is to be brought back: weights, logs, curves, summary.
        start: folder with weights ``context`` or ``base`` to begin with.
        steps: end after so many updates, if the clock has not ended it before.
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
        output.mkdir(parents=True, exist_ok=True)

    def run(self, jobs: int, on_step: Callable[[int, float], None] = lambda step, loss: None) -> Summary:
        """Train by the clock.

        Args:
            on_step: called with update and loss after every update.

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
            left = burst.seconds - (time.monotonic() - begun)
            updates = self._train(max(left, 1e-3), training.folder, kept_out.folder, on_step)
        seconds = time.monotonic() - begun
        return self._summary(seconds, updates, len(list_episodes(training.folder)))

    def _train(self, seconds: float, episodes: Path, held_out: Path, on_step: Callable[[int, float], None]) -> int:
        """Train for so many seconds; returns the number of updates."""
        burst, run = self._config.burst, self._work / STAGE
        settings = replace(
            self._config.training(STAGE),
            plan=burst.plan,
            steps=self._steps,
            seconds=seconds,
            tasks=burst.together,
            queries=burst.queries,
            rate=burst.rate,
        )
        resident = Resident(episodes, self._device)
        trainer = Trainer(
            episodes,
            run,
            settings,
            self._first(settings.plan),
            held_out if any(held_out.glob("*.safetensors")) else None,
            device=self._device,
            draws=partial(resident.draws, settings),
            together=True,
            on_save=self._bring,
        )
        write_config(run, {f"training.{STAGE}": settings, "burst": burst})
        trainer.train(on_step)
        return trainer.step

    def _first(self, plan: str) -> dict[str, Tensor]:
        name = STAGE if (self._start / f"{STAGE}.safetensors").is_file() else "base"
        return grown(weights.load(name, self._start), weights.load_plan(name, self._start), plan_named(plan))

    def _bring(self) -> None:
        """Put weights and log where they are looked for."""
        run = self._work / STAGE
        weights.copy(STAGE, self._output, run)
        with replacing(self._output / f"{STAGE}.jsonl") as waiting:
            waiting.write_bytes((run / "log.jsonl").read_bytes())

    def _summary(self, seconds: float, updates: int, episodes: int) -> Summary:
        lines = self._lines()
        plot_curves(lines, self._output / "curves.png")
        gpu = self._device.type == "cuda"
        name = torch.cuda.get_device_name(self._device) if gpu else self._device.type
        dice = lines["held_out_dice"][-1][1] if "held_out_dice" in lines else None
        spent = segment_seconds(str(self._device), times=4 if gpu else 1)
        found = Summary(name, seconds, updates, lines["loss"][-1][1], dice, episodes, spent)
        with replacing(self._output / SUMMARY) as waiting:
            waiting.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
        return found

    def _lines(self) -> dict[str, list[tuple[int, float]]]:
        """The curves of the log: (update, value) by their names."""
        found: dict[str, list[tuple[int, float]]] = {}
        for text in (self._work / STAGE / "log.jsonl").read_text(encoding="utf-8").splitlines():
            line: dict[str, Any] = json.loads(text)
            step = int(line.pop("step"))
            for name, value in line.items():
                found.setdefault(name, []).append((step, float(value)))
        return found


def segment_seconds(device: str, times: int) -> float:
    """Median seconds of the default method on 40 slices of 128 × 128, five of them painted; of several times the first
    one, which warms up, does not count."""
    k, j, i = (np.linspace(-1, 1, n, dtype=np.float32) for n in (40, 128, 128))
    mask = (k[:, None, None] / 0.9) ** 2 + (j[:, None] / 0.55) ** 2 + (i / 0.6) ** 2 < 1
    image = 60 * mask + np.random.default_rng(0).normal(0, 25, mask.shape)
    painted = paint(mask, painted_slices(mask, 5))
    settings = Settings(method=DEFAULT_METHOD, device=device)
    spent = []
    for number in range(times):
        begun = time.perf_counter()
        # Another image each time, so that nothing is found in a cache.
        segment((image + number).astype(np.int16), painted, spacing=(2.0, 1.0, 1.0), settings=settings)
        spent.append(time.perf_counter() - begun)
    return median(spent[1:] or spent)


def _wait(writers: Writers, folder: Path, count: int) -> None:
    """Until there are so many episodes to begin with."""
    while len(list(folder.glob("*.safetensors"))) < count:
        if not writers.alive:
            raise MetaSegmentError("No episodes could be written from these data; look for the reason above.")
        time.sleep(_POLL_SECONDS)
