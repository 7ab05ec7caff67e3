"""Slices that nobody painted, drawn between painted ones: more support for the inner loop.

Variational augmentation in the manner of VILM: a conditional auto-encoder (``networks/slice_vae.py``) draws image and
mask of a slice from its two painted neighbours. What the predictors say of the real slice there stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import functional_call

from ...networks.plan import Plan
from ...networks.slice_vae import LATENT, Decoder, Neighbours, SliceVae
from .inner_loop import Parameters

VAE_PREFIX = "vae/"
"""The auto-encoder is stored beside the weights under this prefix."""


def first_vae() -> Parameters:
    """An untrained auto-encoder, always the same, by the names that it is stored under."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return {VAE_PREFIX + name: value for name, value in SliceVae().named_parameters()}


def stored_vae(weights: Mapping[str, Tensor]) -> Parameters:
    """The auto-encoder among stored tensors."""
    return {name.removeprefix(VAE_PREFIX): value for name, value in weights.items() if name.startswith(VAE_PREFIX)}


def drawn(
    inputs: Tensor, plan: Plan, vae: Mapping[str, Tensor], random: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Inputs and truth of slices drawn at the place of real ones.

    Args:
        inputs: (N, channels, H, W) of slices between painted ones.
        vae: parameters by name.
        random: of what is drawn; by default torch's own.

    Returns:
        The same inputs with another image, and (N, H, W) masks, float.
    """
    decoder = {
        name.removeprefix("decoder."): value.detach() for name, value in vae.items() if name.startswith("decoder.")
    }
    z = torch.randn(len(inputs), LATENT, generator=random).to(inputs.device)
    with torch.no_grad():
        image, logits = functional_call(Decoder(), decoder, (z, Neighbours.of(inputs, plan)))
    inputs = inputs.clone()
    inputs[:, plan.place("image")] = image.to(inputs)
    return inputs, (logits > 0).to(inputs)
