"""How sure the program is, and which slice to paint next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from .settings import SuggestedSlice

SUGGESTIONS = 5
_LEAST_SHARE = 0.02
"""A slice with less than this share of the best one's score is not worth suggesting."""
_SLOPE = 1.35
_SCARCITY = 3.5
"""See :func:`estimate_dice`."""
_DICE_IN_DOUBT = 0.7
"""Dice, about, of the slices that are worth suggesting."""


def entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy over the classes (axis 0), divided by its largest value log C: within [0, 1]."""
    p = np.clip(probabilities, 1e-6, 1.0)
    return np.asarray(-(p * np.log(p)).sum(0) / np.log(len(p)), np.float32)


def expected_dice(probability: NDArray[Any], mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The two halves of the Dice that calibrated probabilities promise: 2 Σ p·m and Σ p + Σ m."""
    inside = float(probability[mask].sum(dtype=np.float64))
    return 2 * inside, float(probability.sum(dtype=np.float64)) + float(mask.sum())


def estimate_dice(promised: float | None, painted: int, optimism: float) -> float | None:
    """Expected Dice of one structure over the unpainted slices, within [0, 1]; None with one painted slice, and where
    nothing was found on the others.

    Probabilities that are right on average still promise too much where things go wrong, and the more so the fewer
    slices are painted: logit(Dice) = a · logit(promised) − b / n² − optimism, n slices painted, a and b fitted on
    200 tasks of held-out training volumes. The Dice of the painted slices, predicted from one another, serves as well
    as their number there but adds nothing to it.

    Args:
        promised: the Dice that the probabilities promise by themselves, see :func:`expected_dice`; None where they
            promise nothing.
        painted: slices on which the structure is painted.
        optimism: of the method, see ``Trust``.
    """
    if promised is None or painted < 2:
        return None
    score = _SLOPE * logit(np.clip(promised, 0, 1)) - _SCARCITY / painted**2 - optimism
    return round(float(expit(score)), 4)


def expected_gain(probability: NDArray[Any], mask: NDArray[np.bool_]) -> float:
    """What correcting this slice is expected to gain, up to a factor common to all slices.

    To correct fn missed and fp false pixels raises a Dice D = 2 TP / (P + T) by ((2 − D) fn + D fp) / (P + T) to first
    order; calibrated probabilities expect fn = Σ p outside the mask and fp = Σ (1 − p) inside.
    """
    missed = float(probability[~mask].sum(dtype=np.float64))
    false = float((1 - probability[mask]).sum(dtype=np.float64))
    return (2 - _DICE_IN_DOUBT) * missed + _DICE_IN_DOUBT * false


def suggest(doubt: NDArray[np.float64], painted: Sequence[int], axis: int, gap: int) -> list[SuggestedSlice]:
    """The slices most worth painting, best first.

    After a slice is taken its neighbours are worth less, since painting it settles much of them too: the score falls
    off linearly within half a gap of slices that are already suggested. Next to painted slices there is little doubt
    anyway, so nothing is taken off there.

    Args:
        doubt: (slices,) expected gain of painting every slice; 0 on painted ones.
        painted: painted slices.
    """
    reach = max(gap / 2, 1.0)
    positions = np.arange(len(doubt))
    left = np.where(np.isin(positions, painted), 0.0, 1.0)
    best: list[SuggestedSlice] = []
    highest = 0.0
    while len(best) < SUGGESTIONS:
        score = doubt * left
        pick = int(score.argmax())
        if not best:
            highest = float(score[pick])
        if score[pick] <= _LEAST_SHARE * highest or highest <= 0:
            break
        best.append({"axis": axis, "index": pick, "score": float(score[pick] / highest)})
        left = np.minimum(left, np.clip(np.abs(positions - pick) / reach, 0, 1))
    return best
