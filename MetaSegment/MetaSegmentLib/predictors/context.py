"""With what predictors run: seed, cache, threads, device, progress and cancel."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

from ..device import Device
from ..networks.weights import Weights
from ..progress import Progress
from .memo import Memo

# Predictors work side by side; more threads than this gain nothing, since parts of their work take turns.
_WORKERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class Context:
    """What a run gives to its predictors.

    Attributes:
        seed: for everything random.
        memo: what need not be computed twice.
        device: where networks run; falls back to the CPU when a GPU's memory does not suffice.
        progress: reports the work, and is polled for a cancel.
        workers: threads that work at the same time.
        weights: of the networks.
    """

    seed: int = 0
    memo: Memo = field(default_factory=Memo)
    device: Device = field(default_factory=Device)
    progress: Progress = field(default_factory=Progress)
    workers: int = 1
    weights: Weights = field(default_factory=Weights)

    def listening(self, progress: Progress) -> Context:
        """The same for a run with another progress."""
        return replace(self, progress=progress)


def product_context(seed: int, device: Device, progress: Progress, weights: Weights) -> Context:
    """As the product runs, with threads."""
    return Context(seed, Memo(), device, progress, _WORKERS, weights)
