"""The shape prior: through all painted slices, between their neighbours, and blind to the slice that is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.structures import painted, region_of, structures
from MetaSegmentLib.predictors.shape import ShapeInterpolation
from MetaSegmentLib.task.frame import Region, make_region
from MetaSegmentLib.task.support import find_support


def prior(region: Region, targets, support=None):
    return ShapeInterpolation(region).predict(region.support if support is None else support, targets)


@given(structures())
def test_it_passes_exactly_through_the_painted_slices(structure):
    region = region_of(*structure)
    shapes = prior(region, region.support)
    for index, shape in zip(region.support, shapes, strict=True):
        assert np.allclose(shape, region.distances[index], atol=1e-4)
        assert (
            np.array_equal(shape > 0, region.mask(index))
            or np.abs(shape[(shape > 0) != region.mask(index)]).max() < 1e-4
        )


@given(structures(at_least=2))
def test_between_two_painted_slices_it_lies_between_their_distances(structure):
    region = region_of(*structure)
    for below, above in zip(region.support, region.support[1:], strict=False):
        between = prior(region, range(below, above + 1))
        low = np.minimum(region.distances[below], region.distances[above])
        high = np.maximum(region.distances[below], region.distances[above])
        assert np.all(between >= low - 1e-3) and np.all(between <= high + 1e-3)


@given(structures())
def test_one_gap_beyond_the_ends_nothing_is_left_unless_the_volume_ends_first(structure):
    region = region_of(*structure)
    for end, step in ((region.support[0], -1), (region.support[-1], 1)):
        beyond = prior(region, [end + step * region.gap])[0]
        if region.runs_on(end, region.gap, below=step < 0):
            assert np.allclose(beyond, region.distances[end], atol=1e-4)
        else:
            assert beyond.max() < 0
            shrinking = prior(region, [end + step * n for n in range(region.gap + 1)])
            areas = (shrinking > 0).sum(axis=(1, 2))
            assert np.all(np.diff(areas) <= 0)


@given(structures(at_least=2), st.data())
def test_nothing_is_left_on_a_slice_that_is_known_to_be_empty(structure, data):
    volume, mask, axis, slices = structure
    free = [i for i in range(mask.shape[axis]) if i not in slices]
    empty = data.draw(st.sampled_from(free))
    support = find_support(painted(mask, axis, slices), mask.shape, slices=[*slices, empty], axis=axis)
    region = make_region(volume, support, 1)
    assert prior(region, [empty]).max() < 0
    for index, shape in zip(region.filled, prior(region, region.filled), strict=True):
        assert np.allclose(shape, region.distances[index], atol=1e-4)


@given(structures(at_least=2), st.data())
def test_the_prior_of_a_left_out_slice_does_not_depend_on_its_labels(structure, data):
    region = region_of(*structure)
    index = data.draw(st.sampled_from(region.support))
    others = [i for i in region.support if i != index]
    expected = prior(region, [index], support=others)
    for labels in (-region.distances[index], None):
        changed = replace(region, distances={**region.distances, index: labels})
        assert np.array_equal(prior(changed, [index], support=others), expected)


@given(structures(at_least=2))
def test_running_the_slices_the_other_way_mirrors_the_prior(structure):
    volume, mask, axis, slices = structure
    depth = mask.shape[axis]
    mirrored = replace(volume, array=np.flip(volume.array, axis))
    there = region_of(volume, mask, axis, slices)
    back = region_of(mirrored, np.flip(mask, axis), axis, [depth - 1 - i for i in reversed(slices)])
    targets = range(there.start, there.stop)
    assert np.allclose(prior(there, targets), prior(back, [depth - 1 - i for i in targets]), atol=1e-3)
