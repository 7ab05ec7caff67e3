"""Several structures, each painted on slices of its own, as people do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from MetaSegmentLib import InputError, Settings, segment
from MetaSegmentLib.data.protocol import query_dice

SPACING = (3.0, 1.0, 1.0)
OWN = {1: (3, 8, 13, 18), 2: (5, 10, 15), 5: (4, 11, 17)}
SHAPE_ONLY = Settings(method="shape")


@pytest.fixture(scope="module")
def abdomen() -> tuple[np.ndarray, np.ndarray]:
    """Image and labels of a large body, a smaller one that touches it, and one apart; on shared slices."""
    k, j, i = np.indices((22, 76, 80)).astype(np.float32)
    labels = np.zeros(k.shape, np.uint8)
    labels[((k - 11) / 8) ** 2 + ((j - 55) / 11) ** 2 + ((i - 58) / 14) ** 2 < 1] = 5
    labels[((k - 10) / 7) ** 2 + ((j - 30) / 14) ** 2 + ((i - 52) / 12) ** 2 < 1] = 2
    labels[((k - 10) / 9.5) ** 2 + ((j - 30 - 3 * np.sin(k / 4)) / 19) ** 2 + ((i - 25) / 17) ** 2 < 1] = 1
    noise = gaussian_filter(np.random.default_rng(0).standard_normal(k.shape), 1.2)
    tissue = np.select([labels == 1, labels == 2, labels == 5], [90, 60, 120], 20)
    return gaussian_filter(tissue + 90 * noise, 0.6).astype(np.float32), labels


def painted(labels: np.ndarray, own=OWN) -> np.ndarray:
    paint = np.zeros(labels.shape, np.uint8)
    for value, slices in own.items():
        for index in slices:
            paint[index][labels[index] == value] = value
    return paint


@pytest.mark.parametrize("method", ["shape", "experts", "fusion"])
def test_each_is_as_good_together_as_alone(abdomen, method):
    image, labels = abdomen
    paint, chosen = painted(labels), Settings(method=method)
    together = segment(image, paint, SPACING, settings=chosen)
    for value, slices in OWN.items():
        alone = segment(image, np.where(paint == value, paint, 0), SPACING, settings=chosen)
        expected = query_dice(alone.labels == value, labels == value, slices)
        assert expected > 0.75
        found = query_dice(together.labels == value, labels == value, slices)
        assert found > expected - 0.02, (value, found, expected)
        if method == "fusion":
            assert abs(together.estimated_dice[value] - alone.estimated_dice[value]) < 0.05


def test_painted_voxels_are_kept_and_what_is_complete_is_complete(abdomen):
    image, labels = abdomen
    paint = painted(labels)
    result = segment(image, paint, SPACING, settings=SHAPE_ONLY)
    for value, slices in OWN.items():
        for index in slices:
            assert np.array_equal(result.labels[index] == value, paint[index] == value)
    assert np.array_equal(result.labels[paint > 0], paint[paint > 0])
    assert result.report["support_slices"] == sorted({index for slices in OWN.values() for index in slices})


def test_a_slice_painted_for_one_is_not_empty_for_another(abdomen):
    image, labels = abdomen
    result = segment(image, painted(labels), SPACING, settings=SHAPE_ONLY)
    for value in OWN:
        others = {index for other, slices in OWN.items() if other != value for index in slices}
        there = [index for index in sorted(others - {*OWN[value]}) if OWN[value][0] < index < OWN[value][-1]]
        assert len(there) >= 3
        for index in there:
            assert query_dice(result.labels[[index]] == value, labels[[index]] == value, []) > 0.7, (value, index)


def test_slices_named_in_a_list_are_complete_for_all(abdomen):
    image, labels = abdomen
    paint = painted(labels)
    named = sorted({index for slices in OWN.values() for index in slices})
    result = segment(image, paint, SPACING, slices=named, settings=SHAPE_ONLY)
    assert np.array_equal(result.labels[named], paint[named])
    assert not any(suggested["index"] in named for suggested in result.suggested_slices)


def test_slices_may_be_named_for_one_only(abdomen):
    image, labels = abdomen
    paint, end = painted(labels), 16
    mapping = {**OWN, 2: (*OWN[2], end)}
    result = segment(image, paint, SPACING, slices=mapping, settings=SHAPE_ONLY)
    usual = segment(image, paint, SPACING, settings=SHAPE_ONLY)
    assert (usual.labels[end] == 2).any() and not (result.labels[end:] == 2).any()
    for value in (1, 5):
        changed = (result.labels == value) != (usual.labels == value)
        assert not changed[: OWN[2][-1]].any(), "what is absent there leaves room, and changes nothing else"


def test_what_is_not_named_keeps_the_slices_it_is_painted_on(abdomen):
    image, labels = abdomen
    paint = painted(labels)
    whole = segment(image, paint, SPACING, settings=SHAPE_ONLY)
    result = segment(image, paint, SPACING, slices={2: OWN[2]}, settings=SHAPE_ONLY)
    assert np.array_equal(result.labels, whole.labels)


def test_paint_that_is_not_named_is_no_support(abdomen):
    """A stray slice of one structure is taken off by naming the others."""
    image, labels = abdomen
    some = {**OWN, 1: (3, 8, 18)}
    named = segment(image, painted(labels), SPACING, slices=some, settings=SHAPE_ONLY)
    assert list(named.estimated_dice) == [1, 2, 5]
    assert query_dice(named.labels == 1, labels == 1, some[1]) > 0.8
    with pytest.raises(InputError):
        segment(image, painted(labels), SPACING, slices={1: (0, 1)}, settings=SHAPE_ONLY)


def test_a_structure_painted_once_beside_one_painted_often(abdomen):
    image, labels = abdomen
    own = {1: OWN[1], 2: (10,)}
    result = segment(image, painted(labels, own), SPACING, settings=Settings(method="experts"))
    assert result.estimated_dice[2] is None and result.estimated_dice[1] > 0.7
    assert query_dice(result.labels == 1, labels == 1, own[1]) > 0.85
    assert query_dice(result.labels == 2, labels == 2, own[2]) > 0.6
