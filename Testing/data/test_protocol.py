"""The protocol paints the same slices and gives the same Dice as the reference, to the last digit, along any axis."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib.data import protocol
from MetaSegmentLib.errors import SettingsError


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_same_slices_and_same_dice_as_the_reference(axis, reference, blobs, real_structures):
    theirs = reference("protocol")
    random = np.random.default_rng(0)
    compared = 0
    for mask in [*blobs, *real_structures]:
        front = np.moveaxis(mask, axis, 0)
        for k in protocol.PAINTED_COUNTS:
            assert protocol.eligible(mask, k, axis) == bool(theirs.eligible(front, k))
            for placement in protocol.PLACEMENTS:
                painted = protocol.painted_slices(mask, k, placement, axis)
                assert painted == theirs.painted_slices(front, k, placement)
                prediction = mask ^ (random.random(mask.shape) < 0.05)
                expected = theirs.query_dice(np.moveaxis(prediction, axis, 0), front, painted)
                assert protocol.query_dice(prediction, mask, painted, axis) == expected
                compared += 1
    assert compared >= 60 * 3 * 2


@pytest.mark.parametrize(
    ("placement", "k", "expected"),
    [("inside", 3, [13, 20, 27]), ("inside", 5, [12, 16, 20, 24, 28]), ("ends", 3, [11, 20, 29]), ("inside", 1, [20])],
)
def test_placements_on_a_known_range(placement, k, expected):
    mask = np.zeros((40, 6, 6), bool)
    mask[10:31, 2:4, 2:4] = True
    assert protocol.painted_slices(mask, k, placement) == expected
    assert protocol.painted_slices(np.moveaxis(mask, 0, 2), k, placement, axis=2) == expected


def test_a_slice_that_misses_the_structure_is_not_painted():
    mask = np.zeros((21, 4, 4), bool)
    mask[[0, 1, 19, 20]] = True
    assert protocol.painted_slices(mask, 3, "ends") == [1, 19]


def test_unknown_placement_says_what_there_is():
    with pytest.raises(SettingsError, match="inside, ends"):
        protocol.painted_slices(np.ones((9, 4, 4), bool), 3, "middle")


def test_paint_shows_the_painted_slices_only(blobs):
    mask = blobs[3]
    for axis in range(3):
        painted = protocol.painted_slices(mask, 3, "inside", axis)
        labels = np.moveaxis(protocol.paint(mask, painted, axis), axis, 0)
        assert np.array_equal(labels[painted], np.moveaxis(mask, axis, 0)[painted])
        assert np.flatnonzero(labels.any(axis=(1, 2))).tolist() == painted


def test_dice_looks_past_painted_slices_and_at_every_other():
    mask = np.zeros((10, 4, 4), bool)
    mask[2:8] = True
    painted = [3, 5]
    prediction = mask.copy()
    prediction[painted] = False
    assert protocol.query_dice(prediction, mask, painted) == 1.0
    prediction[9] = True
    assert protocol.query_dice(prediction, mask, painted) == 2 * 64 / (64 + 80)


def test_dice_of_two_empty_masks_is_one():
    empty = np.zeros((3, 3, 3), bool)
    assert protocol.dice(empty, empty) == 1.0
    assert protocol.dice(empty, ~empty) == 0.0
