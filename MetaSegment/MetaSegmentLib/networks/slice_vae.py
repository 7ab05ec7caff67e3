"""A conditional variational auto-encoder of the slices between two painted ones.

Sohn et al. (NeurIPS 2015): log p(x | c) ≥ E_q(z | x, c) log p(x | z, c) − KL(q(z | x, c) ‖ N(0, 1)); x is image and
mask of a slice, c its two painted neighbours and where it lies between them. Images are normal about the decoder's
answer, with one learned deviation (Rybkin et al., ICML 2021), masks Bernoulli. The decoder adds to the interpolation
of the neighbours, and nothing at either end, so that a painted slice is drawn as it was painted.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, interpolate

from .plan import Plan

LATENT = 8
"""Numbers in z."""
_SHARPNESS = 5.0
"""Logit of the mask for an interpolated distance of one (ten pixels)."""
_WIDTHS = (16, 24, 32)


@dataclass(frozen=True)
class Neighbours:
    """What is known of N slices.

    Attributes:
        images, shapes: (N, 2, H, W) of the painted slices beside each, one before and one after.
        position: (N, 1, 1, 1) in [0, 1], from the one to the other.
    """

    images: Tensor
    shapes: Tensor
    position: Tensor

    @classmethod
    def of(cls, inputs: Tensor, plan: Plan) -> Neighbours:
        """Read from network inputs (N, channels, H, W) of slices that lie between painted ones."""

        def planes(name: str) -> Tensor:
            return inputs[:, [plan.place(f"{name} {n}") for n in (1, 2)]]

        before, after = planes("distance")[:, :, :1, :1].abs().split(1, dim=1)
        return cls(planes("painted image"), planes("painted shape"), before / (before + after).clamp_min(1e-6))

    def planes(self) -> Tensor:
        """(N, 5, H / 2, W / 2) of all that is known."""
        position = self.position.expand_as(self.images[:, :1])
        return avg_pool2d(torch.cat([self.images, self.shapes, position], dim=1), 2)


@dataclass(frozen=True)
class Bound:
    """−ELBO, term by term, in nats a slice.

    Attributes:
        image, mask: −E_q log p of either, from one sample.
        divergence: KL(q ‖ N(0, 1)).
    """

    image: Tensor
    mask: Tensor
    divergence: Tensor

    @property
    def total(self) -> Tensor:
        return self.image + self.mask + self.divergence


class Encoder(nn.Module):
    """q(z | x, c)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_halving(a, b) for a, b in zip((7, *_WIDTHS), _WIDTHS, strict=False)))
        self.answer = nn.Linear(_WIDTHS[-1], 2 * LATENT)

    def forward(self, image: Tensor, mask: Tensor, known: Neighbours) -> Normal:
        """(N, H, W) images and masks → a normal distribution of (N, LATENT)."""
        seen = torch.cat([avg_pool2d(torch.stack([image, mask], dim=1), 2), known.planes()], dim=1)
        mean, log_sigma = self.answer(self.layers(seen).mean((2, 3))).float().chunk(2, dim=1)
        return Normal(mean, log_sigma.clamp(-8, 4).exp(), validate_args=False)


class Decoder(nn.Module):
    """p(x | z, c)."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = _WIDTHS
        self.first = _same(5, first)
        self.second = _halving(first, second)
        self.third = _halving(second, third)
        self.latent = nn.Linear(LATENT, third)
        self.up_third = _same(third, third)
        self.up_second = _same(third + second, second)
        self.up_first = _same(second + first, first)
        self.answer = nn.Conv2d(first, 2, 1)
        nn.init.normal_(self.answer.weight, std=0.01)

    def forward(self, z: Tensor, known: Neighbours) -> tuple[Tensor, Tensor]:
        """(N, LATENT) → (N, H, W) images, and logits of masks."""
        first = self.first(known.planes())
        second = self.second(first)
        third = self.up_third(self.third(second) + self.latent(z)[:, :, None, None])
        up = self.up_second(torch.cat([_doubled(third), second], dim=1))
        up = self.up_first(torch.cat([_doubled(up), first], dim=1))
        t = known.position
        image, mask = (4 * t * (1 - t) * _doubled(self.answer(up))).unbind(1)
        between = [torch.lerp(pair[:, 0], pair[:, 1], t[:, 0]) for pair in (known.images, known.shapes)]
        return between[0] + image, _SHARPNESS * between[1] + mask


class SliceVae(nn.Module):
    """Both, and the deviation of images."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.log_sigma = nn.Parameter(torch.zeros(()))

    def forward(self, image: Tensor, mask: Tensor, known: Neighbours) -> Bound:
        """(N, H, W) images and masks (float), with one sample of z from torch's own generator."""
        found = self.encoder(image, mask, known)
        mean, logits = self.decoder(found.rsample(), known)
        return bound(image, mask, mean, logits, found, self.log_sigma)


def bound(image: Tensor, mask: Tensor, mean: Tensor, logits: Tensor, found: Normal, log_sigma: Tensor) -> Bound:
    """The terms of −ELBO for (N, H, W) images and masks, what was decoded of them, and q."""
    n = len(image)
    likelihood = Normal(mean.float(), log_sigma.exp(), validate_args=False).log_prob(image)
    mask_loss = binary_cross_entropy_with_logits(logits.float(), mask, reduction="sum")
    prior = Normal(torch.zeros_like(found.mean), torch.ones_like(found.mean))
    return Bound(-likelihood.sum() / n, mask_loss / n, kl_divergence(found, prior).sum() / n)


def _same(before: int, after: int, stride: int = 1) -> nn.Module:
    # No normalisation: over a slice it would take away what z adds.
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1), nn.LeakyReLU(0.1))


def _halving(before: int, after: int) -> nn.Module:
    return _same(before, after, 2)


def _doubled(features: Tensor) -> Tensor:
    return interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
