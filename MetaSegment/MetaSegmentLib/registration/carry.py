"""Other volumes of the same structures: other patients, another day, another phase.

Each volume is laid onto the target and carries its segmentation over; where several do, each counts at a voxel by how
alike the two images are around it (locally weighted voting, Artaechevarria et al., IEEE TMI 2009). A few slices of what
arrives are treated as if they had been painted: the same method then lets every slice of the target, those included,
follow its own image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..progress import Progress
from ..task.paint import Paint, PaintedSlices
from ..task.volume import Volume
from .found import Evidence
from .likeness import around
from .volumes import VolumeRegistration

CARRIED_SLICES = 8
"""At most so many slices of each carried structure are treated as painted."""
ENOUGH_PAINTED = 3
"""With so many slices of its own painted, a structure needs nothing that was carried."""
_FLOOR = 0.05
"""What a volume counts at least, where it is like the target nowhere."""
_SHARPNESS = 2.0
"""Power of the likeness by which volumes count."""

Labels = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False)
class Source:
    """A volume whose structures are known.

    Attributes:
        labels: (K, J, I) on its voxels.
        weight: how much it counts beside others.
    """

    volume: Volume
    labels: Labels
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Carried:
    """Structures as they arrive in the target.

    Attributes:
        labels: (K, J, I) on the target's voxels.
        chances: label value → (K, J, I) how likely it is at each voxel.
        evidence: label value → what speaks for its being there; without those that did not arrive.
    """

    labels: Labels
    chances: dict[int, NDArray[np.float32]]
    evidence: dict[int, Evidence]


def carry(sources: Sequence[Source], target: Volume, progress: Progress | None = None, sure: bool = False) -> Carried:
    """Carry the structures of one volume or more to another one.

    Args:
        sure: they are there, so it is not looked whether they come back again.
    """
    progress = progress or Progress()
    check = progress.check
    values = sorted({int(value) for source in sources for value in np.unique(source.labels) if value})
    votes = {value: np.zeros(target.array.shape, np.float32) for value in values}
    counted = {value: np.zeros(target.array.shape, np.float32) for value in values}
    likenesses = []
    for source in progress.steps("laying the volumes onto each other", sources):
        registration = VolumeRegistration(source.volume, target, source.labels > 0, check)
        likeness = registration.likeness()
        likenesses.append(likeness)
        weight = source.weight * (_FLOOR + likeness**_SHARPNESS) if len(sources) > 1 else np.float32(1)
        for value in np.unique(source.labels[source.labels > 0]).tolist():
            chance = registration.carry(source.labels == value)
            votes[value] += weight * chance
            counted[value] += weight
    chances = {value: votes.pop(value) / counted.pop(value) for value in values}
    labels = np.zeros(target.array.shape, np.result_type(*(source.labels.dtype for source in sources)))
    best = np.full(target.array.shape, 0.5, np.float32)
    for value, chance in chances.items():
        labels[chance > best] = value
        np.maximum(best, chance, out=best)
    # One support that lies well is evidence enough, wherever the others went astray.
    nearest = max(range(len(sources)), key=lambda n: _alike(likenesses[n], labels > 0, target))
    back = _certain if sure else _back(sources[nearest], target, labels, check)
    found = [value for value in values if (labels == value).any()]
    evidence = {v: _evidence(v, labels, sources, target, likenesses, back) for v in found}
    return Carried(labels, chances, evidence)


def as_painted(carried: Carried, found: Sequence[int], axis: int, own: Paint | None = None) -> Paint | None:
    """Slices of the carried structures ``found`` as paint, evenly over the range of each; None where there are none.

    Args:
        own: slices of the target that were painted, along the same axis. They are taken as they are; a structure with
            enough of them takes nothing else.
    """
    front = np.moveaxis(carried.labels, axis, 0)
    slices = {} if own is None else {value: list(some) for value, some in own.slices.items()}
    for value in found:
        painted = slices.get(value, [])
        if len(painted) < ENOUGH_PAINTED:
            spread = [i for i in _spread(front == value) if all(abs(i - other) > 1 for other in painted)]
            slices[value] = sorted({*painted, *spread})
    slices = {value: some for value, some in sorted(slices.items()) if some}
    index = sorted({i for some in slices.values() for i in some} | set(() if own is None else own.index))
    if not index:
        return None
    dtype = carried.labels.dtype if own is None else np.result_type(carried.labels, own.labels)
    planes = np.zeros((len(index), *front.shape[1:]), dtype)
    for plane, i in zip(planes, index, strict=True):
        drawn = None if own is None or i not in own.index else own.labels[own.index.index(i)]
        complete = () if own is None else [value for value, some in own.slices.items() if i in some]
        plane[:] = np.where(np.isin(front[i], [v for v in found if v not in complete]), front[i], 0)
        if drawn is not None:
            plane[drawn > 0] = drawn[drawn > 0]
    if own is None:
        held = {int(value) for value in np.unique(planes)}
        slices = {value: some for value, some in slices.items() if value in held}
    stacks = {axis: PaintedSlices(tuple(index), planes)}
    return Paint(dict.fromkeys(slices, axis), {v: tuple(some) for v, some in slices.items()}, stacks=stacks)


def _spread(mask: NDArray[np.bool_]) -> list[int]:
    """The middles of CARRIED_SLICES equal parts of the slices that hold a structure."""
    occupied = np.flatnonzero(mask.any(axis=(1, 2)))
    count = min(CARRIED_SLICES, len(occupied))
    places = np.linspace(0, len(occupied) - 1, 2 * count + 1)[1::2]
    return [int(occupied[round(place)]) for place in places] if count else []


def _back(source: Source, target: Volume, labels: Labels, check: Callable[[], None]) -> Callable[[int], float]:
    """How well a structure comes back to where it set out, by a registration the other way round."""
    if not labels.any():
        return lambda _value: 0.0
    back = VolumeRegistration(target, source.volume, labels > 0, check)

    def returned(value: int) -> float:
        return _dice(back.carry(labels == value) > 0.5, source.labels == value)

    return returned


def _certain(_value: int) -> float:
    return 1.0


def _evidence(
    value: int,
    labels: Labels,
    sources: Sequence[Source],
    target: Volume,
    likenesses: Sequence[NDArray[np.float32]],
    back: Callable[[int], float],
) -> Evidence:
    there = labels == value
    whose = [n for n, source in enumerate(sources) if (source.labels == value).any()]
    likeness = max(_alike(likenesses[n], there, target) for n in whose)
    before = np.mean([(sources[n].labels == value).sum() * np.prod(sources[n].volume.spacing) for n in whose])
    growth = abs(math.log(float(there.sum() * np.prod(target.spacing) / before)))
    return Evidence(likeness, back(value), growth)


def _alike(likeness: NDArray[np.float32], there: NDArray[np.bool_], target: Volume) -> float:
    """Mean likeness of the images at a structure and close by; 0 where there is none."""
    if not there.any():
        return 0.0
    near = around(there, [max(1, round(2 * min(target.spacing) / mm)) for mm in target.spacing])
    return float(likeness[near].mean())


def _dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 0.0
