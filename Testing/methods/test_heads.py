"""Heads that learn from painted slices in closed form, against plain formulas and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from MetaSegmentLib.methods.metric.embedded import Features
from MetaSegmentLib.methods.metric.matching import MatchingHead, matching_logits
from MetaSegmentLib.methods.metric.protonet import ProtoNetHead
from MetaSegmentLib.methods.metric.prototypes import (
    CELL,
    GLOBAL_WEIGHT,
    SLICE_SPREAD,
    SPREAD,
    PrototypeSettings,
    class_score,
    distances,
    local_positions,
    local_prototypes,
    log_weights,
)
from MetaSegmentLib.methods.metric.ridge import RidgeHead, ridge_weights
from MetaSegmentLib.methods.metric.sampling import pixels_of
from MetaSegmentLib.networks.plan import SLICE_V1
from MetaSegmentLib.networks.slice_unet import SliceNetwork

EMBEDDING = SLICE_V1.arguments["embedding"]

HEADS = {
    "ridge": RidgeHead(),
    "matching": MatchingHead(),
    "prototypes": ProtoNetHead(PrototypeSettings()),
    "position": ProtoNetHead(PrototypeSettings(prototypes="position")),
}


@pytest.fixture
def painted():
    """Three slices whose first feature tells the structure from its surroundings, and their masks."""
    torch.manual_seed(0)
    truth = torch.zeros(3, 48, 48)
    truth[:, 8:40, 4:36] = 1
    features = torch.randn(3, EMBEDDING, 48, 48)
    features[:, 0] += 6 * truth - 3
    return Features(torch.zeros(3, len(SLICE_V1.inputs), 48, 48), features, torch.tensor([-1.0, 0.0, 1.0])), truth


def test_the_closed_form_is_what_scikit_learn_finds():
    random = np.random.default_rng(0)
    rows, labels = random.normal(size=(200, 7)), random.choice([-1.0, 1.0], 200)
    expected = Ridge(alpha=3.5, fit_intercept=False).fit(rows, labels).coef_
    found = ridge_weights(torch.from_numpy(rows), torch.from_numpy(labels), 3.5)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)


def test_the_solve_is_differentiated_through():
    torch.manual_seed(0)
    rows = torch.randn(30, 4, dtype=torch.float64, requires_grad=True)
    strength = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    labels = torch.randn(30, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda r, s: ridge_weights(r, labels, s), (rows, strength))


def test_matching_is_a_softmax_over_the_painted_pixels():
    random = np.random.default_rng(1)
    query, foreground, background = (random.normal(size=s) for s in ((2, 5, 3, 4), (6, 5), (6, 5)))
    keys, sharpness = np.concatenate([foreground, background]), 4.0
    expected = np.empty((2, 3, 4))
    for n, y, x in np.ndindex(expected.shape):
        f = query[n, :, y, x]
        attention = np.exp(sharpness * (keys @ f) / np.linalg.norm(keys, axis=1) / np.linalg.norm(f))
        expected[n, y, x] = attention[:6].sum() / attention.sum()
    tensors = [torch.from_numpy(value) for value in (query, foreground, background)]
    np.testing.assert_allclose(torch.sigmoid(matching_logits(*tensors, sharpness)).numpy(), expected, rtol=1e-9)


def test_matching_counts_both_classes_alike_and_says_nothing_without_one():
    query, foreground, background = torch.randn(1, 5, 3, 4), torch.randn(4, 5), torch.randn(3, 5)
    once = matching_logits(query, foreground, background, 2.0)
    torch.testing.assert_close(once, matching_logits(query, foreground, background.repeat(3, 1), 2.0))
    assert not matching_logits(query, foreground[:0], background, 2.0).any()


def test_pixels_are_bounded_of_their_class_and_the_same_for_the_same_seed(painted):
    seen, truth = painted
    features = torch.cat([truth[:, None], seen.embedded], dim=1)
    first, again, other = (pixels_of(features, truth, 1, 100, seed) for seed in (0, 0, 1))
    assert first.shape == (300, EMBEDDING + 1) and (first[:, 0] == 1).all()
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len(pixels_of(features, truth, 1, 10**6, 0)) == truth.sum()


@pytest.mark.parametrize("name", HEADS)
def test_a_head_finds_what_was_painted_and_teaches_features_and_its_own_tensors(painted, name):
    seen, truth = painted
    head, network = HEADS[name], SliceNetwork()
    extra = {key: value.clone().requires_grad_() for key, value in head.first_extra().items()}
    features = seen.embedded.clone().requires_grad_()
    seen = Features(seen.inputs, features, seen.places)
    fitted = head.fit(network, extra, seen.only([0, 2]), truth[[0, 2]], 0)
    logits = head.answer(network, extra, fitted, seen.only([1]))
    assert ((logits > 0) == (truth[[1]] > 0.5)).float().mean() > 0.9
    logits.sum().backward()
    assert features.grad is not None and all(features.grad[n].any() for n in range(3))
    assert all(value.grad is not None and value.grad.isfinite() for value in extra.values())


def test_position_weights_follow_their_formula():
    mask = torch.zeros(2, 48, 32)
    mask[0, :CELL] = 1
    mask[1, CELL:, CELL:] = 1
    positions = local_positions(mask, torch.tensor([-0.5, 1.0]))
    middle = (CELL - 1) / 2
    assert positions.tolist() == [
        [-0.5, middle, middle],
        [-0.5, middle, middle + CELL],
        [1.0, middle + CELL, middle + CELL],
        [1.0, middle + 2 * CELL, middle + CELL],
    ]
    assert len(positions) == len(local_prototypes(torch.randn(2, 3, 48, 32), mask))
    weights = log_weights(torch.tensor([0.25]), (48, 32), positions).exp()
    assert weights.shape == (1, 5, 48, 32) and torch.allclose(weights[:, 0], torch.tensor(GLOBAL_WEIGHT))
    z, y, x = positions[2].tolist()
    expected = np.exp(-((5 - y) ** 2 + (20 - x) ** 2) / (2 * SPREAD**2) - (0.25 - z) ** 2 / (2 * SLICE_SPREAD**2))
    assert weights[0, 3, 5, 20].item() == pytest.approx(expected, rel=1e-5)


def test_a_weighted_score_is_the_log_of_a_weighted_mean():
    features, prototypes, weights = torch.randn(2, 5, 4, 4), torch.randn(3, 5), torch.randn(2, 3, 4, 4)
    near = torch.exp(-0.7 * distances(features, prototypes, "euclidean"))
    expected = ((weights.exp() * near).sum(1) / weights.exp().sum(1)).log()
    torch.testing.assert_close(class_score(features, prototypes, "euclidean", 0.7, weights), expected)
    equal = class_score(features, prototypes, "euclidean", 0.7, torch.zeros_like(weights))
    torch.testing.assert_close(equal, class_score(features, prototypes, "euclidean", 0.7))
