"""Gradient-based meta-learning: a few steps of gradient descent on the painted slices, from meta-learned weights.

MAML (Finn et al., ICML 2017): θ' = θ − α ∇L_support(θ), repeated; θ is trained so that L_query(θ') is low. The step
size α is learned for every parameter tensor (MAML++, Antoniou et al., ICLR 2019). The support loss predicts each
painted slice from the others, exactly as queries are predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..networks import segmentation_loss

STEPS = 2
FIRST_RATE = 0.003

Parameters = dict[str, Tensor]
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
    """
    adapted = dict(parameters)
    for _ in range(steps):
        check()
        free = {name: adapted[name] for name in rates}
        loss = segmentation_loss(functional_call(network, adapted, (inputs,)), truth)
        gradients = torch.autograd.grad(loss, list(free.values()), create_graph=not first_order, allow_unused=True)
        for (name, value), gradient in zip(free.items(), gradients, strict=True):
            if gradient is not None:
                adapted[name] = value - rates[name] * gradient
    return adapted


def first_rates(network: nn.Module, rate: float = FIRST_RATE) -> Parameters:
    """Logarithms of the step sizes to begin meta-training with, for every parameter that the logits depend on."""
    return {
        name: torch.full((), float(torch.tensor(rate).log()), requires_grad=True)
        for name, _ in network.named_parameters()
        if name not in ("sharpness", "prior")
    }


def split_weights(weights: Mapping[str, Tensor]) -> tuple[Parameters, Parameters]:
    """Stored tensors → (parameters of the network, step sizes); what other stages stored beside them is left out."""
    return {name: value for name, value in weights.items() if "/" not in name}, learned_rates(weights)


def learned_rates(weights: Mapping[str, Tensor]) -> Parameters:
    """The step sizes among stored tensors, by parameter name."""
    return {
        name.removeprefix(RATE_PREFIX): value.exp() for name, value in weights.items() if name.startswith(RATE_PREFIX)
    }
