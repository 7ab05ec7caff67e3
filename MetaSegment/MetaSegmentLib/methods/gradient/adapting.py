"""Learning from painted slices by gradient: what all such methods share around their loop of steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


Slices = tuple[Stack, Stack]
"""Inputs (N, channels, H, W) and truth (N, H, W)."""
LearnTogether = Callable[[nn.Module, Parameters, Tensor, Tensor, Sequence[int]], Parameters]
"""The same, with how many of the slices are of which structure."""


def learn_from_paint(
    ensemble: Ensemble,
    plan: Plan,
    start: Parameters,
    learn: Learn,
    head_only: bool = False,
    more: Slices | None = None,
) -> Parameters:
    """Run ``learn`` on the inner painted slices, each predicted from the others, falling back to the CPU.

    With fewer than three painted slices there is nothing between others, and without ``more`` ``start`` is returned.

    Args:
        start: all parameters of the plan's network.
        head_only: learn parameters of HEAD, on features that are computed once.
        more: other slices to learn from.
    """
    extra = None if more is None else [more]
    return learn_together([ensemble], plan, start, lambda *given: learn(*given[:4]), head_only, extra)


def learn_together(
    ensembles: Sequence[Ensemble],
    plan: Plan,
    start: Parameters,
    learn: LearnTogether,
    head_only: bool = False,
    more: Sequence[Slices | None] | None = None,
) -> Parameters:
    """The same on the inner painted slices of several structures of one volume; an ensemble, and ``more``, for each."""
    context = ensembles[0].context
    each = [_support(one, plan, extra) for one, extra in zip(ensembles, more or [None] * len(ensembles), strict=True)]
    there = [support for support in each if support is not None]
    if not there:
        return dict(start)
    inputs, truth = (np.concatenate(parts) for parts in zip(*there, strict=True))
    counts = [len(masks) for _, masks in there]
    network, hidden = slice_network(plan), set[str]()
    if head_only:
        features, whole = embed(plan, start, inputs, context), network
        inputs, network = np.concatenate([inputs, features], axis=1), HeadOnly(plan)
        hidden = set(dict(whole.named_parameters())) - set(dict(network.named_parameters()))

    def on(device: torch.device, batch: int) -> Parameters:
        first = {name: value.to(device) for name, value in start.items() if name not in hidden}
        shown = torch.from_numpy(inputs).to(device).contiguous(memory_format=torch.channels_last)
        learned = learn(network.to(device), first, shown, torch.from_numpy(truth).to(device), counts)
        return {**start, **{name: value.detach() for name, value in learned.items()}}

    # A loop of steps needs all painted slices at once: halving the batch does not help, the CPU does.
    return context.device.run(on)


def _support(ensemble: Ensemble, plan: Plan, more: Slices | None) -> Slices | None:
    """The inner painted slices of a structure, each seen from the others, and more; None where there are none."""
    encoded = encode_left_out(ensemble, plan, ensemble.task.structure.inner)
    parts = [(encoded.array(), truth_of(ensemble.task, encoded.slices))] if len(encoded) else []
    parts += [] if more is None else [more]
    if not parts:
        return None
    inputs, truth = (np.concatenate(both) for both in zip(*parts, strict=True))
    return inputs, truth


def embed(plan: Plan, parameters: Parameters, inputs: Stack, context: Context) -> Stack:
    """(N, embedding, H, W) features of inputs (N, channels, H, W)."""
    named = {f"network.{name}": value for name, value in parameters.items()}
    return run_network(Embedding(slice_network(plan)), named, list(inputs), "adapting", context)
