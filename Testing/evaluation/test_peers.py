"""Slicer's own tools and scikit-image's random walker give here what they give in the reference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from absent import run_without
from MetaSegmentLib.data import protocol
from MetaSegmentLib.evaluation import peers
from MetaSegmentLib.evaluation import random_walker as random_walker_module
from MetaSegmentLib.evaluation.random_walker import random_walker

pytest.importorskip("slicer", reason="slicer-core is not installed")


def with_image(masks):
    """(mask, image): structures a little brighter than their surroundings, with noise."""
    for mask in masks:
        random = np.random.default_rng(len(mask))
        image = gaussian_filter(mask.astype(np.float32), 1.0) * 300 + 40 * random.standard_normal(mask.shape)
        yield mask, image.astype(np.float32)


def test_same_results_as_the_reference(reference, blobs, real_structures):
    theirs = reference("peers")
    spacing = (3.0, 0.9, 1.1)
    compared = 0
    eligible = [mask for mask in blobs[:8] if protocol.eligible(mask, 3)]
    for mask, image in with_image([*eligible, *real_structures[:4]]):
        painted = protocol.painted_slices(mask, 3)
        for ours, expected in (
            (peers.fill_between_slices(mask, painted), theirs.fill_between_slices(mask, painted)),
            (
                peers.grow_from_seeds(image, mask, painted, spacing),
                theirs.grow_from_seeds(image, mask, painted, spacing),
            ),
            (peers.signed_distance_interpolation(mask, painted), theirs.signed_distance_interpolation(mask, painted)),
            (random_walker(image, mask, painted, spacing), theirs.random_walker_fill(image, mask, painted, spacing)),
        ):
            assert ours.dtype == bool and np.array_equal(ours, expected)
            compared += 1
    assert compared >= 16


@pytest.mark.parametrize("tool", ["fill", "grow", "distance", "walker", "average"])
def test_every_tool_rebuilds_a_ball_and_sees_painted_slices_only(tool):
    grid = np.indices((30, 40, 40)) - np.array([15, 20, 20]).reshape(3, 1, 1, 1)
    ball = (grid**2).sum(axis=0) < 12**2
    image = ball * np.float32(100)
    painted = protocol.painted_slices(ball, 5)
    seen = protocol.paint(ball, painted).astype(bool)
    run = {
        "fill": lambda mask: peers.fill_between_slices(mask, painted),
        "grow": lambda mask: peers.grow_from_seeds(image, mask, painted, (1, 1, 1)),
        "walker": lambda mask: random_walker(image, mask, painted, (1, 1, 1)),
        "average": lambda mask: peers.average(image, mask, painted, (1, 1, 1)),
        "distance": lambda mask: peers.signed_distance_interpolation(mask, painted),
    }[tool]
    result = run(ball)
    assert protocol.query_dice(result, ball, painted) > 0.85
    assert np.array_equal(run(seen), result)


def test_the_interpolation_shrinks_to_nothing_one_gap_beyond_the_ends():
    disc = (np.indices((40, 40)) - 20.0).__pow__(2).sum(axis=0) < 10**2
    mask = np.zeros((30, 40, 40), bool)
    mask[[10, 16]] = disc
    areas = (peers.shrinking_interpolation(mask, [10, 16]) > 0).sum(axis=(1, 2))
    assert (areas[10:17] == disc.sum()).all()
    assert areas[4] == areas[22] == areas[0] == 0 < areas[5]
    assert all(np.diff(areas[4:11]) > 0) and all(np.diff(areas[16:23]) < 0)


def test_without_scikit_image_our_own_random_walk_serves_and_is_named(repository):
    code = """
import numpy as np
from MetaSegmentLib.evaluation import random_walker as walker
ball = ((np.indices((20, 32, 32)) - np.array([10, 16, 16]).reshape(3, 1, 1, 1)) ** 2).sum(axis=0) < 8**2
found = walker.random_walker(ball * np.float32(100), ball, [5, 10, 15], (2.0, 1.0, 1.0))
print(walker.maker(), (found & ball).sum() / (found | ball).sum() > 0.7)
"""
    done = run_without(("skimage",), code, repository)
    assert done.stdout.split("\n")[0] == "own, without scikit-image True", done.stderr
    assert random_walker_module.maker().startswith("scikit-image ")
