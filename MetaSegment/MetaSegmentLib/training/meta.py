"""Meta-training: episodes in, weights out.

Two stages share one loop. ``base`` trains the network to predict queries directly, through its head and through
prototypes (episodic training of prototypical networks). ``maml`` goes on from there and trains weights and step sizes
so that a few gradient steps on the painted slices lower the loss on the queries (second order by default).
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
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.func import functional_call

from .. import weights
from ..errors import InputError
from ..methods.gradient import RATE_PREFIX, first_rates, inner_loop, split_weights
from ..methods.prototypes import PrototypeSettings, prototype_logits
from ..networks import SliceNetwork, mixed_experts, segmentation_loss
from .augment import augment
from .episodes import read_episode

Stage = Literal["base", "maml"]
_SAVE_EVERY_S = 60.0


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Args:
        stage: ``base`` or ``maml``; the latter starts from the stored weights ``base``.
        steps: updates; the learning rate falls to zero over them along a cosine.
        tasks: episodes an update.
        support, queries: slices of each kind taken from an episode for an update.
        rate: highest learning rate.
        inner_steps: gradient steps on the painted slices (``maml``).
        first_order: leave out second derivatives (FOMAML).
        decay: of the running average of the weights that is kept as the result.
    """

    stage: Stage = "base"
    steps: int = 4000
    tasks: int = 2
    support: int = 3
    queries: int = 4
    rate: float = 2e-3
    inner_steps: int = 2
    first_order: bool = False
    decay: float = 0.998
    seed: int = 0


MAML: dict[str, Any] = {"steps": 1500, "tasks": 1, "support": 4, "queries": 5, "rate": 3e-4}
"""What differs by default for the stage ``maml``."""


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
        self._rates = first_rates(self.network) if settings.stage == "maml" else {}
        if start is not None:
            parameters, _ = split_weights(start)
            self.network.load_state_dict(parameters)
        self._groups = [
            {"params": list(self.network.parameters()), "base": settings.rate},
            {"params": list(self._rates.values()), "base": settings.rate * 10, "weight_decay": 0.0},
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
        return {**dict(self.network.named_parameters()), **{RATE_PREFIX + n: r for n, r in self._rates.items()}}

    def advance(self) -> float:
        """One update; returns its loss."""
        progress = self.step / self.settings.steps
        warm = min(1.0, (self.step + 1) / 100)
        for group in self._optimiser.param_groups:
            group["lr"] = group["base"] * warm * 0.5 * (1 + math.cos(math.pi * progress))
        self._optimiser.zero_grad()
        total = 0.0
        for _ in range(self.settings.tasks):
            task_loss = self._maml_loss if self.settings.stage == "maml" else self._base_loss
            loss = task_loss(*self._draw()) / self.settings.tasks
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(list(self._trained().values()), 3.0)
        self._optimiser.step()
        decay = min(self.settings.decay, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for name, value in self._trained().items():
                self._average[name].lerp_(value, 1 - decay)
        self.step += 1
        return total

    def _draw(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Support inputs and truth, query inputs and truth of a random episode, augmented."""
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
        return inputs[:n], truth[:n], inputs[n:], truth[n:]

    def _base_loss(self, support: Tensor, support_truth: Tensor, query: Tensor, query_truth: Tensor) -> Tensor:
        inputs = torch.cat([support, query])
        features = self.network.embed(inputs)
        logits = self.network.decide(inputs, features)
        n = len(support)
        direct = segmentation_loss(logits[n:], query_truth) + 0.3 * segmentation_loss(logits[:n], support_truth)
        if support_truth.sum() < 1:
            return direct
        sharpness = self.network.sharpness.exp()
        likelihood = prototype_logits(features[:n], support_truth, features[n:], PrototypeSettings(), sharpness)
        compared = likelihood + mixed_experts(inputs[n:], self.network.prior)
        return direct + 0.5 * segmentation_loss(compared, query_truth)

    def _maml_loss(self, support: Tensor, support_truth: Tensor, query: Tensor, query_truth: Tensor) -> Tensor:
        parameters = dict(self.network.named_parameters())
        rates = {name: rate.exp() for name, rate in self._rates.items()}
        adapted = inner_loop(
            self.network,
            parameters,
            rates,
            support,
            support_truth,
            self.settings.inner_steps,
            self.settings.first_order,
        )
        return segmentation_loss(functional_call(self.network, adapted, (query,)), query_truth)

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
