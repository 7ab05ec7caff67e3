"""The one network: a small 2.5D U-Net that looks at a slice through the eyes of the experts.

It answers in two ways from the same features: through a linear head, for gradient methods, and as an embedding, for
metric methods.
"""

from __future__ import annotations

from typing import cast

import torch
from monai.losses.dice import DiceCELoss, DiceLoss
from monai.networks.nets.basic_unet import BasicUNet
from torch import Tensor, nn

from .encode import CHANNELS, SCALES

EMBEDDING = 16
_WIDTHS = (16, 24, 32, 48, 64, 16)
_MIX = (0.25, 0.25, 0.25, 0.6)


class SliceNetwork(nn.Module):
    """MONAI's BasicUNet with affine instance normalisation: no running statistics, so support never leaks to queries.

    Logits are the head's answer plus a learned mixture of the experts' logits, so an untrained network is already as
    good as the experts together.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unet = BasicUNet(2, len(CHANNELS), EMBEDDING, features=_WIDTHS, norm=("instance", {"affine": True}))
        self.head = nn.Conv2d(EMBEDDING, 1, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))
        self.mix = nn.Parameter(torch.tensor(_MIX))
        self.sharpness = nn.Parameter(torch.zeros(()))
        """Logarithm of the factor on distances in the embedding."""
        self.prior = nn.Parameter(torch.tensor(_MIX))
        """What the experts weigh beside distances in the embedding."""

    def embed(self, inputs: Tensor) -> Tensor:
        """(N, channels, H, W) inputs → (N, EMBEDDING, H, W) features."""
        return cast(Tensor, self.unet(inputs))

    def decide(self, inputs: Tensor, features: Tensor) -> Tensor:
        """(N, H, W) logits of the foreground."""
        return cast(Tensor, self.head(features))[:, 0] + mixed_experts(inputs, self.mix)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, channels, H, W) inputs → (N, H, W) logits of the foreground."""
        return self.decide(inputs, self.embed(inputs))


def mixed_experts(inputs: Tensor, weights: Tensor) -> Tensor:
    """Σ w · logits of the experts, (N, H, W), read from network inputs (N, channels, H, W); order of EXPERTS."""
    return (expert_logits(inputs) * weights[:, None, None]).sum(1)


def expert_logits(inputs: Tensor) -> Tensor:
    """(N, 4, H, W) logits of the experts, read from network inputs (N, channels, H, W); order of EXPERTS."""
    shown = ((scale, inputs[:, CHANNELS.index(name)]) for name, scale in SCALES.items())
    return torch.stack([scale.logit_of_shown(channel) for scale, channel in shown], dim=1)


_soft_dice = DiceLoss(sigmoid=True, smooth_nr=4.0, smooth_dr=4.0)
_dice_and_cross_entropy = DiceCELoss(sigmoid=True, batch=True, smooth_nr=1.0, smooth_dr=1.0, lambda_dice=0.5)


def segmentation_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy + ½ Dice loss of all slices together + ½ Dice loss slice by slice.

    Args:
        logits: (N, H, W).
        truth: (N, H, W) in {0, 1}, float.
    """
    logits, truth = logits[:, None], truth[:, None]
    return cast(Tensor, _dice_and_cross_entropy(logits, truth) + 0.5 * _soft_dice(logits, truth))
