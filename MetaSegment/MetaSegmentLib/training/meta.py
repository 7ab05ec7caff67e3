"""Meta-training: episodes in, weights out.

All stages share one loop; what each minimises stands in ``objectives.py``.
A checkpoint holds everything that a restart needs and is written beside its place and renamed.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .. import weights
from ..errors import InputError
from ..methods.gradient import split_weights
from ..networks import SliceNetwork
from .augment import augment
from .episodes import read_episode
from .objectives import OBJECTIVES, Drawn

_SAVE_EVERY_S = 60.0


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Args:
        stage: a name of OBJECTIVES.
        steps: updates; the learning rate falls to zero over them along a cosine.
        tasks: episodes an update.
        support, queries: slices of each kind taken from an episode for an update.
        rate: highest learning rate.
        decay: of the running average of the weights that is kept as the result.
    """

    stage: str = "base"
    steps: int = 4000
    tasks: int = 2
    support: int = 3
    queries: int = 4
    rate: float = 2e-3
    decay: float = 0.998
    seed: int = 0


class Trainer:
    """Trains on a folder of episodes, from its last checkpoint if there is one.

    Args:
        episodes: folder of episode files; files that appear later are used as well.
        run: folder for ``state.safetensors`` (checkpoint), ``log.jsonl`` and, at the end, the weights.
        start: weights to begin with.
    """

    def __init__(
        self, episodes: Path, run: Path, settings: TrainingSettings, start: dict[str, Tensor] | None = None
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self._episodes = episodes
        self._run = run
        self._files: list[Path] = []
        self._random = torch.Generator().manual_seed(settings.seed)
        self.network = SliceNetwork()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # 30 % faster on a CPU
        self._objective = OBJECTIVES[settings.stage]
        self._own = self._objective.loss.own(self.network)
        if start is not None:
            parameters, _ = split_weights(start)
            self.network.load_state_dict(parameters)
        self._groups = [
            {"params": list(self.network.parameters()), "base": settings.rate},
            {
                "params": list(self._own.values()),
                "base": settings.rate * self._objective.own_rate,
                "weight_decay": 0.0,
            },
        ]
        self._optimiser = torch.optim.AdamW(
            [g for g in self._groups if g["params"]], lr=settings.rate, weight_decay=1e-4
        )
        self._average = {name: value.detach().clone() for name, value in self._trained().items()}
        self.step = 0
        run.mkdir(parents=True, exist_ok=True)
        if (run / "state.safetensors").exists():
            self._restore()

    def train(self, told: Callable[[int, float], None] = lambda step, loss: None) -> dict[str, Tensor]:
        """Train to the end; ``told(step, loss)`` after every update. Returns the averaged weights."""
        saved = time.monotonic()
        running = 0.0
        with (self._run / "log.jsonl").open("a") as log:
            while self.step < self.settings.steps:
                loss = self.advance()
                running = loss if running == 0.0 else 0.98 * running + 0.02 * loss
                if self.step % 50 == 0:
                    log.write(json.dumps({"step": self.step, "loss": round(running, 4)}) + "\n")
                    log.flush()
                told(self.step, running)
                if time.monotonic() - saved > _SAVE_EVERY_S:
                    self.save()
                    saved = time.monotonic()
        self.save()
        return dict(self._average)

    def _trained(self) -> dict[str, Tensor]:
        return {**dict(self.network.named_parameters()), **self._own}

    def advance(self) -> float:
        """One update; returns its loss."""
        progress = self.step / self.settings.steps
        warm = min(1.0, (self.step + 1) / 100)
        for group in self._optimiser.param_groups:
            group["lr"] = group["base"] * warm * 0.5 * (1 + math.cos(math.pi * progress))
        self._optimiser.zero_grad()
        total = 0.0
        for _ in range(self.settings.tasks):
            share = 1 / self.settings.tasks
            total += share * self._objective.loss.backward(self.network, self._own, self._draw(), share)
        torch.nn.utils.clip_grad_norm_(list(self._trained().values()), 3.0)
        self._optimiser.step()
        decay = min(self.settings.decay, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for name, value in self._trained().items():
                self._average[name].lerp_(value, 1 - decay)
        self.step += 1
        return total

    def _draw(self) -> Drawn:
        """Some painted and query slices of a random episode, augmented."""
        if self.step % 100 == 0 or not self._files:
            self._files = sorted(self._episodes.glob("*.safetensors"))
            if not self._files:
                raise InputError("There are no episodes to train on; make them first with: metasegment train episodes.")
        path = self._files[int(torch.randint(len(self._files), (), generator=self._random))]
        episode = read_episode(path)
        support = torch.randperm(len(episode.support), generator=self._random)[: self.settings.support]
        query = torch.randperm(len(episode.query), generator=self._random)[: self.settings.queries]
        inputs = torch.cat([torch.from_numpy(episode.support)[support], torch.from_numpy(episode.query)[query]]).float()
        truth = torch.cat(
            [torch.from_numpy(episode.support_truth)[support], torch.from_numpy(episode.query_truth)[query]]
        )
        inputs, truth = augment(inputs, truth.float(), self._random)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        n = len(support)
        return Drawn(inputs[:n], truth[:n], inputs[n:], truth[n:])

    def save(self) -> None:
        """Write the checkpoint and the averaged weights."""
        tensors = {f"model/{n}": v.detach().contiguous() for n, v in self._trained().items()}
        tensors |= {f"average/{n}": v.contiguous() for n, v in self._average.items()}
        for number, state in self._optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{number}/{key}": value.contiguous() for key, value in state.items()}
        tensors["random"] = self._random.get_state()
        about = {"step": str(self.step), "settings": json.dumps(asdict(self.settings))}
        temporary = self._run / "state.part"
        save_file(tensors, temporary, metadata=about)
        os.replace(temporary, self._run / "state.safetensors")
        weights.store(self.settings.stage, self._average, self._run)

    def _restore(self) -> None:
        from safetensors import safe_open

        path = self._run / "state.safetensors"
        tensors = load_file(path)
        with safe_open(path, "pt") as file:
            self.step = int(file.metadata()["step"])
        with torch.no_grad():
            for name, value in self._trained().items():
                value.copy_(tensors[f"model/{name}"])
                self._average[name] = tensors[f"average/{name}"]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimiser/"):
                _, number, part = key.split("/")
                state.setdefault(int(number), {})[part] = value
        self._optimiser.load_state_dict({"state": state, "param_groups": self._optimiser.state_dict()["param_groups"]})
        self._random.set_state(tensors["random"])
