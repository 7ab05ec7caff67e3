"""Meta-training: episodes in, weights out.

All stages share one loop; what each minimises stands in ``objectives.py``. A run can be stopped at any time, by a kill
as well, and goes on to the weights that it would have reached unbroken.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, SettingsError
from ..methods.gradient.inner_loop import split_weights
from ..networks import weights
from ..networks.architectures import slice_network
from ..networks.plan import plan_named
from ..version import __version__
from .checkpoint import Checkpoint
from .config import TrainingSettings
from .distributed import Ranks
from .drawing import number_seed, quickest_layout, stream
from .journal import Journal
from .objectives import OBJECTIVES, Batch
from .validation import validate

_LOG_EVERY = 50
_WARM_UP = 100
_LARGEST_GRADIENT = 3.0


class Trainer:
    """Trains on a folder of episodes, from its last checkpoint if there is one.

    Args:
        episodes: folder of episode files; files that appear later are used as well.
        run: folder for the checkpoint, ``log.jsonl``, TensorBoard's curves and the weights (the best in ``best/``).
        start: weights to begin with, of the network and, where they are there, of what else the stage learns.
        held_out: folder of episodes to validate on.
        ranks, device: see :func:`~.distributed.joined`.
        draws: numbers and episodes from an update on; by default :func:`~.drawing.stream` reads them.
        together: compute the episodes of an update at once, where the stage can.
        on_save: called when a checkpoint and the weights have been written.
        clock: seconds.

    Raises:
        InputError: a damaged checkpoint, or one of another stage.
        SettingsError: no such precision.
    """

    def __init__(
        self,
        episodes: Path,
        run: Path,
        settings: TrainingSettings,
        start: dict[str, Tensor] | None = None,
        held_out: Path | None = None,
        ranks: Ranks | None = None,
        device: torch.device | None = None,
        draws: Callable[[int], Iterator[tuple[int, Batch]]] | None = None,
        together: bool = False,
        on_save: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.step = 0
        self._episodes, self._run, self._held_out = episodes, run, held_out
        self._ranks, self._device = ranks or Ranks(), device or torch.device("cpu")
        self._half = _half_precision(settings.precision, self._device)
        self._objective = OBJECTIVES[settings.stage]
        self.network = slice_network(plan_named(settings.plan))
        self._plan = replace(self.network.plan, commit=__version__)
        if start is not None:
            self.network.load_state_dict(split_weights(start)[0])
        self._start = {name: value.detach().clone() for name, value in self.network.named_parameters()}
        own = self._objective.loss.extra_parameters(self.network)
        own = {name: (start or {}).get(name, value) for name, value in own.items()}
        self._own = {name: value.detach().to(self._device).requires_grad_() for name, value in own.items()}
        layout = quickest_layout(self._device, settings.precision)
        self.network.to(self._device, memory_format=layout)  # type: ignore[call-overload]
        groups: list[dict[str, Any]] = [{"params": list(self.network.parameters()), "base": settings.rate}]
        if own:
            rate = settings.rate * self._objective.own_rate
            groups.append({"params": list(self._own.values()), "base": rate, "weight_decay": 0.0})
        self._optimiser = torch.optim.AdamW(groups, lr=settings.rate, weight_decay=1e-4)
        self._average = {name: value.detach().clone() for name, value in self._trained().items()}
        self._loss, self._best = 0.0, -math.inf
        self._draws: Iterator[tuple[int, Batch]] | None = None
        self._draw = draws or (lambda step: stream(episodes, settings, self._ranks, step, self._device))
        self._together, self._on_save = together, on_save
        self._clock, self._earlier = clock, 0.0
        self._stop = False
        run.mkdir(parents=True, exist_ok=True)
        self._restore()
        self._since = clock()
        self._ranks.agree([*self._trained().values(), *self._average.values()])

    def train(self, on_step: Callable[[int, float], None] = lambda step, loss: None) -> dict[str, Tensor]:
        """Train to the end; ``on_step(step, loss)`` after every update. Returns the averaged weights.

        Raises:
            KeyboardInterrupt: by Ctrl-C or a polite kill, once the checkpoint is written.
        """
        if not self._ranks.first:
            with self._stoppable():
                self._train(on_step, None)
        else:
            with Journal(self._run, self.step) as journal, self._stoppable():
                self._train(on_step, journal)
        if self._stop:
            raise KeyboardInterrupt
        return dict(self._average)

    def advance(self) -> float:
        """One update; returns its loss."""
        settings = self.settings
        if self._draws is None:
            self._draws = self._draw(self.step)
        warm = min(1.0, (self.step + 1) / _WARM_UP)
        for group in self._optimiser.param_groups:
            group["lr"] = group["base"] * warm * 0.5 * (1 + math.cos(math.pi * self.done))
        self._optimiser.zero_grad()
        found = self._backward_together(self._draws) if self._together else self._backward(self._draws)
        parameters = list(self._trained().values())
        total, self._stop = self._ranks.average(parameters, found, self._stop)
        self._pull_back()
        torch.nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT)
        self._optimiser.step()
        decay = min(settings.decay, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for name, value in self._trained().items():
                self._average[name].lerp_(value, 1 - decay)
        self.step += 1
        self._loss = total if self.step == 1 else 0.98 * self._loss + 0.02 * total
        return total

    def _pull_back(self) -> None:
        """Add the gradient of ½ λ |θ − θ₀|² (L²-SP, Li et al., ICML 2018)."""
        if not self.settings.anchor:
            return
        for name, value in self.network.named_parameters():
            if value.grad is not None:
                value.grad += self.settings.anchor * (value.detach() - self._start[name].to(value.device))

    @property
    def done(self) -> float:
        """Share of the run that is behind, by its updates or by the clock, whichever is further."""
        settings = self.settings
        spent = self._elapsed() / settings.seconds if settings.seconds else 0.0
        return min(1.0, max(spent, self.step / settings.steps if settings.steps else 1.0))

    def _elapsed(self) -> float:
        """Seconds of training, those before the last checkpoint of an earlier start included."""
        return self._earlier + self._clock() - self._since

    def _backward(self, draws: Iterator[tuple[int, Batch]]) -> float:
        """Gradients of one episode after the other; returns the mean loss."""
        settings, total = self.settings, 0.0
        for _ in range(settings.tasks):
            number, batch = next(draws)
            torch.manual_seed(number_seed(settings.seed, number))
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                total += self._objective.loss.backward(self.network, self._own, batch, 1 / settings.tasks)
        return total / settings.tasks

    def _backward_together(self, draws: Iterator[tuple[int, Batch]]) -> float:
        drawn = [next(draws) for _ in range(self.settings.tasks)]
        torch.manual_seed(number_seed(self.settings.seed, drawn[0][0]))
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            batches = [batch for _, batch in drawn]
            return self._objective.loss.backward_together(self.network, self._own, batches)

    def save(self) -> None:
        """Write the checkpoint and the averaged weights; only the first process does."""
        if not self._ranks.first:
            return
        about = {"step": self.step, "loss": self._loss, "best": self._best, "settings": asdict(self.settings)}
        about["elapsed"] = self._elapsed()
        state = self._optimiser.state_dict()["state"]
        Checkpoint(self._trained(), self._average, state, about).write(self._run)
        weights.store(self.settings.stage, self._average, self._plan, self._run)
        self._on_save()

    def _train(self, on_step: Callable[[int, float], None], journal: Journal | None) -> None:
        saved = time.monotonic()
        last = self.done >= 1
        while not last and not self._stop:
            self.advance()
            on_step(self.step, self._loss)
            last = self.done >= 1
            if journal is None:
                continue
            if self.step % _LOG_EVERY == 0 or last:
                journal.write(self.step, loss=self._loss, rate=self._optimiser.param_groups[0]["lr"])
            if self._held_out and (self.step % self.settings.validate_every == 0 or last):
                self._validate(self._held_out, journal)
            if time.monotonic() - saved > self.settings.save_every:
                self.save()
                saved = time.monotonic()
        self.save()

    def _validate(self, held_out: Path, journal: Journal) -> None:
        """Log how the averaged weights do on held-out episodes, and keep the best of them."""
        found = validate(held_out, self._objective, self.network, self._average, self.settings)
        journal.write(self.step, **{f"held_out_{name}": value for name, value in found.items()})
        if found["dice"] > self._best:
            self._best = found["dice"]
            (self._run / "best").mkdir(exist_ok=True)
            weights.store(self.settings.stage, self._average, self._plan, self._run / "best")

    def _trained(self) -> dict[str, Tensor]:
        return {**dict(self.network.named_parameters()), **self._own}

    def _restore(self) -> None:
        state = Checkpoint.read(self._run)
        if state is None:
            return
        if set(state.model) != set(self._trained()):
            raise InputError("The folder of this run holds one of another stage; choose another --output.")
        with torch.no_grad():
            for name, value in self._trained().items():
                value.copy_(state.model[name])
                self._average[name].copy_(state.average[name])
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": state.optimiser, "param_groups": groups})
        self.step = int(state.about["step"])
        self._loss, self._best = state.about.get("loss", 0.0), state.about.get("best", -math.inf)
        self._earlier = float(state.about.get("elapsed", 0.0))

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Let Ctrl-C and a polite kill end the run between two updates; a second one ends it at once."""

        def stop(number: int, frame: Any) -> None:
            # torchrun passes on one Ctrl-C twice.
            if self._stop and self._ranks.count == 1:
                raise KeyboardInterrupt
            self._stop = True

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _half_precision(precision: str, device: torch.device) -> bool:
    if precision not in ("auto", "float32", "bf16"):
        raise SettingsError(f"There is no precision '{precision}'; choose auto, float32 or bf16.")
    return precision == "bf16" or (precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported())
