"""Paint is read alike wherever it lies, however it is turned and labelled, and whatever else is painted."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from MetaSegmentLib.errors import InputError
from MetaSegmentLib.task.paint import read_paint

SHAPE = (22, 24, 26)


@st.composite
def structures(draw):
    """(mask, usable slices): a smooth structure, and the slices across axis 0 on which it is broad enough to see."""
    centre = [draw(st.floats(0.35, 0.65)) * size for size in SHAPE]
    radii = [draw(st.floats(0.2, 0.4)) * size for size in SHAPE]
    bumps = gaussian_filter(np.random.default_rng(draw(st.integers(0, 999))).standard_normal(SHAPE), 3)
    grid = [(i - c) / r for i, c, r in zip(np.indices(SHAPE), centre, radii, strict=True)]
    mask = sum(g**2 for g in grid) + 0.15 * bumps / bumps.std() < 1
    usable = [i for i, plane in enumerate(mask) if plane.sum() >= 25]
    assume(len(usable) >= 5)
    return mask, usable


@st.composite
def clean_paint(draw):
    """(labels, slices): one structure on one to five slices."""
    mask, usable = draw(structures())
    slices = draw(st.lists(st.sampled_from(usable), min_size=1, max_size=5, unique=True).map(sorted))
    return on(mask, slices), slices


@st.composite
def any_paint(draw):
    """Labels: clean paint with or without a mark, a slice across another axis or discs beside a slice."""
    mask, usable = draw(structures())
    labels = on(mask, usable[1::4])
    fault = draw(st.sampled_from(["none", "mark", "plane", "discs"]))
    if fault == "mark":
        labels[tuple(draw(st.integers(0, size - 1)) for size in SHAPE)] = 1
    if fault == "plane":
        labels[:, :, 13] |= mask[:, :, 13]
    if fault == "discs":
        inner = mask[usable[1]] & np.roll(mask[usable[1]], 4, 0) & np.roll(mask[usable[1]], -4, 0)
        labels[[usable[1] - 1, usable[1] + 1]] |= inner
    return labels


def on(mask, slices):
    labels = np.zeros(mask.shape, np.uint8)
    labels[slices] = mask[slices]
    return labels


def read(labels):
    """Axes, slices and warnings without their sentences, or the refusal."""
    try:
        paint = read_paint(labels, labels.shape)
    except InputError as error:
        return str(error)
    return paint.axes, paint.slices, {(w.kind, w.value, w.axis, w.slices) for w in paint.warnings}


@given(clean_paint())
def test_clean_paint_is_read_as_it_is(paint):
    labels, slices = paint
    assert read(labels) == ({1: 0}, {1: tuple(slices)}, set())


@given(any_paint(), st.permutations([0, 1, 2]), st.sets(st.integers(0, 2)))
def test_turning_the_volume_turns_the_result(labels, order, flipped):
    turned = np.flip(labels.transpose(order), tuple(flipped))
    before, after = read(labels), read(turned)
    if isinstance(before, str):
        assert isinstance(after, str)
        return

    def moved(axis, slices):
        new = order.index(axis)
        return new, tuple(sorted(SHAPE[axis] - 1 - i if new in flipped else i for i in slices))

    axes, slices, warnings = before
    assert after[0] == {1: moved(axes[1], ())[0]}
    assert after[1] == {1: moved(axes[1], slices[1])[1]}
    assert after[2] == {(kind, value, *moved(axis, own)) for kind, value, axis, own in warnings}


@given(any_paint(), st.tuples(*[st.tuples(st.integers(1, 6), st.integers(1, 6))] * 3))
def test_shifting_the_paint_shifts_the_slices(labels, margins):
    around = np.pad(labels, 1)
    before, after = read(around), read(np.pad(around, margins))
    if isinstance(before, str):
        assert isinstance(after, str)
        return
    shifts = [first for first, _ in margins]
    axes, slices, warnings = before
    assert after[0] == axes
    assert after[1] == {1: tuple(i + shifts[axes[1]] for i in slices[1])}
    assert after[2] == {(k, v, axis, tuple(i + shifts[axis] for i in own)) for k, v, axis, own in warnings}


@given(any_paint(), st.integers(1, 65535))
def test_another_label_changes_nothing_else(labels, value):
    before, after = read(labels), read(labels.astype(np.uint16) * value)
    if isinstance(before, str):
        assert isinstance(after, str)
        return
    axes, slices, warnings = before
    assert after == (
        {value: axes[1]},
        {value: slices[1]},
        {(kind, value, axis, own) for kind, _, axis, own in warnings},
    )


@given(structures(), st.data())
def test_a_clean_slice_more_never_makes_a_warning(structure, data):
    mask, usable = structure
    more = data.draw(st.lists(st.sampled_from(usable), min_size=2, max_size=6, unique=True))
    for count in range(1, len(more) + 1):
        axes, slices, warnings = read(on(mask, sorted(more[:count])))
        assert axes == {1: 0}
        assert slices == {1: tuple(sorted(more[:count]))}
        assert not warnings


@given(any_paint(), any_paint())
def test_segments_do_not_change_each_others_slices(first, second):
    second = np.where(first > 0, 0, second)
    alone, other = read(first), read(second * np.uint8(2))
    both = read(first + second * np.uint8(2))
    assume(not isinstance(alone, str) and not isinstance(other, str) and not isinstance(both, str))
    assert both == (alone[0] | other[0], alone[1] | other[1], alone[2] | other[2])
