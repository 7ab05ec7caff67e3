"""MAML as a method: the inner loop on the painted slices; see ``gradient.py`` for the formulas."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ..device import within_memory
from ..episode import Episode
from ..networks import SliceNetwork
from ..region import Stack
from ..runtime import Tools
from . import AdaptedMethod
from .direct import AdaptedNetwork
from .gradient import STEPS, Parameters, inner_loop, split_weights


class Maml:
    """Adapts meta-learned weights to the painted slices; with a single one there is nothing to adapt on.

    After more slices were painted it goes on from the weights it had, by a single step.
    """

    weights = "maml"
    steps = STEPS

    def adapt(self, episode: Episode, tools: Tools, before: AdaptedMethod | None = None) -> AdaptedMaml:
        episode.prepare()
        known = before if isinstance(before, AdaptedMaml) else None
        network = SliceNetwork()
        learned, rates = split_weights(tools.weights(self.weights))
        evidence = episode.left_out()
        adapted = dict(known.parameters) if known else learned
        if evidence.slices:
            truth = np.stack([episode.region.mask(i) for i in evidence.slices]).astype(np.float32)
            steps = 1 if known else self.steps
            adapted = _adapt(network, adapted, rates, evidence.inputs, truth, steps, tools)
        return AdaptedMaml(network, learned, adapted, episode, tools, known)


class AdaptedMaml(AdaptedNetwork):
    """Predicts with the adapted weights, and painted slices with the unadapted ones, which never saw them."""

    def __init__(
        self,
        network: nn.Module,
        learned: Parameters,
        adapted: Parameters,
        episode: Episode,
        tools: Tools,
        before: AdaptedMaml | None = None,
    ) -> None:
        super().__init__(network, adapted, episode, tools, before)
        earlier = before._unadapted if before else None
        self._unadapted: AdaptedNetwork = AdaptedNetwork(network, learned, episode, tools, earlier)

    def left_out(self) -> Stack | None:
        return self._unadapted.left_out()


def _adapt(
    network: nn.Module, start: Parameters, rates: Parameters, inputs: Stack, truth: Stack, steps: int, tools: Tools
) -> Parameters:
    def on(device: torch.device, batch: int) -> Parameters:
        there = {name: value.to(device).requires_grad_(name in rates) for name, value in start.items()}
        speed = {name: value.to(device) for name, value in rates.items()}
        images = torch.from_numpy(inputs).to(device).contiguous(memory_format=torch.channels_last)
        outlines = torch.from_numpy(truth).to(device)
        network.to(device)
        for _ in tools.progress.steps("adapting", range(steps)):
            there = inner_loop(network, there, speed, images, outlines, 1, True, tools.progress.check)
            there = {name: value.detach().requires_grad_(name in rates) for name, value in there.items()}
        return {name: value.detach() for name, value in there.items()}

    # The inner loop needs all painted slices at once, so there is no batch to halve: straight to the CPU.
    adapted, tools.device, _ = within_memory(on, tools.device, batch=1)
    return adapted
