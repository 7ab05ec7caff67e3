"""What experts say of slices, and how a network sees it: a stack of channels for every slice."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..task.frame import GRID, Region, Stack


@dataclass(frozen=True)
class Scale:
    """How an expert's answer is read: as the logit ``factor · answer + offset``, and by a network as
    ``answer / divisor``. Works on arrays and tensors alike."""

    factor: float = 1.0
    offset: float = 0.0
    divisor: float = 1.0

    def logit(self, answer: Any) -> Any:
        return self.factor * answer + self.offset

    def shown(self, answer: Any) -> Any:
        return answer / self.divisor

    def logit_of_shown(self, shown: Any) -> Any:
        return self.factor * self.divisor * shown + self.offset


SCALES = {
    "shape": Scale(0.5, divisor=10),
    "propagation": Scale(0.5, divisor=10),
    "grow": Scale(6, offset=-3),
    "pixels": Scale(divisor=4),
}

EXPERTS = tuple(SCALES)
"""Names of the experts that need no learning; a channel of the network is called after each."""

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
"""What a network sees of a slice; see :attr:`Evidence.inputs`."""

IMAGE_CHANNELS = tuple(place for place, name in enumerate(CHANNELS) if "image" in name)
"""Channels that hold intensities."""


def lies_inside(inputs: Any) -> Any:
    """(N,) whether slices lie between the painted slices they are predicted from; inputs (N, channels, H, W).

    An outermost painted slice, predicted from the others, lies beyond them and is still full of the structure. To
    learn from that would teach a method to run past the ends, so only slices between serve to adapt and to calibrate.
    """
    return inputs[:, CHANNELS.index("outside"), 0, 0] < 0.5


@dataclass(frozen=True, eq=False)
class SliceEvidence:
    """What the experts say of one slice, and where it lies.

    Attributes:
        answers: (GRID, GRID) by name of the channel, as experts give them; half floats, since a tall volume has
            hundreds of slices.
        near: the two painted slices that say most of it.
        scalars: by name of the channel, each the same on the whole slice.
    """

    answers: Mapping[str, NDArray[np.float16]]
    near: tuple[int, int]
    scalars: Mapping[str, float]

    def without(self, experts: Collection[str]) -> SliceEvidence:
        """The same, had some experts said nothing."""
        if not experts:
            return self
        return replace(self, answers={name: one for name, one in self.answers.items() if _expert(name) not in experts})


@dataclass(frozen=True, eq=False)
class Evidence(Sequence[NDArray[np.float16]]):
    """What the experts say of some slices of a region, in the order of ``slices``.

    As a sequence it holds what a network sees of each slice, made when it is asked for.
    """

    region: Region
    slices: tuple[int, ...]
    parts: tuple[SliceEvidence, ...]

    def logits(self, name: str) -> Stack:
        """(T, GRID, GRID) logits of one expert."""
        return _stack([SCALES[name].logit(part.answers[name].astype(np.float32)) for part in self.parts], (GRID, GRID))

    @property
    def inputs(self) -> Stack:
        """(T, len(CHANNELS), GRID, GRID) network inputs."""
        return _stack(list(self), (len(CHANNELS), GRID, GRID)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.slices)

    @overload
    def __getitem__(self, place: int) -> NDArray[np.float16]: ...
    @overload
    def __getitem__(self, place: slice) -> list[NDArray[np.float16]]: ...
    def __getitem__(self, place: int | slice) -> NDArray[np.float16] | list[NDArray[np.float16]]:
        """(len(CHANNELS), GRID, GRID) network inputs; zeros for experts that say nothing."""
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        region, index, part = self.region, self.slices[place], self.parts[place]
        planes = dict.fromkeys(CHANNELS, np.zeros((GRID, GRID), np.float32))
        planes |= {name: SCALES[_expert(name)].shown(one.astype(np.float32)) for name, one in part.answers.items()}
        for name, near in zip(("image below", "image", "image above"), (-1, 0, 1), strict=True):
            planes[name] = region.image(index + near)
        for number, near in enumerate(part.near, start=1):
            planes[f"painted image {number}"] = region.image(near)
            planes[f"painted shape {number}"] = SCALES["shape"].shown(_known_distance(region, near))
        planes |= {name: np.full((GRID, GRID), value, np.float32) for name, value in part.scalars.items()}
        return np.stack(list(planes.values())).astype(np.float16)


def _expert(channel: str) -> str:
    """An expert's channels begin with its name."""
    return channel.split()[0]


def _known_distance(region: Region, index: int) -> Stack:
    distance = region.distances[index]
    return np.full((GRID, GRID), -10.0, np.float32) if distance is None else distance


def _stack(arrays: Sequence[NDArray[Any]], shape: tuple[int, ...]) -> NDArray[Any]:
    return np.stack(arrays) if arrays else np.zeros((0, *shape), np.float32)
