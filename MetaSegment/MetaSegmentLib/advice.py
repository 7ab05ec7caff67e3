"""How sure the program is, and which slice to paint next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .settings import SuggestedSlice

if TYPE_CHECKING:
    from .episode import Episode

SUGGESTIONS = 5
_LEAST_SHARE = 0.02
"""A slice with less than this share of the best one's score is not worth suggesting."""


def entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy over the classes (axis 0), divided by its largest value log C: within [0, 1]."""
    p = np.clip(probabilities, 1e-6, 1.0)
    return np.asarray(-(p * np.log(p)).sum(0) / np.log(len(p)), np.float32)


def expected_dice(probability: NDArray[Any], mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The two halves of the Dice that calibrated probabilities promise: 2 Σ p·m and Σ p + Σ m."""
    inside = float(probability[mask].sum(dtype=np.float64))
    return 2 * inside, float(probability.sum(dtype=np.float64)) + float(mask.sum())


def estimate_dice(episode: Episode, promised: float) -> float | None:
    """Expected Dice of one structure over the unpainted slices; None with one painted slice.

    It is what calibrated probabilities promise. On held-out training volumes neither the Dice of the painted slices
    predicted from one another nor their number added to it.

    Args:
        promised: the Dice that the probabilities promise by themselves, see :func:`expected_dice`.
    """
    if len(episode.region.filled) < 2:
        return None
    return round(promised, 4)


def suggest(doubt: NDArray[np.float64], painted: Sequence[int], axis: int, gap: int) -> list[SuggestedSlice]:
    """The slices most worth painting, best first.

    The doubt of a slice is its entropy summed over pixels. After a slice is taken its neighbours are worth less,
    since painting it settles much of them too: the score falls off linearly within half a gap of slices that are
    painted or already suggested.

    Args:
        doubt: (slices,) summed entropy of every slice; 0 on painted ones.
        painted: painted slices.
    """
    reach = max(gap / 2, 1.0)
    positions = np.arange(len(doubt))
    nearest = np.min([np.abs(positions - index) for index in painted], axis=0, initial=reach)
    best: list[SuggestedSlice] = []
    highest = 0.0
    while len(best) < SUGGESTIONS:
        score = doubt * np.clip(nearest / reach, 0, 1)
        pick = int(score.argmax())
        if not best:
            highest = float(score[pick])
        if score[pick] <= _LEAST_SHARE * highest or highest <= 0:
            break
        best.append({"axis": axis, "index": pick, "score": float(score[pick] / highest)})
        nearest = np.minimum(nearest, np.abs(positions - pick))
    return best
