"""How good a result is thought to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

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
    flat = Calibration(dice_slope=0.0, dice_bias=-1.0)
    assert expected_dice(1.0, 5, flat) == expected_dice(0.0, 5, flat) == pytest.approx(0.7311)


AGREEING = replace(SCARCE, dice_agreement=0.5, agreement_slope=0.9, agreement_scarcity=2.5, agreement_bias=0.3)


def test_the_estimate_grows_with_agreement_and_is_the_plain_one_where_it_is_as_expected_or_not_known():
    plain = expected_dice(0.9, 5, SCARCE)
    as_expected = float(expit(0.9 * logit(0.9) - 2.5 / 5**2 - 0.3))
    assert expected_dice(0.9, 5, AGREEING, as_expected) == pytest.approx(plain, abs=1e-4)
    assert expected_dice(0.9, 5, AGREEING) == plain
    row = [expected_dice(0.9, 5, AGREEING, agreed) for agreed in (0.0, 0.3, 0.6, 0.9, 1.0)]
    assert (np.diff(row) > 0).all() and 0 < row[0] < row[-1] < 1
    assert expected_dice(0.9, 2, AGREEING, 0.99) == expected_dice(0.9, 2, SCARCE), "two slices confirm nothing"
    assert expected_dice(0.9, 3, AGREEING, 0.99) > expected_dice(0.9, 3, SCARCE)
    assert expected_dice(1 + 1e-12, 5, AGREEING, 0.5) == 1 and expected_dice(0.0, 5, AGREEING, 0.5) == 0


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
