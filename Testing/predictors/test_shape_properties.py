"""The shape prior: through all painted slices, between their neighbours, and blind to the slice that is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.shape import ShapeInterpolation
from MetaSegmentLib.task.paint import read_paint
from MetaSegmentLib.task.task import Task, make_task
from task.structures import painted, structures, task_of


def prior(task: Task, targets):
    """(T, H, W) signed distances in pixels."""
    return ShapeInterpolation().fit(task, Context()).distances(list(targets))


@given(structures())
def test_it_passes_exactly_through_the_painted_slices(structure):
    task = task_of(*structure)
    for index, shape in zip(task.slices, prior(task, task.slices), strict=True):
        assert np.allclose(shape, task.structure.distances[index], atol=1e-4)
        mask = task.masks(index)[0]
        assert np.array_equal(shape > 0, mask) or np.abs(shape[(shape > 0) != mask]).max() < 1e-4


@given(structures(at_least=2))
def test_between_two_painted_slices_it_lies_between_their_distances(structure):
    task = task_of(*structure)
    distances = task.structure.distances
    for below, above in zip(task.slices, task.slices[1:], strict=False):
        between = prior(task, range(below, above + 1))
        low = np.minimum(distances[below], distances[above])
        high = np.maximum(distances[below], distances[above])
        assert np.all(between >= low - 1e-3) and np.all(between <= high + 1e-3)


@given(structures())
def test_one_gap_beyond_the_ends_nothing_is_left_unless_the_volume_ends_first(structure):
    task = task_of(*structure)
    one = task.structure
    for end, step in ((one.slices[0], -1), (one.slices[-1], 1)):
        beyond = prior(task, [end + step * one.gap])[0]
        if one.goes_on(end, task.frame.depth, below=step < 0):
            assert np.allclose(beyond, one.distances[end], atol=1e-4)
        else:
            assert beyond.max() < 0
            shrinking = prior(task, [end + step * n for n in range(one.gap + 1)])
            areas = (shrinking > 0).sum(axis=(1, 2))
            assert np.all(np.diff(areas) <= 0)


@given(structures(at_least=2), st.data())
def test_nothing_is_left_on_a_slice_that_is_known_to_be_empty(structure, data):
    volume, mask, axis, slices = structure
    free = [i for i in range(mask.shape[axis]) if i not in slices]
    empty = data.draw(st.sampled_from(free))
    paint = read_paint(painted(mask, axis, slices), mask.shape, slices=[*slices, empty], axis=axis)
    task = make_task(volume, paint, (1,))
    assert prior(task, [empty]).max() < 0
    for index, shape in zip(task.structure.filled, prior(task, task.structure.filled), strict=True):
        assert np.allclose(shape, task.structure.distances[index], atol=1e-4)


@given(structures(at_least=2), st.data())
def test_the_prior_of_a_left_out_slice_does_not_depend_on_its_labels(structure, data):
    task = task_of(*structure)
    index = data.draw(st.sampled_from(task.slices))
    expected = prior(task.without(index), [index])
    for labels in (-task.structure.shape_on(index), None):
        distances = {**task.structure.distances, index: labels}
        changed = replace(task, structures=(replace(task.structure, distances=distances),))
        assert np.array_equal(prior(changed.without(index), [index]), expected)


@given(structures(at_least=2))
def test_running_the_slices_the_other_way_mirrors_the_prior(structure):
    volume, mask, axis, slices = structure
    depth = mask.shape[axis]
    mirrored = replace(volume, array=np.flip(volume.array, axis))
    there = task_of(volume, mask, axis, slices)
    back = task_of(mirrored, np.flip(mask, axis), axis, [depth - 1 - i for i in reversed(slices)])
    targets = range(there.frame.start, there.frame.stop)
    assert np.allclose(prior(there, targets), prior(back, [depth - 1 - i for i in targets]), atol=1e-3)
