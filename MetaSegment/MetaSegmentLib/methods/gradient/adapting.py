"""Learning from painted slices by gradient: what all such methods share around their loop of steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ...networks.architectures import EMBEDDING, SliceNetwork
from ...networks.context import Tools
from ...networks.device import within_memory
from ...networks.encode import CHANNELS, lies_inside
from ...networks.episode import Episode
from ...task.frame import Stack
from .direct import AdaptedNetwork
from .inner_loop import Parameters

Learn = Callable[[nn.Module, Parameters, Tensor, Tensor], Parameters]
"""(network, parameters, inputs (S, C, H, W), truth (S, H, W)) → the parameters learned from painted slices."""


class HeadOnly(SliceNetwork):
    """The network after its embedding, so that many steps on HEAD need the features of a slice only once."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, channels + EMBEDDING, H, W), inputs and their features, → (N, H, W) logits."""
        return self.decide(*inputs.split([len(CHANNELS), EMBEDDING], dim=1))


class Embedding(nn.Module):
    """The network up to its features."""

    def __init__(self, network: SliceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network.embed(inputs)


def learn_from_paint(
    episode: Episode, tools: Tools, start: Parameters, learn: Learn, head_only: bool = False
) -> Parameters:
    """Run ``learn`` on the inner painted slices, on the device of ``tools``, falling back to the CPU.

    With fewer than three painted slices there is nothing between others, and ``start`` is returned.

    Args:
        start: all parameters of a SliceNetwork.
        head_only: learn parameters of HEAD, on features that are computed once.
    """
    evidence = episode.left_out()
    inside = lies_inside(evidence.inputs)
    if not inside.any():
        return dict(start)
    inputs = evidence.inputs[inside]
    truth = np.stack([episode.region.mask(i) for i in evidence.slices]).astype(np.float32)[inside]
    network = SliceNetwork()
    if head_only:
        features = embed(tools, start, inputs)
        inputs, network = np.concatenate([inputs, features], axis=1), HeadOnly()

    def on(device: torch.device, batch: int) -> Parameters:
        there = {name: value.to(device) for name, value in start.items()}
        shown = torch.from_numpy(inputs).to(device).contiguous(memory_format=torch.channels_last)
        learned = learn(network.to(device), there, shown, torch.from_numpy(truth).to(device))
        return {name: value.detach() for name, value in learned.items()}

    # A loop of steps needs all painted slices at once, so there is no batch to halve: straight to the CPU.
    learned, tools.device, _ = within_memory(on, tools.device, batch=1)
    return learned


def embed(tools: Tools, parameters: Parameters, inputs: Stack) -> Stack:
    """(N, EMBEDDING, H, W) features of inputs (N, channels, H, W)."""
    named = {f"network.{name}": value for name, value in parameters.items()}
    return tools.run(Embedding(SliceNetwork()), named, list(inputs), "adapting")


class AdaptedWeights(AdaptedNetwork):
    """Predicts with learned weights, and painted slices with those it started from, which never saw them.

    Where ``start`` is None there is nothing to start from, and the learned weights answer for painted slices too.
    """

    def __init__(
        self,
        start: Parameters | None,
        learned: Parameters,
        episode: Episode,
        tools: Tools,
        before: AdaptedWeights | None = None,
    ) -> None:
        network = SliceNetwork()
        super().__init__(network, learned, episode, tools, before)
        earlier = before._unadapted if before else None
        self._unadapted: AdaptedNetwork = AdaptedNetwork(network, start or learned, episode, tools, earlier)

    def left_out(self) -> Stack | None:
        return self._unadapted.left_out()
