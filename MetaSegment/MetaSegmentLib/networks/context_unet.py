"""The U-Net on slices that attends to all painted slices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from .encode import ABSENT
from .plan import Plan
from .slice_unet import SliceNetwork


class ContextNetwork(SliceNetwork):
    """A slice network that attends to all painted slices.

    At two scales of its encoder, every position of a slice attends to every position of every painted slice (Vaswani et
    al., NeurIPS 2017), of which a small encoder of its own has seen image and shape; so a query meets its whole
    support, as in the cross-blocks of UniverSeg (Butoi et al., ICCV 2023). What is added is nothing at first, so that
    training may begin with the weights of a slice network.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        widths, heads = plan.arguments["widths"], int(plan.arguments["heads"])
        seen: Sequence[int] = plan.arguments["support_widths"]
        self._support = [
            [place for place, one in enumerate(plan.inputs) if one.source == f"support {kind}"]
            for kind in ("image", "shape", "place")
        ]
        self.support = nn.Sequential(*(_halving(before, after) for before, after in pairwise([3, *seen])))
        # A quarter and an eighth of the slice's size meet an eighth of the painted slices'.
        near, far = plan.arguments.get("attention_widths", widths[2:4])
        self.near = CrossAttention(widths[2], near, seen[-1], heads)
        self.far = CrossAttention(widths[3], far, seen[-1], heads)

    def embed(self, inputs: Tensor) -> Tensor:
        """(N, channels, H, W) inputs → (N, embedding, H, W) features."""
        unet = self.unet
        supports, place = self._supports(inputs)
        first = unet.conv_0(inputs[:, self._own])
        half = unet.down_1(first)
        quarter = self.near(unet.down_2(half), supports, place)
        eighth = self.far(unet.down_3(quarter), supports, place)
        up = unet.upcat_4(unet.down_4(eighth), eighth)
        up = unet.upcat_2(unet.upcat_3(up, quarter), half)
        return cast(Tensor, unet.final_conv(unet.upcat_1(up, first)))

    def _supports(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, S, C, h, w) of the painted slices, and their places (N, S); N is 1 for the features where all
        slices see the same ones."""
        image, shape, place = (inputs[:, places] for places in self._support)
        place = place[:, :, 0, 0]
        rows = slice(0, 1) if _same_rows(image) and _same_rows(shape) else slice(None)
        shown = torch.stack([image[rows], shape[rows], (shape[rows] > 0).to(shape)], dim=2)
        used = 1 + max((n for n, there in enumerate((place < ABSENT - 1).any(0).tolist()) if there), default=0)
        shown, place = shown[:, :used], place[:, :used]
        return self.support(shown.flatten(0, 1)).unflatten(0, shown.shape[:2]), place


class CrossAttention(nn.Module):
    """Adds to (N, C, h, w) features what the painted slices hold where they are alike and near.

    Args:
        channels: C.
        width: channels of queries, keys and values, all heads together.
        seen: channels of the features of painted slices.
    """

    def __init__(self, channels: int, width: int, seen: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Conv2d(seen, width, 1)
        self.value = nn.Conv2d(seen, width, 1)
        self.place = nn.Linear(3, 2 * width)
        self.answer = nn.Conv2d(width, channels, 1)
        nn.init.zeros_(self.answer.weight)
        nn.init.zeros_(cast(Tensor, self.answer.bias))
        waves = 2.0 ** torch.arange(width // 4) * math.pi
        self.register_buffer("_waves", waves, persistent=False)

    def forward(self, features: Tensor, supports: Tensor, place: Tensor) -> Tensor:
        """(N, C, h, w), supports (N or 1, S, seen, h, w), place (N, S) in gaps → (N, C, h, w)."""
        height, width = features.shape[2:]
        query = self.query(features).flatten(2).transpose(1, 2) + self._positions(height, width, features)
        key, value = (
            layer(supports.flatten(0, 1)).unflatten(0, supports.shape[:2]).flatten(3).transpose(2, 3)
            for layer in (self.key, self.value)
        )
        about = torch.stack([place, place.abs(), (place < 0).to(place)], dim=-1)
        to_key, to_value = self.place(about).chunk(2, dim=-1)
        key = key + self._positions(supports.shape[3], supports.shape[4], features) + to_key[:, :, None]
        value = value + to_value[:, :, None]
        absent = place >= ABSENT - 1
        query, key, value = (
            part.flatten(1, -2).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query[:, None], key, value)
        )
        # By hand: torch's own attention has no second derivative, which MAML needs.
        scores = (query / math.sqrt(query.shape[-1])) @ key.transpose(-1, -2)
        if absent.any():
            barred = absent[:, :, None].expand(-1, -1, key.shape[2] // absent.shape[1]).flatten(1)
            scores = scores.masked_fill(barred[:, None, None], float("-inf"))
        found = scores.softmax(-1) @ value
        found = found.transpose(1, 2).flatten(2).transpose(1, 2).unflatten(2, (height, width))
        return features + self.answer(found)

    def _positions(self, height: int, width: int, like: Tensor) -> Tensor:
        """(h · w, width) sines and cosines of where a position lies in the slice."""
        rows, columns = (torch.linspace(0, 1, n, device=like.device, dtype=like.dtype) for n in (height, width))
        waves = cast(Tensor, self._waves).to(like)
        parts = []
        for line, shape in ((rows, (height, 1)), (columns, (1, width))):
            angle = line[:, None] * waves
            wave = torch.cat([angle.sin(), angle.cos()], dim=1)
            parts.append(wave.reshape(*shape, -1).expand(height, width, -1))
        return torch.cat(parts, dim=-1).flatten(0, 1)


def _halving(before: int, after: int) -> nn.Module:
    """Two convolutions, the first of which halves the size."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, 2, 1),
        nn.InstanceNorm2d(after, affine=True),
        nn.LeakyReLU(0.1),
        nn.Conv2d(after, after, 3, 1, 1),
        nn.InstanceNorm2d(after, affine=True),
        nn.LeakyReLU(0.1),
    )


def _same_rows(planes: Tensor) -> bool:
    return bool((planes[:1] == planes).all())
