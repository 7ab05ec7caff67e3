"""How right predictors were on painted slices that they were not shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..task.frame import Mask
from .ensemble import Ensemble

LeftOutDice = Mapping[str, Mapping[int, Sequence[float]]]
"""By predictor and painted slice, the Dice of each structure."""


def left_out_dice(ensemble: Ensemble, names: Sequence[str]) -> LeftOutDice:
    """Dice of predictors on each painted slice that can be left out, predicted from the other painted ones.

    Of a slice that is empty and found empty it is 1.
    """
    task = ensemble.task
    without = {index: ensemble.without(index) for index in task.left_out} if names else {}
    return {
        name: {index: _dice(one.logits(name, (index,))[0] > 0, task.masks(index)) for index, one in without.items()}
        for name in names
    }


def _dice(found: Mask, truth: Mask) -> list[float]:
    """Of (C, H, W) masks, structure by structure."""
    both = (found & truth).sum((1, 2))
    size = found.sum((1, 2)) + truth.sum((1, 2))
    return [float(value) for value in np.where(size > 0, 2 * both / np.maximum(size, 1), 1.0)]
