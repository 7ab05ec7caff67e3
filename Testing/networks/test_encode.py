"""What a network sees of a slice: shipped weights rely on every channel, its place, its sign and its scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MetaSegmentLib.networks.encode import encode, encode_left_out, encode_own
from MetaSegmentLib.networks.plan import SLICE_V1
from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.ensemble import Ensemble
from MetaSegmentLib.task.volume import check_volume
from task.structures import task_of

PAINTED = [6, 9, 14]
GAP = 5


@pytest.fixture(scope="module")
def ensemble():
    """A cone in noise: no two slices are alike."""
    k, j, i = np.indices((24, 30, 30))
    mask = (np.hypot(j - 14, i - 16) < 4 + 0.35 * k) & (k > 2) & (k < 19)
    image = 80.0 * mask + np.random.default_rng(3).normal(0, 10, mask.shape)
    return Ensemble(task_of(check_volume(image, (3.0, 1.0, 1.0)), mask, 0, PAINTED), Context())


@pytest.mark.parametrize(
    ("target", "near", "outside"), [(8, (6, 9), 0), (10, (9, 14), 0), (4, (6, 9), 1), (17, (14, 9), 1)]
)
def test_every_input_is_where_the_weights_expect_it(ensemble, target, near, outside):
    task = ensemble.task
    assert task.structure.gap == GAP
    logits = {name: ensemble.logits(name, (target,))[0, 0] for name in ("shape", "propagation", "pixels")}
    grown = [ensemble.logits("grow", (target,), step)[0, 0] for step in (-1, 0, 1)]
    expected = {
        "image below": task.slice_image(target - 1),
        "image": task.slice_image(target),
        "image above": task.slice_image(target + 1),
        "shape": logits["shape"] / 5,
        "propagation": logits["propagation"] / 5,
        "grow below": (grown[0] + 3) / 6,
        "grow": (grown[1] + 3) / 6,
        "grow above": (grown[2] + 3) / 6,
        "pixels": logits["pixels"] / 4,
        "painted image 1": task.slice_image(near[0]),
        "painted shape 1": task.structure.distances[near[0]] / 10,
        "painted image 2": task.slice_image(near[1]),
        "painted shape 2": task.structure.distances[near[1]] / 10,
        "distance 1": (target - near[0]) / GAP,
        "distance 2": (target - near[1]) / GAP,
        "outside": outside,
        "anisotropy": np.log(task.frame.anisotropy) / 2,
        "painted slices": len(PAINTED) / 8,
    }
    assert list(expected) == [one.name for one in SLICE_V1.inputs]
    (seen,) = encode(ensemble, (target,), SLICE_V1)
    assert seen.shape == (len(SLICE_V1.inputs), *task.frame.shape)
    for channel, (name, value) in zip(seen, expected.items(), strict=True):
        np.testing.assert_allclose(channel, np.broadcast_to(value, channel.shape), atol=5e-3, err_msg=name)


def test_a_slice_that_is_known_to_be_empty_is_seen_as_far_from_the_structure(ensemble):
    """Painted neighbours without paint have no distances; their plane is the lowest that a network was shown."""
    structure = ensemble.task.structure
    emptied = replace(structure, distances={**structure.distances, 9: None})
    (seen,) = encode(Ensemble(replace(ensemble.task, structures=(emptied,)), Context()), (8,), SLICE_V1)
    assert (seen[SLICE_V1.place("painted shape 2")] == -1).all()


def test_painted_slices_are_seen_as_queries_are_or_with_their_own_paint(ensemble):
    left_out, own = encode_left_out(ensemble, SLICE_V1), encode_own(ensemble, SLICE_V1)
    assert left_out.slices == own.slices == tuple(PAINTED)
    for place, index in enumerate(PAINTED):
        (as_query,) = encode(ensemble.without(index), (index,), SLICE_V1)
        assert np.array_equal(left_out[place], as_query)
        shape = own[place][SLICE_V1.place("painted shape 1")]
        np.testing.assert_allclose(shape, ensemble.task.structure.distances[index] / 10, atol=5e-3)
    assert encode_left_out(ensemble, SLICE_V1, (9,)).slices == (9,)
