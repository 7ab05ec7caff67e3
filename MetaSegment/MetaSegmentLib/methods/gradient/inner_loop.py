"""Gradient-based meta-learning: a few steps of gradient descent on the painted slices, from meta-learned weights.

MAML (Finn et al., ICML 2017): θ' = θ − α ∇L_support(θ), repeated; θ is trained so that L_query(θ') is low. The step
size α is learned for every parameter tensor (MAML++, Antoniou et al., ICLR 2019). The support loss predicts each
painted slice from the others, exactly as queries are predicted. FOMAML takes the derivative of L_query at θ' for that
at θ. ANIL (Raghu et al., ICLR 2020) lets only the head adapt.

Reptile (Nichol et al., 2018) has no query loss: after k steps on parts of a task, φ, it moves θ += ε (φ − θ).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ...networks.losses import segmentation_loss

STEPS = 2
FIRST_RATE = 0.003
ANIL_STEPS = 5
ANIL_FIRST_RATE = 0.02
REPTILE_RATE = 0.005
"""Fixed, for Reptile does not learn step sizes."""

HEAD = ("head.weight", "head.bias", "mix")
"""Parameters between the embedding and the logits."""

Parameters = dict[str, Tensor]
SupportLoss = Callable[[Tensor, Tensor], Tensor]
RATE_PREFIX = "rate/"
"""Learned step sizes are stored beside the weights under this prefix, as logarithms."""


def inner_loop(
    network: nn.Module,
    parameters: Mapping[str, Tensor],
    rates: Mapping[str, Tensor],
    inputs: Tensor,
    truth: Tensor,
    steps: int = STEPS,
    first_order: bool = True,
    check: Callable[[], None] = lambda: None,
    support_loss: SupportLoss = segmentation_loss,
) -> Parameters:
    """Adapt parameters to painted slices.

    Args:
        network: gives the architecture; its own weights are neither used nor changed.
        parameters: θ, by name; those without a rate stay as they are.
        rates: step size by parameter name.
        inputs: (S, channels, H, W) leave-one-out inputs of the painted slices.
        truth: (S, H, W) their masks, float.
        first_order: do not differentiate through the gradient (FOMAML); at test time there is no need to.
        check: called before every step; raises to stop.
        support_loss: of the logits (S, H, W) and ``truth``.
    """

    def loss(adapted: Parameters) -> Tensor:
        return support_loss(functional_call(network, adapted, (inputs,)), truth)

    return descend(parameters, rates, loss, steps, first_order, check)


def descend(
    parameters: Mapping[str, Tensor],
    rates: Mapping[str, Tensor],
    loss: Callable[[Parameters], Tensor],
    steps: int = STEPS,
    first_order: bool = True,
    check: Callable[[], None] = lambda: None,
) -> Parameters:
    """Some steps θ' = θ − α ∇loss(θ), of the parameters that have a rate."""
    adapted = dict(parameters)
    for _ in range(steps):
        check()
        free = {name: adapted[name] for name in rates}
        found = loss(adapted)
        gradients = torch.autograd.grad(found, list(free.values()), create_graph=not first_order, allow_unused=True)
        for (name, value), gradient in zip(free.items(), gradients, strict=True):
            if gradient is not None:
                adapted[name] = value - rates[name] * gradient
    return adapted


def mean_over_structures(counts: Sequence[int]) -> SupportLoss:
    """The support loss of several structures that share θ': the mean of theirs, with so many slices of each."""

    def loss(logits: Tensor, truth: Tensor) -> Tensor:
        pairs = zip(logits.split(list(counts)), truth.split(list(counts)), strict=True)
        return torch.stack([segmentation_loss(*pair) for pair in pairs]).mean()

    return loss


def adaptable(names: Iterable[str]) -> list[str]:
    """The parameters among them that the logits depend on."""
    return [name for name in names if name not in ("sharpness", "prior")]


def first_rates(names: Iterable[str], rate: float = FIRST_RATE) -> Parameters:
    """Logarithms of the step sizes to begin meta-training with, by parameter name."""
    return {name: torch.full((), math.log(rate), requires_grad=True) for name in names}


def fixed_rates(names: Iterable[str], rate: float) -> Parameters:
    """The same step size for all parameters."""
    return {name: torch.tensor(rate) for name in names}


def reptile_gradient(start: Tensor, end: Tensor, rate: float) -> Tensor:
    """(θ − φ) / α: what a gradient descent has to follow to move θ towards φ, in the scale of a gradient."""
    return (start - end) / rate


def split_weights(weights: Mapping[str, Tensor]) -> tuple[Parameters, Parameters]:
    """Stored tensors → (parameters of the network, step sizes); what other stages stored beside them is left out."""
    return {name: value for name, value in weights.items() if "/" not in name}, learned_rates(weights)


def learned_rates(weights: Mapping[str, Tensor]) -> Parameters:
    """The step sizes among stored tensors, by parameter name."""
    return {
        name.removeprefix(RATE_PREFIX): value.exp() for name, value in weights.items() if name.startswith(RATE_PREFIX)
    }
