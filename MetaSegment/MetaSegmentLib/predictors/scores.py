"""How right predictors were on painted slices that they were not shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..task.frame import Mask
from ..task.task import Task
from .ensemble import Ensemble

UNKNOWN = 0.8
"""Stands for the Dice of a predictor where no painted slice can be left out."""


@dataclass(frozen=True)
class LeftOutScores:
    """What predictors reached on painted slices of a task.

    Attributes:
        dice: by predictor and painted slice, the Dice of each structure.
    """

    task: Task
    dice: Mapping[str, Mapping[int, Sequence[float]]]

    def of(self, name: str, place: int, index: int) -> float:
        """Mean Dice of a predictor for a structure, as it matters to a slice: on inner painted slices for one that lies
        between painted slices, on the outermost two for one beyond them, and never on the slice itself."""
        structure = self.task.structures[place]
        known = {i: dice[place] for i, dice in self.dice[name].items() if i != index and i in structure.filled}
        others = [i for i in structure.slices if i != index]
        between = others[0] < index < others[-1] if others else False
        alike = [dice for i, dice in known.items() if (i in structure.inner) == between]
        return float(np.mean(alike or list(known.values()) or [UNKNOWN]))


def left_out_scores(ensemble: Ensemble, names: Sequence[str]) -> LeftOutScores:
    """Dice of predictors on each painted slice that can be left out, predicted from the other painted ones.

    Of a slice that is empty and found empty it is 1.
    """
    task = ensemble.task
    without = {index: ensemble.without(index) for index in task.left_out} if names else {}
    dice = {
        name: {index: _dice(one.logits(name, (index,))[0] > 0, task.masks(index)) for index, one in without.items()}
        for name in names
    }
    return LeftOutScores(task, dice)


def _dice(found: Mask, truth: Mask) -> list[float]:
    """Of (C, H, W) masks, structure by structure."""
    both = (found & truth).sum((1, 2))
    size = found.sum((1, 2)) + truth.sum((1, 2))
    return [float(value) for value in np.where(size > 0, 2 * both / np.maximum(size, 1), 1.0)]
