"""Learning from painted slices by gradient: what all such methods share around their loop of steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ...networks.architectures import slice_network
from ...networks.encode import encode_left_out, truth_of
from ...networks.plan import Plan
from ...networks.run import run_network
from ...networks.slice_unet import SliceNetwork
from ...predictors.context import Context
from ...predictors.ensemble import Ensemble
from ...task.frame import Stack
from .inner_loop import Parameters

Learn = Callable[[nn.Module, Parameters, Tensor, Tensor], Parameters]
"""(network, parameters, inputs (S, C, H, W), truth (S, H, W)) → the parameters learned from painted slices."""


class HeadOnly(SliceNetwork):
    """The network after its embedding, so that many steps on HEAD need the features of a slice only once."""

    def build(self, plan: Plan) -> None:
        """Nothing: the features are given."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, channels + embedding, H, W), inputs and their features, → (N, H, W) logits."""
        return self.decide(*inputs.split([self.channels, self.embedding], dim=1))


class Embedding(nn.Module):
    """The network up to its features."""

    def __init__(self, network: SliceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network.embed(inputs)


def learn_from_paint(
    ensemble: Ensemble, plan: Plan, start: Parameters, learn: Learn, head_only: bool = False
) -> Parameters:
    """Run ``learn`` on the inner painted slices, each predicted from the others, falling back to the CPU.

    With fewer than three painted slices there is nothing between others, and ``start`` is returned.

    Args:
        start: all parameters of the plan's network.
        head_only: learn parameters of HEAD, on features that are computed once.
    """
    task, context = ensemble.task, ensemble.context
    encoded = encode_left_out(ensemble, plan, task.structure.inner)
    if not len(encoded):
        return dict(start)
    inputs, truth = encoded.array(), truth_of(task, encoded.slices)
    network = slice_network(plan)
    if head_only:
        features = embed(plan, start, inputs, context)
        inputs, network = np.concatenate([inputs, features], axis=1), HeadOnly(plan)

    def on(device: torch.device, batch: int) -> Parameters:
        there = {name: start[name].to(device) for name, _ in network.named_parameters()}
        shown = torch.from_numpy(inputs).to(device).contiguous(memory_format=torch.channels_last)
        learned = learn(network.to(device), there, shown, torch.from_numpy(truth).to(device))
        return {**start, **{name: value.detach() for name, value in learned.items()}}

    # A loop of steps needs all painted slices at once: halving the batch does not help, the CPU does.
    return context.device.run(on)


def embed(plan: Plan, parameters: Parameters, inputs: Stack, context: Context) -> Stack:
    """(N, embedding, H, W) features of inputs (N, channels, H, W)."""
    named = {f"network.{name}": value for name, value in parameters.items()}
    return run_network(Embedding(slice_network(plan)), named, list(inputs), "adapting", context)
