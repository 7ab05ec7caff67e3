"""Image-level augmentation of episodes: the same change for all slices of an episode, painted and queried."""

from __future__ import annotations

import torch
from monai.transforms import (
    Compose,
    RandAdjustContrast,
    RandBiasField,
    RandGaussianNoise,
    RandScaleIntensity,
    RandShiftIntensity,
)
from torch import Tensor

from ..networks.encode import ABSENT, SCORE
from ..networks.plan import Plan
from ..predictors.ensemble import BASELINES

_recolour = Compose(
    [
        RandScaleIntensity(0.3, prob=0.5),
        RandShiftIntensity(0.2, prob=0.5),
        RandAdjustContrast(prob=0.3, gamma=(0.6, 1.6)),
        RandBiasField(prob=0.1, degree=2, coeff_range=(0.0, 0.15)),
        RandGaussianNoise(prob=0.3, std=0.15),
    ]
)


def augment(inputs: Tensor, truth: Tensor, plan: Plan, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Randomly mirror, transpose, recolour and impoverish (N, channels, H, W) inputs and (N, H, W) truth."""

    def chance(p: float) -> bool:
        return bool(torch.rand((), generator=random) < p)

    inputs = inputs.clone()
    for axis in (-1, -2):
        if chance(0.5):
            inputs, truth = inputs.flip(axis), truth.flip(axis)
    if chance(0.5):
        inputs, truth = inputs.transpose(-1, -2), truth.transpose(-1, -2)
    if chance(0.5):
        inputs = upside_down(inputs, plan)

    images = list(plan.image_places)
    inputs[:, images] = _recoloured(inputs[:, images], random)
    for predictor in BASELINES:
        if chance(0.06):
            shown = (predictor, predictor + SCORE)
            inputs[:, [place for place, one in enumerate(plan.inputs) if one.source in shown]] = 0
    return inputs.contiguous(), truth.contiguous()


def _recoloured(shown: Tensor, random: torch.Generator) -> Tensor:
    """Intensities of (N, images, H, W) as another scanner would show them, all slices alike but for the noise."""
    _recolour.set_random_state(int(torch.randint(2**31, (), generator=random)))
    changed = torch.as_tensor(_recolour(shown.flatten(0, 1))).reshape(shown.shape)
    return -changed if torch.rand((), generator=random) < 0.15 else changed


def upside_down(inputs: Tensor, plan: Plan) -> Tensor:
    """The same episode with its slices in reverse order: what was below is above, and the nearest change places."""
    places = {(one.source, one.step): place for place, one in enumerate(plan.inputs)}
    order = []
    for place, one in enumerate(plan.inputs):
        if one.source in ("painted image", "painted shape", "distance"):
            place = places[one.source, 3 - one.step]
        elif not one.source.startswith("support "):
            place = places[one.source, -one.step]
        order.append(place)
    turned = inputs[:, order]
    for place, one in enumerate(plan.inputs):
        if one.source in ("distance", "support place"):
            turned[:, place] = torch.where(turned[:, place] < ABSENT - 1, -turned[:, place], turned[:, place])
    return turned
