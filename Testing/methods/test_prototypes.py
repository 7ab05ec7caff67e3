"""Prototypes against plain numpy, written from the formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MetaSegmentLib.methods.metric.prototypes import (
    COSINE_SCALE,
    PrototypeSettings,
    distances,
    local_prototypes,
    masked_average,
    prototype_logits,
)


@pytest.fixture
def episode():
    random = np.random.default_rng(0)
    support = random.normal(size=(3, 5, 24, 24))
    masks = np.zeros((3, 24, 24))
    masks[0, 2:16, 3:15] = 1
    masks[1, 5:9, 5:20] = 1
    return support, masks, random.normal(size=(2, 5, 24, 24))


def tensors(*arrays):
    return [torch.from_numpy(a) for a in arrays]


def test_a_prototype_is_the_mean_of_the_support_features_of_its_class(episode):
    support, masks, _ = episode
    pixels = [support[s, :, y, x] for s, y, x in np.argwhere(masks > 0)]
    np.testing.assert_allclose(masked_average(*tensors(support, masks)).numpy(), np.mean(pixels, axis=0), rtol=1e-6)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_distances_follow_their_formulas(episode, distance):
    _, _, query = episode
    prototypes = np.random.default_rng(1).normal(size=(4, 5))
    expected = np.empty((2, 4, 24, 24))
    for n, p, y, x in np.ndindex(expected.shape):
        f, c = query[n, :, y, x], prototypes[p]
        cosine = f @ c / np.linalg.norm(f) / np.linalg.norm(c)
        expected[n, p, y, x] = np.sum((f - c) ** 2) if distance == "euclidean" else -COSINE_SCALE * cosine
    np.testing.assert_allclose(distances(*tensors(query, prototypes), distance).numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_probabilities_are_the_softmax_of_negative_distances(episode, distance):
    support, masks, query = episode
    prototypes = torch.stack([masked_average(*tensors(support, m)) for m in (1 - masks, masks)])
    d = distances(torch.from_numpy(query), prototypes, distance).numpy()
    expected = np.exp(-d[:, 1]) / (np.exp(-d[:, 0]) + np.exp(-d[:, 1]))
    settings = PrototypeSettings(distance, "global")
    logits = prototype_logits(*tensors(support, masks, query), settings)
    np.testing.assert_allclose(torch.sigmoid(logits).numpy(), expected, rtol=1e-6)


def test_local_prototypes_are_the_means_of_cells_that_lie_inside(episode):
    support, masks, _ = episode
    found = local_prototypes(*tensors(support, masks), cell=4, purity=0.95).numpy()
    expected = [
        support[s, :, y : y + 4, x : x + 4].mean((1, 2))
        for s in range(3)
        for y in range(0, 24, 4)
        for x in range(0, 24, 4)
        if masks[s, y : y + 4, x : x + 4].mean() > 0.95
    ]
    assert expected
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-6)


def test_a_class_with_several_prototypes_counts_each_alike(episode):
    """Twice the same cell must not make a class more likely."""
    support, masks, query = episode
    once = prototype_logits(*tensors(support[:1], masks[:1], query), PrototypeSettings(prototypes="global"))
    twice = prototype_logits(
        *tensors(np.repeat(support[:1], 2, 0), np.repeat(masks[:1], 2, 0), query),
        PrototypeSettings(prototypes="global"),
    )
    torch.testing.assert_close(once, twice)
