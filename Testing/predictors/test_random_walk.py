"""The random walk solves the equations that it states, keeps to the seeds and follows the image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.random_walk import RandomWalk, solve
from MetaSegmentLib.predictors.stretches import INSIDE, OUTSIDE, stretches
from MetaSegmentLib.task.volume import check_volume
from task.structures import task_of

CONTRAST, EASE = 120.0, 1e-4


def test_it_is_the_solution_of_the_dirichlet_problem() -> None:
    """Against the dense system, set up edge by edge."""
    rng = np.random.default_rng(0)
    images = rng.uniform(-0.1, 0.1, (4, 5, 6)).astype(np.float32)
    labels = np.zeros(images.shape, np.uint8)
    labels[0], labels[-1] = OUTSIDE, OUTSIDE
    labels[0, 1:4, 2:5] = labels[-1, 2:4, 1:4] = INSIDE
    labels[2, 0, 0] = OUTSIDE
    places = list(np.ndindex(*images.shape))
    laplacian = np.zeros((len(places),) * 2)
    for a, first in enumerate(places):
        for b, second in enumerate(places):
            if sum(abs(p - q) for p, q in zip(first, second, strict=True)) == 1:
                weight = np.exp(-CONTRAST * (float(images[first]) - float(images[second])) ** 2) + EASE
                laplacian[a, b] -= weight
                laplacian[a, a] += weight
    free = np.flatnonzero(labels.ravel() == 0)
    seeds = np.flatnonzero(labels.ravel())
    known = (labels.ravel()[seeds] == INSIDE).astype(float)
    expected = (labels == INSIDE).astype(float).ravel()
    expected[free] = np.linalg.solve(laplacian[np.ix_(free, free)], -laplacian[np.ix_(free, seeds)] @ known)
    found = solve(images, labels)
    np.testing.assert_allclose(found.ravel(), expected, atol=5e-3)
    assert 0 <= found.min() and found.max() <= 1


@pytest.fixture(scope="module")
def slanted():
    """A bright rod that leans over, painted on three slices."""
    k, j, i = np.indices((21, 40, 40))
    mask = np.hypot(j - 12 - 0.7 * k, i - 20) < 6
    image = 100.0 * mask + np.random.default_rng(1).normal(0, 5, mask.shape)
    return task_of(check_volume(image, (2.0, 1.0, 1.0)), mask, 0, [4, 10, 16]), mask


def test_it_follows_the_image_between_painted_slices(slanted) -> None:
    task, mask = slanted
    found = RandomWalk().fit(task, Context()).logits([7, 13])[:, 0] > 0
    truth = task.frame.cut_mask(mask[[7, 13]])
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9


def test_painted_slices_keep_their_paint(slanted) -> None:
    task, _mask = slanted
    np.testing.assert_array_equal(RandomWalk().fit(task, Context()).logits([10])[:, 0] > 0, task.masks(10))


def test_a_slice_gets_the_same_answer_alone_and_among_others(slanted) -> None:
    task, _mask = slanted
    fitted = RandomWalk().fit(task, Context())
    together = fitted.logits([5, 6, 12, 19])
    for place, index in enumerate([5, 6, 12, 19]):
        np.testing.assert_array_equal(RandomWalk().fit(task, Context()).logits([index])[0], together[place])


def test_stretches_lie_between_painted_slices(slanted) -> None:
    task, _mask = slanted
    found = [((one.low, one.high), wanted) for one, wanted in stretches(task, [2, 5, 10, 7, 13, 18], 1.0)]
    assert [wanted for _, wanted in found] == [(2,), (5, 7), (10,), (13,), (18,)]
    assert [bounds for bounds, _ in found][1:4] == [(4, 10), (10, 10), (10, 16)]


def test_what_is_kept_of_a_stretch_is_found_again_only_for_the_same_seeds_and_image(slanted) -> None:
    task, _mask = slanted
    ((stretch, _),) = stretches(task, [7], 1.0)
    ((again, _),) = stretches(task.without(16), [7], 1.0)
    assert stretch.digest(task) == again.digest(task)
    seeds = {index: seed.copy() for index, seed in stretch.seeds.items()}
    seeds[stretch.low][0, 0] = INSIDE
    assert replace(stretch, seeds=seeds).digest(task) != stretch.digest(task)
    image = task.image.copy()
    image[7 - task.frame.start, 0, 0] += 0.5
    assert stretch.digest(replace(task, image=image)) != stretch.digest(task)


@pytest.mark.parametrize("free", [[(1, 2, 2)], [(1, 2, 2), (2, 4, 5)]])
def test_pixels_with_seeds_all_around_follow_these(free) -> None:
    labels = np.full((4, 5, 6), OUTSIDE, np.uint8)
    labels[1, 1:4, 1:4] = INSIDE
    for place in free:
        labels[place] = 0
    found = solve(np.zeros(labels.shape, np.float32), labels)
    assert found[1, 2, 2] == pytest.approx(4 / 6, abs=1e-3)  # four neighbours are inside, two outside
    assert np.array_equal(found > 0.5, (labels == INSIDE) | (found == found[1, 2, 2]))
