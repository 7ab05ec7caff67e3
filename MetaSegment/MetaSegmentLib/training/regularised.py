"""Meta-regularisation on weights: what every task shares may say little, so that tasks are learned from their paint.

Yin et al. (ICLR 2020), "Meta-learning without memorization". The weights that do not adapt are drawn anew for every
episode from q = N(μ, σ²), and β · KL(q ‖ N(0, 1)) is added to the loss of the queries: information kept there costs.
The means are what is used afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ..methods.gradient.inner_loop import Parameters

SPREAD_PREFIX = "spread/"
"""σ of every tensor is stored beside the weights under this prefix, as a logarithm."""
FIRST_SPREAD = 0.01


def kernels(parameters: Mapping[str, Tensor]) -> list[str]:
    """Names of the convolutions of the U-Net, which hold nearly all weights."""
    return [name for name, value in parameters.items() if name.startswith("unet.") and value.ndim == 4]


def first_spreads(names: Iterable[str]) -> Parameters:
    """Logarithms of σ to begin with, by the name they are stored under."""
    return {SPREAD_PREFIX + name: torch.full((), math.log(FIRST_SPREAD), requires_grad=True) for name in names}


def drawn_weights(parameters: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Parameters:
    """Parameters, those with a spread drawn as μ + σ ε, ε ~ N(0, 1); by the seed that the trainer set for the episode,
    so the same episode meets the same noise."""
    random = torch.Generator().manual_seed(torch.initial_seed())
    drawn = dict(parameters)
    for name, value in parameters.items():
        if (key := SPREAD_PREFIX + name) in own:
            drawn[name] = value + own[key].exp() * torch.randn(value.shape, generator=random).to(value)
    return drawn


def information(parameters: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Tensor:
    """Mean KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − 1) − log σ of the weights with a spread, in nats a weight."""
    known = [(mean, own[key]) for name, mean in parameters.items() if (key := SPREAD_PREFIX + name) in own]
    each = [(0.5 * (mean**2 + (2 * spread).exp() - 1) - spread).flatten() for mean, spread in known]
    return torch.cat(each).mean()
