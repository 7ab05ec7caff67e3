"""How good a result is thought to be."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib.answer.calibration import entropy, expected_dice, implied_dice
from MetaSegmentLib.networks.plan import Calibration

SCARCE = Calibration(dice_bias=0.5, dice_scarcity=1.0)


def test_the_estimate_grows_with_what_is_implied_and_with_the_paint():
    grid = [[expected_dice(implied, painted, SCARCE) for painted in (2, 3, 5, 8)] for implied in (0.5, 0.8, 0.95)]
    assert (np.diff(grid, axis=0) > 0).all() and (np.diff(grid, axis=1) > 0).all()
    assert expected_dice(0.9, 5, Calibration(dice_bias=1.0)) < expected_dice(0.9, 5, Calibration(dice_bias=0.5))
    # Rounding may carry a sum just past the ends.
    assert expected_dice(1 + 1e-12, 5, SCARCE) == 1 and expected_dice(-1e-12, 5, SCARCE) == 0


def test_without_anything_to_go_by_there_is_no_estimate():
    assert expected_dice(0.9, 1, SCARCE) is None, "one painted slice"
    assert expected_dice(None, 5, SCARCE) is None, "nothing found"


def test_the_implied_dice_is_the_one_met_when_probabilities_hold():
    random = np.random.default_rng(0)
    probability = random.random((200, 200)) ** 2
    mask = probability > 0.5
    truth = random.random(probability.shape) < probability
    twice, both = implied_dice(probability, mask)
    assert twice / both == pytest.approx(2 * (truth & mask).sum() / (truth.sum() + mask.sum()), abs=0.02)


def test_entropy_is_within_0_and_1():
    sure, even = np.zeros((3, 2, 2), np.float32), np.full((3, 2, 2), 1 / 3, np.float32)
    sure[1] = 1
    assert entropy(sure).max() < 1e-4 and entropy(even) == pytest.approx(1)
