"""Painted slices are found whatever their axis, their number and their shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from MetaSegmentLib.errors import InputError
from MetaSegmentLib.task.support import find_support

SHAPE = (14, 15, 16)


@st.composite
def painted_blobs(draw, closest=2):
    """(labels, axis, slices): smooth blobs of one or two labels, painted on slices at least ``closest`` apart."""
    seed = draw(st.integers(0, 10_000))
    axis = draw(st.integers(0, 2))
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), draw(st.floats(1.5, 4.0)))
    high = np.quantile(noise, draw(st.floats(0.6, 0.9)))
    labels = ((noise > high) * np.where(np.arange(SHAPE[2]) < draw(st.integers(0, SHAPE[2])), 1, 2)).astype(np.uint8)
    front = np.moveaxis(labels, axis, 0)
    # A line of voxels lies in two planes at once.
    usable = [i for i, plane in enumerate(front) if np.count_nonzero(plane) >= 9 and _is_broad(plane)]
    wanted = draw(st.lists(st.sampled_from(usable or [0]), min_size=1, max_size=6, unique=True).map(sorted))
    slices = [i for n, i in enumerate(wanted) if n == 0 or i - wanted[n - 1] >= closest]
    assume(usable)
    painted = np.zeros_like(labels)
    np.moveaxis(painted, axis, 0)[slices] = front[slices]
    return painted, axis, slices


def _is_broad(plane):
    return plane[:-1, :-1][(plane[1:, :-1] > 0) & (plane[:-1, 1:] > 0) & (plane[1:, 1:] > 0)].any()


@given(painted_blobs())
def test_axis_slices_and_labels_are_found(painted_blob):
    painted, axis, slices = painted_blob
    support = find_support(painted, painted.shape)
    assert support.axis == axis
    assert list(support.slices) == slices
    assert np.array_equal(support.labels, np.moveaxis(painted, axis, 0)[slices])
    assert list(support.values) == [v for v in np.unique(painted) if v]
    for value in support.values:
        assert np.array_equal(support.masks(value), np.moveaxis(painted == value, axis, 0)[slices])


@given(painted_blobs(), st.permutations([0, 1, 2]), st.sets(st.integers(0, 2)))
def test_turning_the_volume_turns_the_support(painted_blob, order, flipped):
    painted, axis, slices = painted_blob
    turned = np.flip(painted.transpose(order), tuple(flipped))
    support = find_support(turned, turned.shape)
    new_axis = order.index(axis)
    depth = painted.shape[axis]
    assert support.axis == new_axis
    assert list(support.slices) == sorted(depth - 1 - i if new_axis in flipped else i for i in slices)


@given(painted_blobs(), st.data())
def test_named_slices_without_paint_say_that_nothing_is_there(painted_blob, data):
    painted, axis, slices = painted_blob
    empty = data.draw(st.sets(st.sampled_from([i for i in range(SHAPE[axis]) if i not in slices]), max_size=3))
    support = find_support(painted, painted.shape, slices=[*empty, *slices], axis=axis)
    assert list(support.slices) == sorted({*empty, *slices})
    for index, plane in zip(support.slices, support.labels, strict=True):
        assert plane.any() == (index in slices)


@given(painted_blobs(), st.sampled_from([np.int16, np.int64, np.uint16, np.float32]))
def test_any_type_of_whole_numbers_will_do(painted_blob, dtype):
    painted, _, _ = painted_blob
    support = find_support(painted.astype(dtype), painted.shape)
    expected = find_support(painted, painted.shape)
    assert (support.axis, support.slices, support.values) == (expected.axis, expected.slices, expected.values)
    assert np.array_equal(support.labels, expected.labels)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("slices", [[8], [4, 11], [2, 7, 12]])
def test_paint_across_two_axes_is_refused(first, second, slices):
    painted = np.zeros((15, 15, 15), np.uint8)
    for axis in (first, second):
        for index in slices:
            np.moveaxis(painted, axis, 0)[index, 3:12, 3:12] = 1
    with pytest.raises(InputError, match="several axes"):
        find_support(painted, painted.shape)


@pytest.mark.parametrize("wrong", [1, 2])
def test_an_axis_that_the_paint_contradicts_is_refused(wrong):
    painted = np.zeros((15, 20, 20), np.uint8)
    painted[[3, 7, 11], 4:15, 4:15] = 1
    with pytest.raises(InputError, match="slices of axis 0, not of axis"):
        find_support(painted, painted.shape, axis=wrong)
    assert find_support(painted, painted.shape, axis=0).slices == (3, 7, 11)
    assert find_support(painted, painted.shape, slices=[6, 9], axis=wrong).slices == (6, 9)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(
    ("width", "slices"),
    [
        (3, [4, 5]),
        (3, [4, 5, 6, 10]),
        (3, [2, 3, 4, 5, 6, 7, 8, 9, 12]),
        (5, [2, 3, 4, 5, 6, 7, 8, 9, 12]),
        (9, [2, 3, 4, 5, 6, 7, 8, 9, 12]),
    ],
)
def test_slices_in_a_row_are_found_where_there_is_a_gap(axis, width, slices):
    painted = np.zeros((14, 20, 20), np.uint8)
    painted[slices, 6 : 6 + width, 5 : 5 + width] = 1
    painted = np.moveaxis(painted, 0, axis)
    support = find_support(painted, painted.shape)
    assert (support.axis, list(support.slices)) == (axis, slices)


@pytest.mark.parametrize("width", [3, 4, 5, 6, 9])
def test_every_slice_painted_is_no_paint_on_several_axes(width):
    painted = np.zeros((30, 20, 20), np.uint8)
    painted[3:27, 6 : 6 + width, 5 : 5 + width] = 1
    support = find_support(painted, painted.shape, axis=0)
    assert list(support.slices) == list(range(3, 27))
