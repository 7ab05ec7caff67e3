"""Features without labels: two views of the same slices shall look alike, pixel by pixel, and no two features say the
same.

Barlow Twins (Zbontar et al., ICML 2021): with C the correlations, over many pixels, of each feature in the one view
with each feature in the other, the loss is Σ (1 − C_ii)² + λ Σ_{i≠j} C_ij². A view is the image as another scanner
would show it, with some squares hidden (DeVries & Taylor, 2017), so that what lies around has to tell what is there.
Both views lie alike, and pixels are compared with themselves, which gives features for segmentation (as in DenseCL,
Wang et al., CVPR 2021). No projector: the features themselves are what the head reads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..networks.slice_unet import SliceNetwork
from .augment import recoloured_there

OTHERS = 0.01
"""λ, what the correlations of different features weigh."""
PIXELS = 2048
"""Compared in an update."""
SQUARE = 12
HIDDEN = 0.15
"""Share of the squares of a view that are hidden."""


def twin_loss(first: Tensor, second: Tensor, others: float = OTHERS) -> Tensor:
    """Σ (1 − C_ii)² + λ Σ_{i≠j} C_ij² over features, divided by their number.

    Args:
        first, second: (pixels, features) of the same pixels in two views.
    """
    correlations = _standard(first).T @ _standard(second) / len(first)
    own = correlations.diagonal()
    between = correlations.square().sum() - own.square().sum()
    return ((1 - own).square().sum() + others * between) / len(own)


def _standard(features: Tensor) -> Tensor:
    """Each feature over its mean and spread."""
    centred = features - features.mean(0)
    return centred / (centred.square().mean(0) + 1e-5).sqrt()


def twin_features(network: SliceNetwork, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """(PIXELS, embedding) features of the same pixels in two views of inputs (N, channels, H, W).

    What is drawn follows torch's own seed.
    """
    random = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
    n, _, rows, columns = inputs.shape
    chosen = torch.randperm(n * rows * columns, generator=random)[:PIXELS].to(inputs.device)
    views = (network.embed(seen_anew(network, inputs, random)) for _ in range(2))
    first, second = (view.movedim(1, -1).flatten(0, 2)[chosen].float() for view in views)
    return first, second


def seen_anew(network: SliceNetwork, inputs: Tensor, random: torch.Generator) -> Tensor:
    """Inputs (N, channels, H, W) with their images recoloured and squares of them hidden."""
    images = list(network.plan.image_places)
    inputs = inputs.clone()
    shown = recoloured_there(inputs[:, images], random)
    n, _, rows, columns = shown.shape
    grid = torch.rand(n, 1, -(-rows // SQUARE), -(-columns // SQUARE), generator=random) < HIDDEN
    squares = grid.repeat_interleave(SQUARE, -2).repeat_interleave(SQUARE, -1)[..., :rows, :columns]
    inputs[:, images] = shown.masked_fill(squares.to(shown.device), 0.0)
    return inputs
