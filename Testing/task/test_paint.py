"""Reading paint: the support slices of every segment, and what is refused."""

from __future__ import annotations

import time

import numpy as np
import pytest

from MetaSegmentLib.errors import InputError
from MetaSegmentLib.task.paint import read_paint
from task.paints import LEFT, RIGHT, SHAPE, ball, painted, read


@pytest.fixture
def two_structures():
    """Segment 1 on slices 5, 9, 13 and segment 2 on slices 6, 10, 14."""
    return painted(LEFT, (5, 9, 13)) + painted(RIGHT, (6, 10, 14), 2)


def test_every_segment_has_slices_of_its_own(two_structures):
    paint = read(two_structures)
    assert paint.axes == {1: 0, 2: 0}
    assert paint.slices == {1: (5, 9, 13), 2: (6, 10, 14)}
    assert paint.values == (1, 2)
    assert (paint.axis, paint.index) == (0, (5, 6, 9, 10, 13, 14))
    assert np.array_equal(paint.labels, two_structures[list(paint.index)])
    assert np.array_equal(paint.masks(2), RIGHT[[6, 10, 14]])
    assert not paint.warnings
    assert not paint.doubtful


def test_a_list_of_slices_is_complete_for_all_segments(two_structures):
    paint = read(two_structures, slices=[5, 6, 9, 10, 17])
    assert paint.slices == {1: (5, 6, 9, 10, 17), 2: (5, 6, 9, 10, 17)}
    assert not paint.masks(1)[[1, 3, 4]].any()


def test_a_mapping_names_slices_of_some_segments(two_structures):
    paint = read(two_structures, slices={2: [6, 17, 10]})
    assert paint.slices == {1: (5, 9, 13), 2: (6, 10, 17)}
    assert 14 not in paint.index
    assert not paint.masks(2)[2].any()


def test_paint_that_is_not_named_does_not_count(two_structures):
    paint = read(two_structures, slices={1: [5, 6], 2: [6]})
    assert paint.slices == {1: (5, 6), 2: (6,)}
    labels = two_structures.copy()
    labels[5][RIGHT[5]] = 2
    paint = read(labels, slices={1: [5], 2: [6]})
    assert set(np.unique(paint.labels[0])) == {0, 1}


def test_a_segment_without_paint_on_the_named_slices_is_left_out(two_structures):
    paint = read(two_structures, slices=[5, 9])
    assert paint.values == (1,) and [warning.kind for warning in paint.warnings] == ["elsewhere"]
    assert paint.warnings[0].sentence.startswith("Segment 2 is left out, since none of the named slices has paint")


def test_segments_on_different_axes_are_read_and_parted():
    labels = painted(LEFT, (5, 9, 13)) + painted(RIGHT, (20, 24, 28), 2, axis=2)
    paint = read(labels)
    assert paint.axes == {1: 0, 2: 2}
    with pytest.raises(InputError, match="different axes"):
        _ = paint.axis
    second = paint.along(2)
    assert (second.axis, second.index, second.values) == (2, (20, 24, 28), (2,))
    assert np.array_equal(second.masks(2), np.moveaxis(RIGHT, 2, 0)[[20, 24, 28]])


def test_an_axis_that_one_segment_does_not_tell_is_that_of_the_others():
    labels = np.zeros((30, 40, 36), np.uint8)
    labels[12:18, 4:10, 4:10] = 1
    with pytest.raises(InputError, match="cannot be told"):
        read(labels)
    labels[[3, 9, 20], 15:30, 15:30] = 2
    assert read(labels).axes == {1: 0, 2: 0}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_cord_on_neighbouring_slices(axis):
    rows, columns = np.indices((40, 36))
    cord = np.broadcast_to((rows - 20) ** 2 + (columns - 15) ** 2 <= 25, (24, 40, 36))
    labels = np.moveaxis(painted(cord, range(8, 16)), 0, axis)
    paint = read(labels)
    assert (paint.axis, paint.index) == (axis, tuple(range(8, 16)))
    assert not paint.warnings


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("slices", [[9], [9, 10], [8, 9, 10], [4, 9, 10, 15], [5, 6, 7, 8, 9, 10], [4, 5, 14, 15]])
def test_neighbouring_slices_are_clean(axis, slices):
    labels = np.ascontiguousarray(np.moveaxis(painted(ball(), slices), 0, axis))
    paint = read(labels)
    assert (paint.axis, list(paint.index)) == (axis, slices)
    assert not paint.warnings


@pytest.mark.parametrize("centre", [(9.8, 21.5, 14.5), (10, 21, 15)])
@pytest.mark.parametrize("radii", [(7, 11, 9), (5, 5, 5), (3, 12, 12), (7, 4, 4), (2, 3, 3)])
def test_a_structure_painted_as_a_whole_is_clean(centre, radii):
    paint = read(ball(centre=centre, radii=radii).astype(np.uint8))
    assert not paint.warnings


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_vessel_is_no_stray_mark(width):
    labels = np.zeros((40, 30, 30), np.uint8)
    for slice_, row in ((4, 10), (12, 14), (20, 15), (28, 13), (36, 8)):
        labels[slice_, row : row + width, 12 : 12 + width] = 1
    paint = read(labels)
    assert (paint.axis, paint.index) == (0, (4, 12, 20, 28, 36))
    assert not paint.warnings


def test_tips_holes_and_parts_are_clean():
    labels = painted(ball())
    labels[9, 20:24, 13:16] = 0
    labels[9, 2:5, 30:34] = 1
    labels[17, 21, 14] = 1
    labels[2, 21:23, 14] = 1
    paint = read(labels)
    assert paint.index == (2, 4, 9, 15, 17)
    assert not paint.warnings


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_every_slice_of_a_long_structure(axis):
    labels = np.zeros((30, 20, 20), np.uint8)
    labels[3:27, 6:9, 5:8] = 1
    assert read(labels, axis=0).index == tuple(range(3, 27))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"axis": 3}, "axis 3 does not exist"),
        ({"slices": [20]}, "Slice 20 lies outside the volume; slices along axis 0 go from 0 to 19"),
        ({"slices": {2: [-1, 6]}}, "Slice -1 lies outside"),
        ({"slices": [0, 1]}, "None of the named slices is painted"),
        ({"slices": {2: [5]}}, "None of the slices named for 'Kidney' is painted"),
        ({"slices": {3: [5]}}, "label 3, which is not painted"),
        ({"slices": ["first"]}, "whole numbers"),
        ({"slices": {"one": [5]}}, "whole numbers"),
        ({"axis": 0.5}, "whole numbers"),
        ({"axis": 1}, "'Liver' lies on slices of axis 0, not of axis 1"),
    ],
)
def test_what_cannot_be_used_is_refused(two_structures, given, words):
    with pytest.raises(InputError, match=words):
        read(two_structures, names={1: "Liver", 2: "Kidney"}, **given)


def test_labels_that_cannot_be_used_are_refused(two_structures):
    with pytest.raises(InputError, match="20 × 40 × 36 and the image 20 × 40 × 37"):
        read_paint(two_structures, (20, 40, 37))
    with pytest.raises(InputError, match="Nothing is painted"):
        read(np.zeros(SHAPE, np.uint8))
    with pytest.raises(InputError, match="fractions"):
        read(two_structures * 0.5)
    with pytest.raises(InputError, match="from 0 to 65535"):
        read(two_structures.astype(np.int32) - 1)
    with pytest.raises(InputError, match="from 0 to 65535"):
        read(two_structures.astype(np.int64) * 70000)
    with pytest.raises(InputError, match="from 0 to 65535"):
        read(np.where(two_structures > 0, np.nan, 0.0))
    with pytest.raises(InputError, match="whole numbers"):
        read(two_structures.astype(complex))
    with pytest.raises(InputError, match="3"):
        read(np.ones((4, 4), np.uint8))
    whole = two_structures.copy()
    whole[9] = 1
    with pytest.raises(InputError, match="fills the whole of slice 9"):
        read(whole)


@pytest.mark.parametrize("kind", [bool, np.int16, np.uint16, np.int64, np.float32])
def test_any_type_of_whole_numbers(kind):
    expected = read(painted(ball()))
    paint = read(painted(ball()).astype(kind))
    assert paint.slices == expected.slices
    assert np.array_equal(paint.labels, expected.labels)


def test_large_label_values():
    paint = read(painted(ball()).astype(np.int32) * 1000)
    assert paint.slices == {1000: (4, 9, 15)}
    assert paint.labels.dtype == np.uint16


def test_the_label_map_is_left_as_it_is(two_structures):
    two_structures[12, 38, 34] = 1
    before = two_structures.copy()
    paint = read(two_structures)
    paint.labels[:] = 9
    assert np.array_equal(two_structures, before)


def test_a_large_label_map_is_read_fast():
    labels = np.zeros((300, 400, 400), np.uint8)
    labels[[100, 150, 200], 100:180, 100:180] = 1
    start = time.process_time()
    read(labels)
    whole = time.process_time() - start
    start = time.process_time()
    labels.copy()
    assert whole < 1.0 + 10 * (time.process_time() - start)
