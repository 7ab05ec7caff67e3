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
from .direct import AdaptedNetwork
from .gradient import STEPS, Parameters, inner_loop, split_weights


class Maml:
    """Adapts meta-learned weights to the painted slices; with a single one there is nothing to adapt on."""

    weights = "maml"
    steps = STEPS

    def adapt(self, episode: Episode, tools: Tools) -> AdaptedMaml:
        network = SliceNetwork()
        start, rates = split_weights(tools.weights(self.weights))
        evidence = episode.left_out()
        adapted = start
        if len(evidence.slices):
            truth = np.stack([episode.region.mask(i) for i in evidence.slices]).astype(np.float32)
            adapted = _adapt(network, start, rates, evidence.inputs, truth, self.steps, tools)
        return AdaptedMaml(network, start, adapted, episode, tools)


class AdaptedMaml(AdaptedNetwork):
    """Predicts with the adapted weights, and painted slices with the unadapted ones, which never saw them."""

    def __init__(
        self, network: nn.Module, start: Parameters, adapted: Parameters, episode: Episode, tools: Tools
    ) -> None:
        super().__init__(network, adapted, episode, tools)
        self._before = AdaptedNetwork(network, start, episode, tools)

    def left_out(self) -> Stack | None:
        return self._before.left_out()


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
