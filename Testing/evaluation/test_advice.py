"""How good a result is thought to be, and which slices are suggested."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib import advice


def test_the_estimate_grows_with_what_is_promised_and_with_the_paint():
    assert advice.estimate_dice(0.9, 1, 0.5) is None and advice.estimate_dice(None, 5, 0.5) is None
    grid = [[advice.estimate_dice(promised, painted, 0.5) for painted in (2, 3, 5, 8)] for promised in (0.5, 0.8, 0.95)]
    assert (np.diff(grid, axis=0) > 0).all() and (np.diff(grid, axis=1) > 0).all()
    assert advice.estimate_dice(0.9, 5, 1.0) < advice.estimate_dice(0.9, 5, 0.5)
    # Rounding may carry a sum just past the ends.
    assert advice.estimate_dice(1 + 1e-12, 5, 0.5) == 1 and advice.estimate_dice(-1e-12, 5, 0.5) == 0


def test_the_expected_gain_is_the_gain_in_dice_when_probabilities_hold():
    random = np.random.default_rng(0)
    probability = np.clip(random.normal(0.5, 0.3, (60, 60)), 0, 1)
    probability[:40] = 1.0  # a structure whose other slices leave a Dice of about .7 in all
    mask = probability > 0.5
    truths = random.random((400, *probability.shape)) < probability
    elsewhere_both, elsewhere_one = 2000, 2200  # true positives, and errors of the other slices
    gains = []
    for truth in truths:
        both, one = (truth & mask).sum() + elsewhere_both, (truth ^ mask).sum()
        before = 2 * both / (2 * both + one + elsewhere_one)
        fixed = truth.sum() + elsewhere_both
        gains.append((2 * fixed / (2 * fixed + elsewhere_one) - before) * (2 * both + one + elsewhere_one))
    assert advice.expected_gain(probability, mask) == pytest.approx(np.mean(gains), rel=0.2)


def test_missed_pixels_count_more_than_false_ones():
    missed = advice.expected_gain(np.full((4, 4), 0.4), np.zeros((4, 4), bool))
    false = advice.expected_gain(np.full((4, 4), 0.6), np.ones((4, 4), bool))
    assert missed > false > 0


def test_suggestions_are_unpainted_ordered_and_apart():
    doubt = np.concatenate([np.zeros(5), np.hanning(11) * 10, np.hanning(9) * 8, np.zeros(5)])
    doubt[[4, 15, 24]] = 3
    found = advice.suggest(doubt, [4, 15, 24], axis=1, gap=8)
    indices = [one["index"] for one in found]
    assert indices[0] == 10 and indices[1] == 20 and len(set(indices)) == len(indices) <= advice.SUGGESTIONS
    assert not {4, 15, 24} & set(indices) and all(one["axis"] == 1 for one in found)
    scores = [one["score"] for one in found]
    assert scores[0] == 1 and scores == sorted(scores, reverse=True)


def test_without_doubt_there_is_nothing_to_suggest():
    assert advice.suggest(np.zeros(9), [4], 0, 3) == []
