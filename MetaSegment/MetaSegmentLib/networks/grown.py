"""Weights of one plan as the first weights of another that sees more."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .architectures import make_network
from .plan import Plan

_SEEN = "unet.conv_0.conv_0.conv.weight"
"""What reads the inputs."""


def grown(tensors: Mapping[str, Tensor], plan: Plan, into: Plan) -> dict[str, Tensor]:
    """Weights for ``into`` that answer as those of ``plan`` do, as far as architectures that begin with nothing allow.

    Inputs are matched by name; the weights of those that are new are 0. Tensors that only ``into`` has are random.
    """
    if plan.inputs == into.inputs and plan.architecture == into.architecture:
        return dict(tensors)
    made = {name: value.detach().clone() for name, value in make_network(into).named_parameters()}
    for name, value in tensors.items():
        if name not in made or made[name].shape == value.shape:
            made[name] = value
    old = [one.name for one in plan.inputs if not one.source.startswith("support ")]
    new = [one.name for one in into.inputs if not one.source.startswith("support ")]
    seen = torch.zeros_like(made[_SEEN])
    for place, name in enumerate(new):
        if name in old:
            seen[:, place] = tensors[_SEEN][:, old.index(name)]
    return {**made, _SEEN: seen}
