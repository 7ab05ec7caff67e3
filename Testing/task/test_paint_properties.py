"""Painted slices are found whatever their axis, their number and their shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from MetaSegmentLib.errors import InputError
from MetaSegmentLib.task.paint import read_paint

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


def slices_by_value(painted, axis, slices):
    """Label value → those of ``slices`` that have paint of it."""
    front = np.moveaxis(painted, axis, 0)
    return {int(v): tuple(i for i in slices if (front[i] == v).any()) for v in np.unique(painted) if v}


@given(painted_blobs())
def test_axis_slices_and_labels_are_found(painted_blob):
    painted, axis, slices = painted_blob
    paint = read_paint(painted, painted.shape)
    own = slices_by_value(painted, axis, slices)
    assert dict(paint.axes) == dict.fromkeys(own, axis)
    assert list(paint.values) == sorted(own) and dict(paint.slices) == own
    front = np.moveaxis(painted, axis, 0)
    for value in paint.values:
        assert np.array_equal(paint.masks(value), front[list(own[value])] == value)
        other = {index: mask for index, mask in paint.elsewhere(value).items() if mask.any()}
        assert set(other) == set(slices) - set(own[value])
        assert all(np.array_equal(mask, front[index] > 0) for index, mask in other.items())


@given(painted_blobs(), st.permutations([0, 1, 2]), st.sets(st.integers(0, 2)))
def test_turning_the_volume_turns_the_paint(painted_blob, order, flipped):
    painted, axis, slices = painted_blob
    turned = np.flip(painted.transpose(order), tuple(flipped))
    paint = read_paint(turned, turned.shape)
    new_axis = order.index(axis)
    depth = painted.shape[axis]
    assert set(paint.axes.values()) == {new_axis}
    for value, own in slices_by_value(painted, axis, slices).items():
        assert list(paint.slices[value]) == sorted(depth - 1 - i if new_axis in flipped else i for i in own)


@given(painted_blobs(), st.data())
def test_named_slices_without_paint_say_that_nothing_is_there(painted_blob, data):
    painted, axis, slices = painted_blob
    empty = data.draw(st.sets(st.sampled_from([i for i in range(SHAPE[axis]) if i not in slices]), max_size=3))
    named = tuple(sorted({*empty, *slices}))
    paint = read_paint(painted, painted.shape, slices=[*empty, *slices], axis=axis)
    front = np.moveaxis(painted, axis, 0)
    for value in paint.values:
        assert paint.slices[value] == named, "slices that are named in a list are complete for all"
        assert np.array_equal(paint.masks(value), front[list(named)] == value)
        assert not any(mask.any() for mask in paint.elsewhere(value).values())


@given(painted_blobs(), st.data())
def test_slices_may_be_named_for_one_value(painted_blob, data):
    painted, axis, slices = painted_blob
    own = slices_by_value(painted, axis, slices)
    value = data.draw(st.sampled_from(sorted(own)))
    free = data.draw(st.sampled_from([i for i in range(SHAPE[axis]) if i not in slices]))
    paint = read_paint(painted, painted.shape, slices={value: [*own[value], free]}, axis=axis)
    assert dict(paint.slices) == {**own, value: tuple(sorted((*own[value], free)))}
    assert not paint.masks(value)[paint.slices[value].index(free)].any()


@given(painted_blobs(), st.sampled_from([np.int16, np.int64, np.uint16, np.float32]))
def test_any_type_of_whole_numbers_will_do(painted_blob, dtype):
    painted, _, _ = painted_blob
    paint = read_paint(painted.astype(dtype), painted.shape)
    expected = read_paint(painted, painted.shape)
    assert (paint.axes, paint.slices, paint.values) == (expected.axes, expected.slices, expected.values)
    assert all(np.array_equal(paint.masks(value), expected.masks(value)) for value in paint.values)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("slices", [[8], [4, 11], [2, 7, 12]])
def test_paint_across_two_axes_is_refused(first, second, slices):
    painted = np.zeros((15, 15, 15), np.uint8)
    for axis in (first, second):
        for index in slices:
            np.moveaxis(painted, axis, 0)[index, 3:12, 3:12] = 1
    with pytest.raises(InputError, match="several axes"):
        read_paint(painted, painted.shape)


@pytest.mark.parametrize("wrong", [1, 2])
def test_an_axis_that_the_paint_contradicts_is_refused(wrong):
    painted = np.zeros((15, 20, 20), np.uint8)
    painted[[3, 7, 11], 4:15, 4:15] = 1
    with pytest.raises(InputError, match="slices of axis 0, not of axis"):
        read_paint(painted, painted.shape, axis=wrong)
    assert read_paint(painted, painted.shape, axis=0).slices == {1: (3, 7, 11)}
    assert read_paint(painted, painted.shape, slices=[6, 9], axis=wrong).slices == {1: (6, 9)}


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
    paint = read_paint(painted, painted.shape)
    assert (paint.axes, paint.slices) == ({1: axis}, {1: tuple(slices)})


@pytest.mark.parametrize("width", [3, 4, 5, 6, 9])
def test_every_slice_painted_is_no_paint_on_several_axes(width):
    painted = np.zeros((30, 20, 20), np.uint8)
    painted[3:27, 6 : 6 + width, 5 : 5 + width] = 1
    paint = read_paint(painted, painted.shape, axis=0)
    assert paint.slices == {1: tuple(range(3, 27))}
