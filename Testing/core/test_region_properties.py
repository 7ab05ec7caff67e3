"""The working grid: what is cut out and resized comes back where and as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from core.structures import region_of, structures
from MetaSegmentLib.data.protocol import dice
from MetaSegmentLib.task.frame import DISTANCE_LIMIT, GRID, Window, signed_distance, without
from MetaSegmentLib.task.volume import Volume


@given(structures())
def test_painted_shapes_survive_the_way_to_the_grid_and_back(structure):
    _, mask, axis, slices = structure
    region = region_of(*structure)
    front = np.moveaxis(mask, axis, 0)
    back = region.to_slices(np.stack([region.distances[i] for i in slices])) > 0
    in_image, in_window = region.window.inside(*front.shape[1:])
    for index, plane in zip(slices, back, strict=True):
        whole = np.zeros(front.shape[1:], bool)
        whole[in_image] = plane[in_window]
        assert dice(whole, front[index]) > 0.95


@given(structures())
def test_slices_are_support_or_query_or_not_worked_on(structure):
    _, mask, axis, slices = structure
    region = region_of(*structure)
    assert list(region.support) == list(region.filled) == slices
    assert sorted([*region.support, *region.queries]) == list(range(region.start, region.stop))
    assert region.depth == mask.shape[axis] and 0 <= region.start < region.stop <= region.depth
    assert region.start <= max(slices[0] - region.gap, 0) and region.stop > min(
        slices[-1] + region.gap, region.depth - 1
    )
    assert region.gap == max(np.diff(slices), default=region.gap)
    assert region.images.shape == (region.stop - region.start, GRID, GRID)
    assert region.images.dtype == np.float32 and np.abs(region.images).max() <= 1.5
    for distance in region.distances.values():
        assert distance is not None and np.abs(distance).max() <= DISTANCE_LIMIT


@given(structures(), st.permutations([0, 1, 2]))
def test_turning_the_volume_turns_the_region(structure, order):
    volume, mask, axis, slices = structure
    turned = Volume(volume.array.transpose(order), tuple(volume.spacing[axis] for axis in order))
    one = region_of(*structure)
    other = region_of(turned, mask.transpose(order), order.index(axis), slices)
    swapped = [a for a in order if a != axis] != [a for a in range(3) if a != axis]
    windows = [other.window.rows, other.window.columns]
    assert [one.window.rows, one.window.columns] == (windows[::-1] if swapped else windows)
    images = other.images.transpose(0, 2, 1) if swapped else other.images
    assert np.allclose(one.images, images, atol=1e-4)
    for index in slices:
        distance = other.distances[index]
        assert np.allclose(one.distances[index], distance.T if swapped else distance, atol=1e-3)
    assert (one.start, one.stop, one.gap) == (other.start, other.stop, other.gap)
    assert one.anisotropy == pytest.approx(other.anisotropy)


@given(structures(), st.floats(0.5, 20), st.floats(-500, 500))
def test_the_scale_of_intensities_does_not_matter(structure, factor, offset):
    volume, mask, axis, slices = structure
    scaled = Volume(volume.array * factor + offset, volume.spacing)
    assert np.allclose(region_of(*structure).images, region_of(scaled, mask, axis, slices).images, atol=2e-3)


@given(structures(at_least=2))
def test_leaving_a_slice_out_leaves_no_trace_of_it(structure):
    region = region_of(*structure)
    for index in region.support:
        rest = without(region, index)
        assert index not in rest.support and index in rest.queries
        assert sorted([*rest.support, *rest.queries]) == list(range(region.start, region.stop))


@given(structures(at_least=2))
def test_a_slice_painted_later_keeps_window_and_intensities_where_it_can(structure):
    volume, mask, axis, slices = structure
    first = region_of(volume, mask, axis, slices[:-1])
    second = region_of(volume, mask, axis, slices, before=first)
    if second.window == first.window:
        assert (second.low, second.high) == (first.low, first.high)
        both = range(max(first.start, second.start), min(first.stop, second.stop))
        assert all(np.array_equal(first.image(i), second.image(i)) for i in both)
        assert all(np.array_equal(first.distances[i], second.distances[i]) for i in slices[:-1])


@given(
    st.tuples(st.integers(-9, 12), st.integers(13, 30)),
    st.tuples(st.integers(-9, 12), st.integers(13, 30)),
    st.booleans(),
)
def test_a_window_may_reach_beyond_the_image(rows, columns, edge):
    stack = np.arange(2 * 20 * 18).reshape(2, 20, 18) + 1
    window = Window(rows, columns)
    cut = window.cut(stack, edge)
    assert cut.shape == (2, *window.shape)
    in_image, in_window = window.inside(20, 18)
    assert np.array_equal(cut[:, *in_window], stack[:, *in_image])
    outside = np.ones(window.shape, bool)
    outside[in_window] = False
    assert np.isin(cut[:, outside], stack if edge else 0).all()


@given(st.integers(0, 999))
def test_signed_distance_is_positive_inside_and_odd(seed):
    mask = gaussian_filter(np.random.default_rng(seed).standard_normal((30, 26)), 2.5) > 0.05
    assume(mask.any() and not mask.all())
    distance = signed_distance(mask)
    assert np.array_equal(distance > 0, mask)
    assert np.array_equal(signed_distance(~mask), -distance)
    assert np.abs(distance).min() == 0.5
