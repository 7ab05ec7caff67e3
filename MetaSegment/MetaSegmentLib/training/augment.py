"""Image-level augmentation of episodes: the same change for all slices of an episode, painted and queried."""

from __future__ import annotations

import torch
from torch import Tensor

from ..episode import CHANNELS, IMAGE_CHANNELS

_EXPERT_CHANNELS = ((3,), (4,), (5, 6, 7), (8,))
_SWAPPED = {
    CHANNELS.index(a): CHANNELS.index(b)
    for a, b in (
        ("image below", "image above"),
        ("grow below", "grow above"),
        ("painted image 1", "painted image 2"),
        ("painted shape 1", "painted shape 2"),
        ("distance 1", "distance 2"),
    )
}
_DISTANCES = [CHANNELS.index("distance 1"), CHANNELS.index("distance 2")]


def augment(inputs: Tensor, truth: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Randomly mirror, transpose, recolour and impoverish (N, channels, H, W) inputs and (N, H, W) truth."""

    def chance(p: float) -> bool:
        return bool(torch.rand((), generator=random) < p)

    def uniform(low: float, high: float) -> float:
        return float(torch.rand((), generator=random)) * (high - low) + low

    inputs = inputs.clone()
    for axis in (-1, -2):
        if chance(0.5):
            inputs, truth = inputs.flip(axis), truth.flip(axis)
    if chance(0.5):
        inputs, truth = inputs.transpose(-1, -2), truth.transpose(-1, -2)
    if chance(0.5):
        inputs = upside_down(inputs)

    images = list(IMAGE_CHANNELS)
    shown = inputs[:, images]
    if chance(0.5):
        shown = shown * uniform(0.7, 1.3) + uniform(-0.2, 0.2)
    if chance(0.3):
        unit = ((shown + 1.5) / 3).clamp(1e-4, 1)
        shown = unit ** uniform(0.6, 1.6) * 3 - 1.5
    if chance(0.15):
        shown = -shown
    if chance(0.3):
        shown = shown + uniform(0, 0.15) * torch.randn(shown.shape, generator=random)
    inputs[:, images] = shown
    for channels in _EXPERT_CHANNELS:
        if chance(0.06):
            inputs[:, list(channels)] = 0
    return inputs.contiguous(), truth.contiguous()


def upside_down(inputs: Tensor) -> Tensor:
    """The same episode with its slices in reverse order."""
    order = list(range(len(CHANNELS)))
    for a, b in _SWAPPED.items():
        order[a], order[b] = b, a
    turned = inputs[:, order]
    turned[:, _DISTANCES] = -turned[:, _DISTANCES]
    return turned
