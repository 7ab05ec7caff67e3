"""Outlines carried by registration, also over gaps of many hundred slices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.propagation import ContourPropagation
from MetaSegmentLib.registration import slices as registration
from MetaSegmentLib.task.volume import check_volume
from task.structures import task_of


def test_fields_are_composed_step_by_step() -> None:
    """u(x) = step(x) + u'(x + step(x)), each step with the field of its own two slices."""
    k, j, i = np.indices((9, 40, 40))
    mask = np.hypot(j - 20, i - 14 - k) < 7
    image = 100.0 * mask + np.random.default_rng(0).normal(0, 1, mask.shape)
    task = task_of(check_volume(image), mask, 0, [0, 8])
    fitted = ContourPropagation().fit(task, Context())
    expected = np.zeros_like(fitted.step(0, 1))
    for index in range(4):
        step = fitted.step(index, index + 1)
        rows, columns = np.indices(step.shape[1:], dtype=np.float32) + step
        pulled = [map_coordinates(part, (rows, columns), order=1, mode="nearest") for part in expected]
        expected = step + np.stack(pulled)
        np.testing.assert_allclose(fitted._chain(0, index + 1), expected, atol=1e-4)
    found = fitted.logits([4])[:, 0] > 0
    truth = task.frame.cut_mask(mask[[4]])
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9


def test_a_gap_of_a_thousand_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "_ITERATIONS", 1)
    depth = 1210
    mask = np.zeros((depth, 24, 24), bool)
    mask[:, 8:16, 8:16] = True
    image = 100.0 * mask + np.random.default_rng(0).normal(0, 1, mask.shape)
    task = task_of(check_volume(image), mask, 0, [2, 4, depth - 4])
    found = ContourPropagation().fit(task, Context()).logits([depth // 2])[:, 0] > 0
    truth = task.frame.cut_mask(mask[[depth // 2]])
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.8
