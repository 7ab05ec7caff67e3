"""Doubtful paint is left out with a warning that names the slices, or refused; named slices are taken as they are."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib.errors import InputError
from MetaSegmentLib.task.doubt import numbered
from MetaSegmentLib.task.paint import read_paint
from task.paints import LEFT, RIGHT, ball, painted, read


def only_warning(paint):
    (warning,) = paint.warnings
    return warning


@pytest.mark.parametrize("place", [(12, 38, 34), (12, 20, 14), (8, 0, 0), (10, 38, 2), (5, 21, 14)])
@pytest.mark.parametrize("width", [1, 2])
def test_a_stray_mark_between_painted_slices(place, width):
    labels = painted(ball())
    labels[place[0], place[1] : place[1] + width, place[2] : place[2] + width] = 1
    paint = read(labels)
    warning = only_warning(paint)
    assert (warning.kind, warning.value, warning.axis, warning.slices) == ("stray", 1, 0, (place[0],))
    assert warning.sentence.startswith(f"Slice {place[0]} holds no more than a stray mark of")
    assert paint.doubtful == {1: ((0, place[0]),)}
    assert paint.slices == {1: (4, 9, 15)}
    assert np.array_equal(paint.labels, painted(ball())[[4, 9, 15]])


def test_a_stray_mark_far_beside_the_last_slice():
    labels = painted(ball())
    labels[17, 2, 34] = 1
    assert only_warning(read(labels)).slices == (17,)


def test_a_stray_mark_outside_the_bounds_of_a_slanting_structure():
    labels = np.zeros((30, 60, 60), np.uint8)
    for index, row in ((5, 5), (15, 25), (25, 45)):
        labels[index, row : row + 10, 5:15] = 1
    labels[10, 30, 55] = 1
    assert only_warning(read(labels)).slices == (10,)
    labels[10, 30, 55] = 0
    labels[10, 18, 10] = 1
    assert not read(labels).warnings


def test_a_stroke_over_several_slices():
    labels = painted(ball())
    labels[10:14, 20, 14] = 1
    paint = read(labels)
    assert only_warning(paint).slices == (10, 11, 12, 13)
    assert "Slices 10–13 hold" in only_warning(paint).sentence
    assert paint.index == (4, 9, 15)


def test_a_mark_on_a_slice_of_another_segment():
    labels = painted(LEFT, (5, 9, 13)) + painted(RIGHT, (6, 10, 14), 2)
    labels[10, 2, 2] = 1
    paint = read(labels, names={1: "Liver"})
    assert paint.slices == {1: (5, 9, 13), 2: (6, 10, 14)}
    assert "Slice 10 of 'Liver'" in only_warning(paint).sentence
    assert not (paint.labels[paint.index.index(10)] == 1).any()


def test_a_mark_on_a_painted_slice_stays():
    labels = painted(ball())
    labels[9, 38, 34] = 1
    paint = read(labels)
    assert not paint.warnings
    assert paint.labels[1, 38, 34] == 1


def sphere_brush(drawn, slices, radius, thickness, shape):
    """Discs painted at one place, as a ball leaves them on slices ``thickness`` pixels apart."""
    labels = painted(drawn, slices)
    rows, columns = np.indices(shape[1:])
    away = 1
    while away * thickness < radius:
        disc = (rows - 21) ** 2 + (columns - 14) ** 2 <= radius**2 - (away * thickness) ** 2
        for index in slices:
            for beside in {index - away, index + away} - set(slices):
                labels[beside][disc & drawn[index]] = 1
        away += 1
    return labels


@pytest.mark.parametrize(("radius", "thickness"), [(3, 1), (4, 2), (5, 4), (4, 3.5)])
def test_discs_of_a_3d_brush(radius, thickness):
    labels = sphere_brush(ball(), (4, 9, 15), radius, thickness, ball().shape)
    paint = read(labels)
    assert paint.slices == {1: (4, 9, 15)}
    warning = only_warning(paint)
    assert warning.kind == "brush"
    assert warning.slices == tuple(np.setdiff1d(np.flatnonzero(labels.any(axis=(1, 2))), [4, 9, 15]))
    assert "beside slices 4, 9 and 15" in warning.sentence


def test_the_same_disc_on_both_sides():
    labels = painted(ball())
    rows, columns = np.indices(labels.shape[1:])
    disc = ((rows - 21) / 5) ** 2 + ((columns - 14) / 4) ** 2 <= 1
    for index in (4, 9, 15):
        for beside in (index - 1, index + 1):
            labels[beside][disc & ball()[index]] = 1
    assert read(labels).slices == {1: (4, 9, 15)}


def test_a_3d_brush_put_once_into_a_long_structure():
    labels = np.zeros((20, 40, 36), np.uint8)
    labels[[4, 9, 14], 5:35, 15:20] = 1
    labels[[8, 10], 18:23, 15:20] = 1
    paint = read(labels)
    assert paint.slices == {1: (4, 9, 14)}
    assert only_warning(paint).slices == (8, 10)


def test_a_3d_brush_on_the_only_painted_slice():
    labels = np.zeros((20, 40, 36), np.uint8)
    labels[10, 6:34, 5:31] = 1
    for away, inset in ((1, 1), (2, 3)):
        labels[[10 - away, 10 + away], 6 + inset : 34 - inset, 5 + inset : 31 - inset] = 1
    paint = read(labels)
    assert paint.slices == {1: (10,)}
    assert only_warning(paint).slices == (8, 9, 11, 12)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_slice_across_another_axis(axis):
    crossed = painted(ball()) | painted(ball(), [18], axis=axis)
    paint = read(crossed)
    warning = only_warning(paint)
    assert (warning.kind, warning.axis, warning.slices) == ("plane", axis, (18,))
    assert f"Slice 18 across axis {axis} was not used" in warning.sentence
    assert paint.doubtful == {1: ((axis, 18),)}
    assert (paint.axis, paint.index) == (0, (4, 9, 15))


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("slices", [[8], [4, 11], [2, 7, 12]])
def test_as_many_slices_across_two_axes_are_refused(first, second, slices):
    labels = np.zeros((15, 15, 15), np.uint8)
    for axis in (first, second):
        for index in slices:
            np.moveaxis(labels, axis, 0)[index, 3:12, 3:12] = 1
    with pytest.raises(InputError, match="several axes"):
        read(labels)


@pytest.mark.parametrize("degrees", [5, 10, 15, 25, 35])
@pytest.mark.parametrize("about", [1, 2])
def test_turned_planes_are_refused(degrees, about):
    mask = ball((32, 64, 60), (16, 32, 30), (11, 18, 16))
    grid = np.indices(mask.shape)
    angle = np.deg2rad(degrees)
    depth = np.sin(angle) * 0.9 * (grid[about] - 30) + np.cos(angle) * 1.5 * (grid[0] - 16)
    labels = (mask & np.any([np.abs(depth - at) <= 0.75 for at in (-9, 0, 9)], axis=0)).astype(np.uint8)
    with pytest.raises(InputError, match="align the slice views to the volume"):
        read(labels)
    named = np.flatnonzero(labels.any(axis=(1, 2)))
    assert read(labels, slices=named.tolist()).slices == {1: tuple(named)}


def test_an_axis_that_cannot_be_told_is_refused():
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[5:11, 6:12, 7:13] = 1
    with pytest.raises(InputError, match="name the axis"):
        read(labels)
    assert read(labels, axis=1).index == tuple(range(6, 12))
    assert read(labels, slices=range(6, 12)).axis == 1
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[4, 4, 4] = 1
    with pytest.raises(InputError, match="name the axis"):
        read(labels)


@pytest.mark.parametrize(("slices", "axis"), [([4, 9, 12, 15], None), ({1: [4, 9, 12, 15]}, None), ([4, 9, 12, 15], 0)])
def test_named_slices_are_not_doubted(slices, axis):
    labels = painted(ball())
    labels[12, 38, 34] = 1
    paint = read(labels, slices=slices, axis=axis)
    assert paint.slices == {1: (4, 9, 12, 15)}
    assert not paint.warnings
    assert paint.labels[2, 38, 34] == 1


def test_a_named_axis_settles_the_axis_only():
    crossed = painted(ball()) | painted(ball(), [18], axis=2)
    paint = read(crossed, axis=0)
    assert paint.index == (4, 9, 15)
    assert only_warning(paint).kind == "plane"


def test_each_segment_is_doubted_on_its_own():
    labels = painted(LEFT, (5, 9, 13)) + painted(RIGHT, (6, 10, 14), 2)
    labels[11, 2, 2] = 1
    labels[12, 2, 2] = 2
    paint = read_paint(labels, labels.shape, names={1: "Liver", 2: "Kidney"})
    assert [(w.value, w.slices) for w in paint.warnings] == [(1, (11,)), (2, (12,))]
    assert all(name in w.sentence for name, w in zip(("'Liver'", "'Kidney'"), paint.warnings, strict=True))


@pytest.mark.parametrize(
    ("slices", "words"),
    [
        ([4], "Slice 4"),
        ([4, 5], "Slices 4 and 5"),
        ([3, 5, 8], "Slices 3, 5 and 8"),
        ([3, 4, 5, 6, 12], "Slices 3–6 and 12"),
    ],
)
def test_slices_in_words(slices, words):
    assert numbered(slices) == words
