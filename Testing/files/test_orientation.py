"""A volume stored along other axes is the same volume."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk

from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.orientation import Turn
from MetaSegmentLib.settings import Result


@pytest.fixture
def a_scan():
    image = sitk.GetImageFromArray(np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32))
    image.SetSpacing((1.0, 2.0, 3.0))
    turned = sitk.Euler3DTransform((0, 0, 0), 0.2, -0.1, 0.3)
    image.SetDirection(turned.GetMatrix())
    return image


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
def test_any_storage_order_is_turned_onto_any_other_and_back(a_scan, order, flips):
    stored = sitk.Flip(sitk.PermuteAxes(a_scan, order), flips)
    turn = Turn.onto(Grid.of(stored), Grid.of(a_scan))
    array = sitk.GetArrayFromImage(stored)
    assert np.array_equal(turn.apply(array), sitk.GetArrayFromImage(a_scan))
    assert np.array_equal(turn.undo(turn.apply(array)), array)
    assert np.array_equal(turn.undo(np.stack([turn.apply(array)] * 2)), np.stack([array] * 2))


def test_suggested_slices_point_at_the_same_place():
    turn = Turn((2, 0, 1), (0,))
    volume = np.zeros((4, 5, 6), np.uint8)
    volume[:, :, 1] = 1
    turned = turn.apply(volume)
    assert turned[4].all()
    suggestion = {"axis": 0, "index": 4, "score": 1.0}
    there = Result(turned, turned / 2, {1: None}, [suggestion], {"axis": 0}, lambda: np.stack([1 - turned, turned]))
    result = turn.undo_result(there)
    assert result.suggested_slices == [{"axis": 2, "index": 1, "score": 1.0}] == result.report["suggested_slices"]
    assert np.array_equal(result.labels, volume) and np.array_equal(result.uncertainty, volume / 2)
    assert "probabilities" not in vars(there), "nobody asked for them"
    assert np.array_equal(result.probabilities, [1 - volume, volume])
