"""Which slices are suggested."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib.answer import suggestions


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
    assert suggestions.expected_gain(probability, mask) == pytest.approx(np.mean(gains), rel=0.2)


def test_missed_pixels_count_more_than_false_ones():
    missed = suggestions.expected_gain(np.full((4, 4), 0.4), np.zeros((4, 4), bool))
    false = suggestions.expected_gain(np.full((4, 4), 0.6), np.ones((4, 4), bool))
    assert missed > false > 0


def test_suggestions_are_unpainted_ordered_and_apart():
    doubt = np.concatenate([np.zeros(5), np.hanning(11) * 10, np.hanning(9) * 8, np.zeros(5)])
    doubt[[4, 15, 24]] = 3
    found = suggestions.suggest(doubt, [4, 15, 24], axis=1, gap=8)
    indices = [one["index"] for one in found]
    assert indices[0] == 10 and indices[1] == 20 and len(set(indices)) == len(indices) <= suggestions.SUGGESTIONS
    assert not {4, 15, 24} & set(indices) and all(one["axis"] == 1 for one in found)
    scores = [one["score"] for one in found]
    assert scores[0] == 1 and scores == sorted(scores, reverse=True)


def test_without_doubt_there_is_nothing_to_suggest():
    assert suggestions.suggest(np.zeros(9), [4], 0, 3) == []
