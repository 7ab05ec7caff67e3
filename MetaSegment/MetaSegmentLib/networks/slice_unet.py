"""A small 2.5D U-Net on what a plan shows of a slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from monai.networks.nets.basic_unet import BasicUNet
from torch import Tensor, nn

from ..predictors.ensemble import BASELINES
from .plan import SLICE_V1, Plan

_MIX = {"pixels": 0.6}
_USUAL_MIX = 0.25
"""What predictors weigh in an untrained network, those that _MIX does not name."""


class SliceNetwork(nn.Module):
    """A small 2.5D U-Net that looks at a slice through the eyes of the predictors.

    MONAI's BasicUNet with affine instance normalisation: no running statistics, so support never leaks to queries. It
    answers in two ways from the same features: through a linear head, for gradient methods, and as an embedding, for
    metric methods. Logits are the head's answer plus a learned mixture of the predictors' logits, so an untrained
    network is already as good as the predictors together.
    """

    def __init__(self, plan: Plan = SLICE_V1) -> None:
        super().__init__()
        self.plan = plan
        self.channels = len(plan.inputs)
        self.embedding = int(plan.arguments["embedding"])
        seen = [(place, one) for place, one in enumerate(plan.inputs) if one.source in BASELINES and not one.step]
        self._places = [place for place, _ in seen]
        self.register_buffer("_scale", torch.tensor([one.scale for _, one in seen]), persistent=False)
        self.register_buffer("_offset", torch.tensor([one.offset for _, one in seen]), persistent=False)
        self.build(plan)
        self.head = nn.Conv2d(self.embedding, 1, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))
        mix = torch.tensor([_MIX.get(one.source, _USUAL_MIX) for _, one in seen])
        self.mix = nn.Parameter(mix)
        self.sharpness = nn.Parameter(torch.zeros(()))
        """Logarithm of the factor on distances in the embedding."""
        self.prior = nn.Parameter(mix.clone())
        """What the predictors weigh beside distances in the embedding."""

    def build(self, plan: Plan) -> None:
        """Make what finds the features."""
        widths: Sequence[int] = plan.arguments["widths"]
        self._own = [place for place, one in enumerate(plan.inputs) if not one.source.startswith("support ")]
        self.unet = BasicUNet(2, len(self._own), self.embedding, features=widths, norm=("instance", {"affine": True}))

    def embed(self, inputs: Tensor) -> Tensor:
        """(N, channels, H, W) inputs → (N, embedding, H, W) features."""
        return cast(Tensor, self.unet(inputs if len(self._own) == self.channels else inputs[:, self._own]))

    def decide(self, inputs: Tensor, features: Tensor) -> Tensor:
        """(N, H, W) logits of the foreground."""
        return cast(Tensor, self.head(features))[:, 0] + self.mixed_predictors(inputs, self.mix)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, channels, H, W) inputs → (N, H, W) logits of the foreground."""
        return self.decide(inputs, self.embed(inputs))

    def mixed_predictors(self, inputs: Tensor, weights: Tensor) -> Tensor:
        """Σ w · logits of the predictors, (N, H, W), read from network inputs (N, channels, H, W)."""
        return (self.predictor_logits(inputs) * weights[:, None, None]).sum(1)

    def predictor_logits(self, inputs: Tensor) -> Tensor:
        """(N, P, H, W) logits of the predictors, read from network inputs (N, channels, H, W), in their order."""
        shown = inputs[:, self._places]
        scale, offset = cast(Tensor, self._scale), cast(Tensor, self._offset)
        return shown * scale[:, None, None] + offset[:, None, None]

    def lies_inside(self, inputs: Tensor) -> Tensor:
        """(N,) whether slices lie between the painted slices they are predicted from; inputs (N, channels, H, W)."""
        return inputs[:, self.plan.place("outside"), 0, 0] < 0.5
