"""Test-time adaptation on slices that nobody painted: predictions there are made more decided.

TENT (Wang et al., ICLR 2021): a few steps of Adam on scale and shift of the normalisation layers alone lower the mean
entropy H = −p log p − (1 − p) log(1 − p) of what the network says about unlabelled slices. It is meant for scanners
that training has not met. Pixels that are decided already weigh nothing: far from the structure all are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import softplus

from ...networks.architectures import slice_network
from ...networks.encode import encode
from ...predictors.context import Context
from ...predictors.ensemble import Ensemble
from ...task.task import Task
from .inner_loop import Parameters, split_weights
from .unadapted import FittedNetwork

STEPS = 5
RATE = 1e-3
SEEN = 12
"""At most so many slices are looked at, evenly spread."""
_NORMALISATION = ".adn.N."
_UNDECIDED = 0.05
"""In nats; pixels of less entropy do not count."""


class Tent:
    """The trained network, adapted to the slices that are not painted.

    Args:
        weights: their name.
    """

    def __init__(self, weights: str = "base") -> None:
        self._weights = weights

    def fit(self, task: Task, context: Context) -> FittedNetwork:
        plan = context.weights.load_plan(self._weights)
        start, _ = split_weights(context.weights.load(self._weights))
        ensemble = Ensemble(task, context)
        ensemble.prepare(task.near)
        network, learned = slice_network(plan), start
        if queries := task.queries:
            places = np.linspace(0, len(queries) - 1, min(SEEN, len(queries))).round().astype(int)
            inputs = encode(ensemble, [queries[place] for place in places], plan).array()

            def on(device: torch.device, batch: int) -> Parameters:
                there = {name: value.to(device) for name, value in start.items()}
                network.to(device)
                return self._decide(network, there, torch.from_numpy(inputs).to(device), context)

            learned = context.device.run(on)
        return FittedNetwork(network, learned, ensemble, plan, unseen=start)

    def _decide(self, network: torch.nn.Module, start: Parameters, inputs: Tensor, context: Context) -> Parameters:
        free = {name: value.detach().clone().requires_grad_() for name, value in start.items() if adapts(name)}
        optimiser = torch.optim.Adam(list(free.values()), lr=RATE)
        for _ in context.progress.steps("adapting", range(STEPS)):
            optimiser.zero_grad()
            undecided(functional_call(network, {**start, **free}, (inputs,))).backward()
            optimiser.step()
        return {**start, **{name: value.detach() for name, value in free.items()}}


def adapts(name: str) -> bool:
    """Whether a parameter is scale or shift of a normalisation."""
    return _NORMALISATION in name


def entropy(logits: Tensor) -> Tensor:
    """H of σ(logits), in nats, pixel by pixel."""
    return softplus(logits) - logits * torch.sigmoid(logits)


def undecided(logits: Tensor) -> Tensor:
    """Mean entropy of the pixels that are not decided; 0 where all are."""
    each = entropy(logits)
    counts = (each.detach() > _UNDECIDED).to(each)
    return (each * counts).sum() / counts.sum().clamp_min(1)
