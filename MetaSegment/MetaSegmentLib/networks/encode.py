"""What a network sees: a stack of planes for every slice, queries and painted slices alike.

Training and the product share this file, so a network is used exactly as it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..predictors.ensemble import BASELINES, Ensemble
from ..predictors.scores import LeftOutScores, left_out_scores
from ..task.frame import Stack
from ..task.task import Structure, Task
from .plan import SUPPORTS, Input, Plan

SCALARS = ("distance", "outside", "anisotropy", "painted slices")
"""Sources that are the same on a whole slice."""
SCORE = " score"
"""A source with the name of a predictor before it: its Dice on the painted slices that it was not shown."""
ABSENT = 6.0
"""``support place`` of a slot without a painted slice; beyond what the place of any can be."""
_EMPTY_SHAPE = -10.0
"""Signed distance in pixels that stands for a slice on which the structure is absent."""
_FARTHEST = 3.0


@dataclass(frozen=True, eq=False)
class _Slice:
    """One slice of a task, and what predictors make of it.

    Attributes:
        logits: (C, H, W) by name and step; absent ones count as 0.
        scores: what they reached on left-out painted slices.
    """

    task: Task
    index: int
    logits: Mapping[tuple[str, int], NDArray[np.float16]]
    scores: LeftOutScores


class Encoded(Sequence[NDArray[np.float16]]):
    """(channels, H, W) network inputs of slices, each made on demand, since a tall volume has hundreds.

    Attributes:
        slices: their indices.
    """

    def __init__(self, plan: Plan, parts: Sequence[_Slice]) -> None:
        self._plan = plan
        self._parts = tuple(parts)
        self.slices = tuple(part.index for part in parts)

    def __len__(self) -> int:
        return len(self._parts)

    @overload
    def __getitem__(self, place: int) -> NDArray[np.float16]: ...
    @overload
    def __getitem__(self, place: slice) -> Encoded: ...
    def __getitem__(self, place: int | slice) -> NDArray[np.float16] | Encoded:
        if isinstance(place, slice):
            return Encoded(self._plan, self._parts[place])
        part = self._parts[place]
        planes = [_planes(part, one) for one in self._plan.inputs]
        return np.concatenate(planes).astype(np.float16)

    def only(self, places: Sequence[int]) -> Encoded:
        """The slices at some places."""
        return Encoded(self._plan, [self._parts[place] for place in places])

    def array(self) -> Stack:
        """(T, channels, H, W) of all slices at once."""
        return np.stack(list(self)).astype(np.float32)


def encode(ensemble: Ensemble, slices: Sequence[int], plan: Plan) -> Encoded:
    """Inputs for slices that are not painted, from all painted ones."""
    return Encoded(plan, _parts(ensemble, tuple(slices), plan, _scores(ensemble, plan)))


def encode_left_out(ensemble: Ensemble, plan: Plan, slices: Sequence[int] | None = None) -> Encoded:
    """Inputs for painted slices (by default all that can be left out), each from the other painted ones."""
    return encode_without(ensemble, [i for i in ensemble.task.left_out if slices is None or i in slices], plan)


def encode_without(ensemble: Ensemble, slices: Sequence[int], plan: Plan) -> Encoded:
    """Inputs for any slices, each from the painted ones other than itself."""
    scores = _scores(ensemble, plan)
    return Encoded(plan, [part for index in slices for part in _parts(ensemble.without(index), (index,), plan, scores)])


def encode_own(ensemble: Ensemble, plan: Plan) -> Encoded:
    """Inputs for painted slices from all painted ones, themselves included."""
    return Encoded(plan, _parts(ensemble, ensemble.task.slices, plan, _scores(ensemble, plan)))


def _scores(ensemble: Ensemble, plan: Plan) -> LeftOutScores:
    """What the predictors reached whose scores the plan shows."""
    names = [name for name in ensemble.names if any(one.source == name + SCORE for one in plan.inputs)]
    return left_out_scores(ensemble, names)


def _parts(ensemble: Ensemble, slices: tuple[int, ...], plan: Plan, scores: LeftOutScores) -> list[_Slice]:
    if not slices:
        return []
    wanted = {(one.source, one.step) for one in plan.inputs if one.source in ensemble.names}
    answers = {key: ensemble.logits(key[0], slices, key[1]).astype(np.float16) for key in wanted}
    return [
        _Slice(ensemble.task, index, {key: answer[place] for key, answer in answers.items()}, scores)
        for place, index in enumerate(slices)
    ]


def _planes(part: _Slice, one: Input) -> Stack:
    """(1, H, W), or (C, H, W) for what differs from structure to structure."""
    task, shape = part.task, part.task.frame.shape
    if one.source == "image":
        return task.slice_image(part.index + one.step)[None]
    if one.source in BASELINES:
        value = part.logits.get((one.source, one.step))
        if value is None:
            return np.zeros((len(task.structures), *shape), np.float32)
        return (value.astype(np.float32) - np.float32(one.offset)) / np.float32(one.scale)
    if one.source.endswith(SCORE):
        name = one.source.removesuffix(SCORE)
        known = name in part.scores.dice
        values = (part.scores.of(name, c, part.index) if known else one.offset for c in range(len(task.structures)))
        planes = [np.full(shape, value, np.float32) for value in values]
    else:
        planes = [_plane(part, structure, one) for structure in task.structures]
    return (np.stack(planes) - np.float32(one.offset)) / np.float32(one.scale)


def _plane(part: _Slice, structure: Structure, one: Input) -> Stack:
    if one.source == "painted image":
        return part.task.slice_image(nearest_painted(structure.slices, part.index)[one.step - 1])
    if one.source == "painted shape":
        distance = structure.distances[nearest_painted(structure.slices, part.index)[one.step - 1]]
        return np.full(part.task.frame.shape, _EMPTY_SHAPE, np.float32) if distance is None else distance
    if one.source.startswith("support "):
        return _support_plane(part, structure, one)
    return np.full(part.task.frame.shape, scalar(part.task, structure, part.index, one.source, one.step), np.float32)


def _support_plane(part: _Slice, structure: Structure, one: Input) -> Stack:
    """Image, signed distance or place of one of the painted slices, all of which every slice sees alike."""
    shape, shown = part.task.frame.shape, spread(structure.slices, SUPPORTS)
    if one.step > len(shown):
        return np.full(shape, ABSENT if one.source == "support place" else 0.0, np.float32)
    index = shown[one.step - 1]
    if one.source == "support image":
        return part.task.slice_image(index)
    if one.source == "support shape":
        distance = structure.distances[index]
        return np.full(shape, _EMPTY_SHAPE, np.float32) if distance is None else distance
    place = float(np.clip((part.index - index) / structure.gap, -_FARTHEST, _FARTHEST))
    return np.full(shape, place, np.float32)


def spread(painted: Sequence[int], most: int) -> tuple[int, ...]:
    """At most so many of the painted slices, evenly spread, the outermost ones among them."""
    if len(painted) <= most:
        return tuple(painted)
    return tuple(painted[place] for place in np.linspace(0, len(painted) - 1, most).round().astype(int))


def scalar(task: Task, structure: Structure, index: int, source: str, step: int = 0) -> float:
    """One of SCALARS for a slice, within ± 3."""
    painted = structure.slices
    if source == "distance":
        value = (index - nearest_painted(painted, index)[step - 1]) / structure.gap
    elif source == "outside":
        value = float(index < painted[0] or index > painted[-1])
    elif source == "anisotropy":
        value = float(np.log(task.frame.anisotropy)) / 2
    else:
        value = len(painted) / 8
    return float(np.clip(value, -_FARTHEST, _FARTHEST))


def nearest_painted(painted: Sequence[int], target: int) -> tuple[int, int]:
    """The nearest painted slices: one on each side, or the two nearest when all lie on one side."""
    below = [i for i in painted if i <= target]
    above = [i for i in painted if i > target]
    if below and above:
        return below[-1], above[0]
    ordered = sorted(painted, key=lambda i: abs(i - target))
    return ordered[0], ordered[min(1, len(ordered) - 1)]


def truth_of(task: Task, slices: Sequence[int]) -> NDArray[Any]:
    """(S, H, W) float32 masks of painted slices of a task with one structure."""
    return np.stack([task.masks(index)[0] for index in slices]).astype(np.float32)
