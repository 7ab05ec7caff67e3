"""An episode: one structure of one volume, its painted slices (support) and the slices to predict (queries).

Every expert and every network meets a slice in the same way, whether it is a query, predicted from all painted
slices, or a painted slice, predicted from all *other* painted slices (leave one out). Training and the product share
this file, so a network is used exactly as it was trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .growing import GrowFromSeeds
from .pixels import PixelClassifier
from .propagation import ContourPropagation
from .region import GRID, Region, Stack
from .shape import ShapeInterpolation

EXPERTS = ("shape", "propagation", "grow", "pixels")
"""Names of the experts that need no learning."""

CHANNELS = (
    "image below",
    "image",
    "image above",
    "shape",
    "propagation",
    "grow below",
    "grow",
    "grow above",
    "pixels",
    "painted image 1",
    "painted shape 1",
    "painted image 2",
    "painted shape 2",
    "distance 1",
    "distance 2",
    "outside",
    "anisotropy",
    "painted slices",
)
"""What a network sees of a slice; see :meth:`Episode.inputs`."""

IMAGE_CHANNELS = (0, 1, 2, 9, 11)
"""Channels that hold intensities."""


@dataclass(frozen=True)
class Evidence:
    """What the experts say of some slices.

    Attributes:
        slices: slice indices, (T,).
        logits: expert name → (T, GRID, GRID) logits.
        inputs: (T, len(CHANNELS), GRID, GRID) float32 network inputs.
    """

    slices: tuple[int, ...]
    logits: dict[str, Stack]
    inputs: Stack


class Episode:
    """The experts of one region, their answers kept.

    Args:
        region: where to work and what is painted.
        seed: for the experts that draw random samples.
        before: an episode of the same volume with other painted slices; what depends on the image alone is reused.
        check: called between slices; raises to stop.
    """

    def __init__(
        self, region: Region, seed: int = 0, before: Episode | None = None, check: Callable[[], None] = lambda: None
    ) -> None:
        self.region = region
        self._check = check
        self._shape = ShapeInterpolation(region)
        self._grow = GrowFromSeeds(region)
        self._propagation: ContourPropagation = ContourPropagation(
            region, before._propagation if before else None, check
        )
        self._pixels: PixelClassifier = PixelClassifier(region, seed, before._pixels if before else None, check)
        self._kept: dict[tuple[int, ...], Evidence] = {}

    def queries(self, slices: tuple[int, ...] | None = None) -> Evidence:
        """Evidence for unpainted slices of the region (all of them by default), from all painted ones."""
        return self._evidence(self.region.support, self.region.queries if slices is None else slices)

    def left_out(self, slices: tuple[int, ...] | None = None) -> Evidence:
        """Evidence for painted slices (all of them by default), each from the other painted ones.

        Slices without which no filled one would be left are passed over.
        """
        region = self.region
        parts = []
        for index in region.support if slices is None else slices:
            others = tuple(i for i in region.support if i != index)
            if any(region.distances[i] is not None for i in others):
                parts.append(self._evidence(others, (index,)))
        return _join(parts)

    def own(self) -> Evidence:
        """Evidence for each painted slice from all painted ones, itself included."""
        return self._evidence(self.region.support, self.region.support)

    def expert_logits(self, name: str, targets: tuple[int, ...]) -> Stack:
        """(T, GRID, GRID): what one expert of EXPERTS alone says of unpainted slices."""
        support = self.region.support
        if name == "shape":
            return np.float32(0.5) * self._shape.predict(support, targets)
        if name == "propagation":
            return np.float32(0.5) * self._propagation.predict(support, targets)
        if name == "grow":
            return np.float32(6) * self._grow.predict(support, targets) - np.float32(3)
        return self._pixels.predict(support, targets)

    def _evidence(self, support: tuple[int, ...], targets: tuple[int, ...]) -> Evidence:
        key = (len(support), *support, *targets)
        if key not in self._kept:
            self._kept[key] = self._compute(support, targets)
        return self._kept[key]

    def _compute(self, support: tuple[int, ...], targets: tuple[int, ...]) -> Evidence:
        if not targets:
            return _join([])
        self._check()
        shape = self._shape.predict(support, targets)
        propagation = self._propagation.predict(support, targets)
        around = sorted({min(max(t + d, 0), self.region.depth - 1) for t in targets for d in (-1, 0, 1)})
        grown = dict(zip(around, self._grow.predict(support, around), strict=True))
        self._check()
        pixels = self._pixels.predict(support, targets)
        grow = np.stack([grown[t] for t in targets])
        logits = {"shape": shape / 2, "propagation": propagation / 2, "grow": 6 * grow - 3, "pixels": pixels}
        inputs = np.empty((len(targets), len(CHANNELS), GRID, GRID), np.float32)
        for place, target in enumerate(targets):
            below, above = (grown.get(target + d, grown[target]) for d in (-1, 1))
            inputs[place] = self._channels(
                support, target, shape[place], propagation[place], (below, grown[target], above), pixels[place]
            )
        return Evidence(targets, logits, inputs)

    def _channels(
        self,
        support: Sequence[int],
        target: int,
        shape: Stack,
        propagation: Stack,
        grown: tuple[Stack, Stack, Stack],
        pixels: Stack,
    ) -> Stack:
        region = self.region
        gap = region.gap_of(support)
        near = _nearest(support, target)
        painted: list[NDArray[Any]] = []
        for index in near:
            painted += [region.image(index), _known_distance(region, index) / 10]
        outside = target < min(support) or target > max(support)
        scalars = [
            *((target - index) / gap for index in near),
            float(outside),
            np.log(region.anisotropy) / 2,
            len(support) / 8,
        ]
        planes: list[NDArray[Any]] = [
            *(region.image(target + d) for d in (-1, 0, 1)),
            shape / 10,
            propagation / 10,
            *grown,
            pixels / 4,
            *painted,
            *(np.full((GRID, GRID), np.clip(s, -3, 3), np.float32) for s in scalars),
        ]
        return np.stack(planes).astype(np.float32)


def _nearest(support: Sequence[int], target: int) -> tuple[int, int]:
    """The painted slices that say most: one on each side, or the two nearest when all lie on one side."""
    below = [i for i in support if i <= target]
    above = [i for i in support if i > target]
    if below and above:
        return below[-1], above[0]
    ordered = sorted(support, key=lambda i: abs(i - target))
    return ordered[0], ordered[min(1, len(ordered) - 1)]


def _known_distance(region: Region, index: int) -> Stack:
    distance = region.distances[index]
    return np.full((GRID, GRID), -10.0, np.float32) if distance is None else distance


def _join(parts: Sequence[Evidence]) -> Evidence:
    if not parts:
        empty = np.zeros((0, GRID, GRID), np.float32)
        return Evidence((), dict.fromkeys(EXPERTS, empty), np.zeros((0, len(CHANNELS), GRID, GRID), np.float32))
    return Evidence(
        tuple(i for part in parts for i in part.slices),
        {name: np.concatenate([part.logits[name] for part in parts]) for name in EXPERTS},
        np.concatenate([part.inputs for part in parts]),
    )
