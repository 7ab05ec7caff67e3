"""The whole way, from paint to result: turned volumes give turned results, and nothing peeks at what it predicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from MetaSegmentLib import Settings, segment
from MetaSegmentLib.data.protocol import dice
from MetaSegmentLib.networks.encode import encode, encode_left_out
from MetaSegmentLib.networks.plan import SLICE_V1
from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.ensemble import BASELINES, Ensemble
from MetaSegmentLib.task.paint import read_paint
from MetaSegmentLib.task.task import make_task
from MetaSegmentLib.task.volume import check_volume
from task.structures import painted, structures, task_of

SHAPE_ONLY = Settings(method="shape", device="cpu")


def run(volume, labels, **more):
    return segment(volume.array, labels, spacing=volume.spacing, settings=SHAPE_ONLY, **more)


@settings(max_examples=10)
@given(structures())
def test_painted_slices_come_back_exactly_as_painted(structure):
    volume, mask, axis, slices = structure
    result = run(volume, painted(mask, axis, slices), axis=axis)
    assert result.labels.shape == result.uncertainty.shape == mask.shape
    front = np.moveaxis(result.labels, axis, 0)
    assert np.array_equal(front[slices] == 1, np.moveaxis(mask, axis, 0)[slices])
    assert not np.moveaxis(result.uncertainty, axis, 0)[slices].any()
    assert np.allclose(result.probabilities.sum(axis=0, dtype=np.float32), 1, atol=2e-3)
    chosen = np.take_along_axis(result.probabilities, result.labels[None].astype(int), axis=0)[0]
    assert np.all(chosen >= result.probabilities.max(axis=0) - np.float16(1e-3))
    assert all(suggested["index"] not in slices for suggested in result.suggested_slices)


@settings(max_examples=10)
@given(structures(at_least=2), st.permutations([0, 1, 2]), st.sets(st.integers(0, 2)))
def test_turning_and_mirroring_commute_with_segmenting(structure, order, flipped):
    volume, mask, axis, slices = structure
    labels = painted(mask, axis, slices)

    def turn(array):
        return np.flip(array.transpose(order), tuple(flipped))

    turned = replace(volume, array=turn(volume.array), spacing=tuple(volume.spacing[a] for a in order))
    there = run(volume, labels, axis=axis)
    back = run(turned, turn(labels), axis=order.index(axis))
    # Mirroring moves an odd window by half a voxel.
    assert dice(turn(there.labels), back.labels) > 0.97
    if not flipped:
        assert np.array_equal(turn(there.labels), back.labels)


@settings(max_examples=10)
@given(structures(at_least=2), st.floats(0.01, 50), st.floats(-1000, 1000))
def test_neither_the_room_around_nor_the_scale_of_intensities_matters(structure, factor, offset):
    volume, mask, axis, slices = structure
    labels = painted(mask, axis, slices)
    room = [(0, 0) if a == axis else (6, 9) for a in range(3)]
    inner = tuple(slice(low, size + low) for (low, _), size in zip(room, mask.shape, strict=True))
    wider = replace(volume, array=np.pad(volume.array * factor + offset, room, mode="edge"))
    small = run(volume, labels, axis=axis)
    large = run(wider, np.pad(labels, room), axis=axis)
    assert dice(small.labels, large.labels[inner]) > 0.97


def answers(ensemble, index):
    """What each predictor answers for a slice, in the order of BASELINES."""
    return {name: ensemble.logits(name, (index,)) for name in BASELINES}


@pytest.mark.parametrize("index", [0, 1])
def test_no_predictor_sees_the_painted_slice_that_it_is_asked_about(a_structure, index):
    volume, mask, axis, slices = a_structure
    task = task_of(volume, mask, axis, slices)
    left_out, other = slices[index], slices[index - 1]
    before = Ensemble(task, Context())
    seen = encode_left_out(before, SLICE_V1, (left_out, other))
    places = [seen.slices.index(i) for i in (left_out, other)]
    shape = task.structure.shape_on(left_out)
    for labels in (-shape, np.roll(shape, 9, axis=1)):
        structure = replace(task.structure, distances={**task.structure.distances, left_out: labels})
        after = Ensemble(replace(task, structures=(structure,)), Context())
        expected, found = (answers(one.without(left_out), left_out) for one in (before, after))
        for name in BASELINES:
            assert np.array_equal(expected[name], found[name]), name
        changed = encode_left_out(after, SLICE_V1, (left_out, other))
        assert np.array_equal(seen[places[0]], changed[places[0]])
        # What is asked about the other slices does depend on it.
        assert not np.array_equal(seen[places[1]], changed[places[1]])


def test_what_is_answered_for_a_slice_does_not_depend_on_what_else_is_asked(a_structure):
    task = task_of(*a_structure)
    ensemble = Ensemble(task, Context())
    everything = {name: ensemble.logits(name, task.queries) for name in BASELINES}
    for index in task.queries[::4]:
        alone = answers(Ensemble(task, Context()), index)
        for name in BASELINES:
            assert np.allclose(alone[name][0], everything[name][task.queries.index(index)], atol=1e-5), name


def test_threads_change_no_answer(a_structure):
    task = task_of(*a_structure)
    alone, together = Ensemble(task, Context()), Ensemble(task, Context(workers=4))
    together.prepare(task.near)
    assert np.array_equal(encode(alone, task.near, SLICE_V1).array(), encode(together, task.near, SLICE_V1).array())


@pytest.fixture(scope="module")
def a_structure():
    """A lumpy ellipsoid in a noisy volume, painted on three slices along axis 1."""
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(5)
    shape = (30, 22, 34)
    grid = [(i - (n - 1) / 2) / (0.3 * n) for i, n in zip(np.indices(shape), shape, strict=True)]
    bumps = gaussian_filter(random.standard_normal(shape), 3)
    mask = sum(g**2 for g in grid) + 0.2 * bumps / bumps.std() < 1
    image = gaussian_filter(mask * 100.0, 1) + 15 * random.standard_normal(shape)
    return check_volume(image, (1.0, 2.5, 1.2)), mask, 1, [7, 10, 14]


@pytest.mark.parametrize(("slices", "extent"), [([22, 37], (20, 40)), ([18, 44], (0, 63))])
def test_slices_far_beyond_the_end_are_not_computed(slices, extent):
    z, y, x = np.indices((63, 40, 40))
    mask = (np.hypot(y - 20, x - 14 - 0.2 * z) < 9) & (z >= extent[0]) & (z < extent[1])
    image = 100.0 * mask + np.random.default_rng(0).normal(0, 5, mask.shape)
    labels = np.zeros(mask.shape, np.uint8)
    labels[slices] = mask[slices]
    volume = check_volume(image)
    task = make_task(volume, read_paint(labels, mask.shape), (1,))
    near, far = {*task.near}, {*task.far[0], *task.far[1]}
    assert far and not far & near and far | near == {*task.queries}
    result = segment(image, labels, settings=Settings(method="network"))
    # Of a slice that was computed it is never sure to the last bit.
    computed = set(np.flatnonzero(result.uncertainty.any((1, 2))))
    if extent == (0, 63):
        followed = result.labels[list(far)].any((1, 2))
        assert far <= computed and followed.all(), "where it goes on it is followed for a gap"
    else:
        assert near <= computed and not far & computed
