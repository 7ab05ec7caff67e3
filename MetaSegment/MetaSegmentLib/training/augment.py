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
    if shown.device.type != "cpu":
        return recoloured_there(shown, random)
    _recolour.set_random_state(int(torch.randint(2**31, (), generator=random)))
    changed = torch.as_tensor(_recolour(shown.flatten(0, 1))).reshape(shown.shape)
    return -changed if torch.rand((), generator=random) < 0.15 else changed


def recoloured_there(shown: Tensor, random: torch.Generator) -> Tensor:
    """The same distributions of (N, images, H, W) without leaving the device, where MONAI draws on the CPU."""

    def chance(p: float) -> bool:
        return bool(torch.rand((), generator=random) < p)

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=random))

    if chance(0.5):
        shown = shown * (1 + between(-0.3, 0.3))
    if chance(0.5):
        shown = shown + between(-0.2, 0.2)
    if chance(0.3):
        low, high = shown.min(), shown.max()
        span = (high - low).clamp_min(1e-6)
        shown = ((shown - low) / span).clamp_min(0) ** between(0.6, 1.6) * span + low
    if chance(0.1):
        shown = shown * _bias_field(shown, [between(0.0, 0.15) for _ in range(6)])
    if chance(0.3):
        there = torch.Generator(shown.device).manual_seed(int(torch.randint(2**31, (), generator=random)))
        shown = shown + between(0, 0.15) * torch.randn(shown.shape, generator=there, device=shown.device)
    return -shown if chance(0.15) else shown


def _bias_field(like: Tensor, coefficients: list[float]) -> Tensor:
    """(H, W) exponential of Legendre polynomials up to the second degree."""
    rows, columns = (torch.linspace(-1, 1, n, device=like.device, dtype=like.dtype) for n in like.shape[-2:])
    legendre = [[torch.ones_like(axis), axis, (3 * axis**2 - 1) / 2] for axis in (rows[:, None], columns[None])]
    degrees = [(i, j) for i in range(3) for j in range(3 - i)]
    powers = [c * legendre[0][i] * legendre[1][j] for c, (i, j) in zip(coefficients, degrees, strict=True)]
    return torch.stack([power.expand(like.shape[-2:]) for power in powers]).sum(0).exp()


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
