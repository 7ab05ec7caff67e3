"""Which slice to paint next."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..settings import SuggestedSlice

_DIGITS = 4
"""Of a score: what lies beyond differs between processes, as the last bit of sums in single precision does."""
SUGGESTIONS = 5
_LEAST_SHARE = 0.02
"""A slice with less than this share of the best one's score is not worth suggesting."""
_DICE_IN_DOUBT = 0.7
"""Dice, about, of the slices that are worth suggesting."""


def expected_gain(probability: NDArray[Any], mask: NDArray[np.bool_]) -> float:
    """What correcting this slice is expected to gain, up to a factor common to all slices.

    To correct fn missed and fp false pixels raises a Dice D = 2 TP / (P + T) by ((2 − D) fn + D fp) / (P + T) to first
    order; calibrated probabilities expect fn = Σ p outside the mask and fp = Σ (1 − p) inside.
    """
    missed = float(probability[~mask].sum(dtype=np.float64))
    false = float((1 - probability[mask]).sum(dtype=np.float64))
    return (2 - _DICE_IN_DOUBT) * missed + _DICE_IN_DOUBT * false


def suggest(gain: NDArray[np.float64], settled: Collection[int], axis: int, gap: int) -> list[SuggestedSlice]:
    """The slices most worth painting, best first.

    After a slice is taken its neighbours are worth less, since painting it settles much of them too: the score falls
    off linearly within half a gap of slices that are already suggested. Next to painted slices there is little to gain
    anyway, so nothing is taken off there.

    Args:
        gain: (slices,) expected gain of painting each slice; 0 on painted ones.
        settled: slices on which nothing is left to paint.
    """
    reach = max(gap / 2, 1.0)
    positions = np.arange(len(gain))
    left = np.where(np.isin(positions, sorted(settled)), 0.0, 1.0)
    best: list[SuggestedSlice] = []
    highest = 0.0
    while len(best) < SUGGESTIONS:
        score = gain * left
        pick = int(score.argmax())
        if not best:
            highest = float(score[pick])
        if score[pick] <= _LEAST_SHARE * highest or highest <= 0:
            break
        best.append({"axis": axis, "index": pick, "score": round(float(score[pick] / highest), _DIGITS)})
        left = np.minimum(left, np.clip(np.abs(positions - pick) / reach, 0, 1))
    return best
