"""What networks are trained to make small, and what adaptation follows."""

from __future__ import annotations

from typing import cast

from monai.losses.dice import DiceCELoss, DiceLoss
from torch import Tensor

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
