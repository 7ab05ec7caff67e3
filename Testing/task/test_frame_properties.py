"""The frame: what is cut out and resized comes back where and as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from MetaSegmentLib.data.protocol import dice
from MetaSegmentLib.task.frame import FrameSettings, Window, resize, signed_distance
from MetaSegmentLib.task.task import DISTANCE_LIMIT
from MetaSegmentLib.task.volume import Volume
from task.structures import structures, task_of


@given(structures())
def test_painted_shapes_survive_the_way_to_the_frame_and_back(structure):
    _, mask, axis, slices = structure
    task = task_of(*structure)
    front = np.moveaxis(mask, axis, 0)
    back = task.frame.to_window(np.stack([task.structure.distances[i] for i in slices])) > 0
    in_image, in_window = task.frame.window.inside(*front.shape[1:])
    for index, plane in zip(slices, back, strict=True):
        whole = np.zeros(front.shape[1:], bool)
        whole[in_image] = plane[in_window]
        assert dice(whole, front[index]) > 0.95


@given(structures())
def test_slices_are_painted_or_queries_or_not_worked_on(structure):
    _, mask, axis, slices = structure
    task = task_of(*structure)
    frame, gap = task.frame, task.structure.gap
    assert list(task.slices) == list(task.structure.filled) == slices
    assert sorted([*task.slices, *task.queries]) == list(range(frame.start, frame.stop))
    assert frame.depth == mask.shape[axis] and 0 <= frame.start < frame.stop <= frame.depth
    assert frame.start <= max(slices[0] - gap, 0) and frame.stop > min(slices[-1] + gap, frame.depth - 1)
    assert gap == max(np.diff(slices), default=gap)
    assert sorted([*task.near, *task.far[0], *task.far[1]]) == list(task.queries)
    assert task.image.shape == (frame.stop - frame.start, *frame.shape)
    assert task.image.dtype == np.float32 and np.abs(task.image).max() <= 1.5
    for distance in task.structure.distances.values():
        assert distance is not None and np.abs(distance).max() <= DISTANCE_LIMIT


@given(structures(), st.permutations([0, 1, 2]))
def test_turning_the_volume_turns_the_task(structure, order):
    volume, mask, axis, slices = structure
    turned = Volume(volume.array.transpose(order), tuple(volume.spacing[axis] for axis in order))
    one = task_of(*structure)
    other = task_of(turned, mask.transpose(order), order.index(axis), slices)
    swapped = [a for a in order if a != axis] != [a for a in range(3) if a != axis]
    windows = [other.frame.window.rows, other.frame.window.columns]
    assert [one.frame.window.rows, one.frame.window.columns] == (windows[::-1] if swapped else windows)
    image = other.image.transpose(0, 2, 1) if swapped else other.image
    assert np.allclose(one.image, image, atol=1e-4)
    for index in slices:
        distance = other.structure.distances[index]
        assert np.allclose(one.structure.distances[index], distance.T if swapped else distance, atol=1e-3)
    assert (one.frame.start, one.frame.stop) == (other.frame.start, other.frame.stop)
    assert one.structure.gap == other.structure.gap
    assert one.frame.anisotropy == pytest.approx(other.frame.anisotropy)


@given(structures(), st.floats(0.5, 20), st.floats(-500, 500))
def test_the_scale_of_intensities_does_not_matter(structure, factor, offset):
    volume, mask, axis, slices = structure
    scaled = Volume(volume.array * factor + offset, volume.spacing)
    assert np.allclose(task_of(*structure).image, task_of(scaled, mask, axis, slices).image, atol=2e-3)


@given(structures(at_least=2))
def test_leaving_a_slice_out_leaves_no_trace_of_it(structure):
    task = task_of(*structure)
    for index in task.slices:
        rest = task.without(index)
        assert index not in rest.slices and index in rest.queries
        assert index not in rest.structure.distances and not rest.known(index).any() and not rest.masks(index).any()
        assert sorted([*rest.slices, *rest.queries]) == list(range(rest.frame.start, rest.frame.stop))
        assert rest.digest != task.digest


@given(structures(at_least=2), st.sampled_from([40, 64, 128]))
def test_a_frame_may_have_any_size(structure, size):
    task = task_of(*structure, FrameSettings(size=size, largest=size, finest=size))
    usual = task_of(*structure)
    assert task.image.shape[1:] == (size, size)
    assert (task.slices, task.queries) == (usual.slices, usual.queries)
    # Signed distances are in pixels of the frame, so in mm they agree.
    index = task.slices[0]
    coarse = task.structure.shape_on(index).max() * task.frame.pixel
    near = 2 * max(task.frame.pixel, usual.frame.pixel)
    assert coarse == pytest.approx(usual.structure.shape_on(index).max() * usual.frame.pixel, abs=near)


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


def frame_of(side: int):
    """The frame of a box of ``side`` by at most 20 voxels, painted on two slices."""
    mask = np.zeros((5, 300, 300), bool)
    mask[:, 20 : 20 + side, 30 : 30 + min(side, 20)] = True
    image = np.random.default_rng(0).normal(0, 1, mask.shape)
    return task_of(Volume(image.astype(np.float32), (1.0, 1.0, 1.0)), mask, 0, [1, 3]).frame


def test_windows_are_hardly_larger_or_smaller_than_what_networks_were_trained_on():
    """Their sides go in steps; networks were trained on sides of about 1.7 times the box."""
    shares = [frame_of(side).window.shape[0] / (FrameSettings().growth * side) for side in range(15, 170, 5)]
    assert abs(np.mean(shares) - 1) < 0.03 and 0.9 < min(shares) and max(shares) < 1.23


@pytest.mark.parametrize(("side", "pixels"), [(10, 4), (18, 3), (27, 2), (52, 1), (66, 1), (80, 1)])
def test_a_voxel_is_a_whole_number_of_pixels_where_that_is_near(side, pixels):
    frame = frame_of(side)
    assert frame.window.shape == (frame.size // pixels,) * 2
    assert frame.size % 16 == 0 and 96 <= frame.size <= FrameSettings().largest


@given(st.sampled_from([5, 10, 18, 27, 52, 66, 80]), st.integers(0, 999))
def test_what_is_one_voxel_thin_comes_back_from_such_a_frame_as_it_was(side, seed):
    frame = frame_of(side)
    row, column = np.random.default_rng(seed).integers(0, min(side, 20), 2)
    mask = np.zeros((1, 300, 300), bool)
    mask[0, 20 + row, 30:45] = True
    mask[0, 20:40, 30 + column] = True
    there = resize(frame.window.cut(mask, edge=False), frame.shape)
    assert np.array_equal(frame.to_window(there) > 0.5, frame.window.cut(mask, edge=False))


def test_a_large_window_is_shrunk():
    assert frame_of(120).size == FrameSettings().size and frame_of(120).shrinkage > 2


def walls(side: int, thickness: int) -> np.ndarray:
    """The four walls of a square, (3, 400, 400)."""
    mask = np.zeros((3, 400, 400), bool)
    mask[:, 20 : 20 + side, 20 : 20 + side] = True
    mask[:, 20 + thickness : 20 + side - thickness, 20 + thickness : 20 + side - thickness] = False
    return mask


@pytest.mark.parametrize(
    ("side", "thickness", "pixels"), [(110, 1, 192), (110, 6, 96), (110, 60, 96), (300, 1, 224), (70, 1, 112)]
)
def test_what_a_lattice_would_hardly_show_gets_a_finer_one(side, thickness, pixels):
    mask = walls(side, thickness)
    volume = Volume(np.random.default_rng(0).normal(0, 1, mask.shape).astype(np.float32), (1.0, 1.0, 1.0))
    task = task_of(volume, mask, 0, [0, 2])
    assert task.frame.size == pixels
    if thickness == 1 and side < 300:
        assert np.array_equal(task.frame.to_window(task.masks(0))[0] > 0.5, task.frame.window.cut(mask[:1], False)[0])
