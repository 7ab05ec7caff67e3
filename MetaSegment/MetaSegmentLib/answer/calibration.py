"""How sure the program is: probabilities that were calibrated, their entropy, and the Dice to expect."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from ..networks.plan import Calibration


def entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy over the classes (axis 0), divided by its largest value log C: within [0, 1]."""
    p = np.clip(probabilities, 1e-6, 1.0)
    return np.asarray(-(p * np.log(p)).sum(0) / np.log(len(p)), np.float32)


def implied_dice(probability: NDArray[Any], mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The two halves of the Dice that calibrated probabilities imply: 2 Σ p·m and Σ p + Σ m."""
    inside = float(probability[mask].sum(dtype=np.float64))
    return 2 * inside, float(probability.sum(dtype=np.float64)) + float(mask.sum())


def expected_dice(implied: float | None, painted: int, calibration: Calibration) -> float | None:
    """Expected Dice of one structure over the unpainted slices, within [0, 1].

    Probabilities that are right on average still imply too much where things go wrong, and the more so the fewer
    slices are painted: logit(Dice) = slope · logit(implied) − scarcity / n² − bias, n slices painted, all three fitted
    on held-out episodes.

    Args:
        implied: the Dice that the probabilities imply by themselves, see :func:`implied_dice`; None where nothing was
            found on unpainted slices.
        painted: slices on which the structure is painted.

    Returns:
        None where there is nothing to go by: with one painted slice, or where nothing was found.
    """
    if painted < 2 or implied is None:
        return None
    score = calibration.dice_slope * logit(np.clip(implied, 0, 1))
    score -= calibration.dice_scarcity / painted**2 + calibration.dice_bias
    return round(float(expit(score)), 4)
