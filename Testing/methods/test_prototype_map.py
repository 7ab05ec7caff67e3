"""Prototype maps against plain numpy, written from the formula in the file's docstring."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MetaSegmentLib.methods.metric.prototype_map import distance_to_map, prototype_map, smoothed

SLICES, FEATURES, SIDE, SPREAD = 3, 4, 9, 1.0


@pytest.fixture
def support() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    masks = random.random((SLICES, SIDE, SIDE)) > 0.5
    return random.normal(size=(SLICES, FEATURES, SIDE, SIDE)), masks.astype(float), np.array([0.0, 1.0, 2.5])


def expected(features, masks, places, wanted, row, column):
    """c(p) of one pixel, by loops."""
    shared = sum(f[:, m > 0].sum(1) for f, m in zip(features, masks, strict=True)) / masks.sum()
    above, below = 0.05 * shared, 0.05
    steps = np.arange(-3, 4)
    total = np.exp(-(steps**2) / (2 * SPREAD**2)).sum()
    for feature, mask, place in zip(features, masks, places, strict=True):
        near = np.exp(-((wanted - place) ** 2) / 2)
        for r in range(max(row - 3, 0), min(row + 4, SIDE)):
            for c in range(max(column - 3, 0), min(column + 4, SIDE)):
                g = np.exp(-((r - row) ** 2 + (c - column) ** 2) / (2 * SPREAD**2)) / total**2
                above = above + near * g * mask[r, c] * feature[:, r, c]
                below += near * g * mask[r, c]
    return above / below


@pytest.mark.parametrize(("row", "column"), [(4, 4), (0, 8), (7, 1)])
def test_the_map_is_the_formula(support, row: int, column: int) -> None:
    features, masks, places = support
    f, m, z = (torch.from_numpy(a) for a in support)
    shared = torch.from_numpy(sum(x[:, y > 0].sum(1) for x, y in zip(features, masks, strict=True)) / masks.sum())
    found = prototype_map(smoothed(f, m, SPREAD), shared, z, torch.tensor([0.7], dtype=torch.float64))
    wanted = expected(features, masks, places, 0.7, row, column)
    np.testing.assert_allclose(found[0, :, row, column].numpy(), wanted, rtol=1e-9)


def test_far_from_all_paint_it_is_the_global_prototype() -> None:
    features, mask = torch.randn(1, 3, 40, 40), torch.zeros(1, 40, 40)
    mask[0, :4, :4] = 1
    shared = torch.tensor([1.0, -2.0, 3.0])
    found = prototype_map(smoothed(features, mask, SPREAD), shared, torch.zeros(1), torch.zeros(1))
    torch.testing.assert_close(found[0, :, -1, -1], shared)


def test_distances_are_squares_or_scaled_cosines() -> None:
    random = np.random.default_rng(1)
    a, b = random.normal(size=(2, 2, 3, 4, 4))
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    np.testing.assert_allclose(distance_to_map(x, y, "euclidean").numpy(), ((a - b) ** 2).sum(1))
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(distance_to_map(x, y, "cosine").numpy(), -20 * cosine)
