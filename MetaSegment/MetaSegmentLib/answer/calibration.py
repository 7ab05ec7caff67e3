"""How sure the program is: probabilities that were calibrated, their entropy, and the Dice to expect."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from ..networks.plan import Calibration

_BOUNDS = (0.02, 0.998)
"""Of a Dice whose log-odds are weighed: a little more or less beyond them means nothing."""
_FINITE = (1e-9, 1 - 1e-9)
"""Of a Dice whose log-odds are finite."""
_CONFIRMED = 3
"""Painted slices from which agreement counts; from two all predictors make much the same, right or wrong."""


def entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy over the classes (axis 0), divided by its largest value log C: within [0, 1]."""
    p = np.clip(probabilities, 1e-6, 1.0)
    return np.asarray(-(p * np.log(p)).sum(0) / np.log(len(p)), np.float32)


def implied_dice(probability: NDArray[Any], mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The two halves of the Dice that calibrated probabilities imply: 2 Σ p·m and Σ p + Σ m."""
    inside = float(probability[mask].sum(dtype=np.float64))
    return 2 * inside, float(probability.sum(dtype=np.float64)) + float(mask.sum())


def expected_dice(
    implied: float | None, painted: int, calibration: Calibration, agreed: float | None = None
) -> float | None:
    """Expected Dice of one structure over the unpainted slices, within [0, 1].

    Probabilities that are right on average still imply too much where things go wrong, and the more so the fewer
    slices are painted: logit(Dice) = slope · logit(implied) − scarcity / n² − bias, n slices painted, all three fitted
    on held-out episodes. From three painted slices on, the :func:`surplus` of agreement with simple predictors comes to
    it, weighted.

    Args:
        implied: the Dice that the probabilities imply by themselves, see :func:`implied_dice`; None where nothing was
            found on unpainted slices.
        painted: slices on which the structure is painted.
        agreed: what :func:`~.agreement.agreement` finds; None where that is not known.

    Returns:
        None where there is nothing to go by: with one painted slice, or where nothing was found.
    """
    if painted < 2 or implied is None:
        return None
    score = calibration.dice_slope * logit(np.clip(implied, *_FINITE))
    score -= calibration.dice_scarcity / painted**2 + calibration.dice_bias
    if agreed is not None and painted >= _CONFIRMED:
        score += calibration.dice_agreement * surplus(agreed, implied, painted, calibration)
    return round(float(expit(score)), 4)


def surplus(agreed: ArrayLike, implied: ArrayLike, painted: ArrayLike, calibration: Calibration) -> NDArray[np.float64]:
    """How much better an answer agrees with simple predictors than other answers of which as much is implied, from as
    many painted slices: logit(agreed) − (slope · logit(implied) − scarcity / n² − bias), by linear regression on
    held-out episodes."""
    expected = calibration.agreement_slope * bounded_logit(implied) - calibration.agreement_bias
    expected -= calibration.agreement_scarcity / np.square(painted, dtype=float)
    return np.asarray(bounded_logit(agreed) - expected)


def bounded_logit(dice: ArrayLike) -> NDArray[np.float64]:
    """Log-odds of a Dice; beyond the bounds it is as good as none, or as whole."""
    return np.asarray(logit(np.clip(dice, *_BOUNDS)))
