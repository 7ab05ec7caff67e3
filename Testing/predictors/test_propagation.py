"""Outlines carried by registration, also over gaps of many hundred slices."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.propagation import ContourPropagation
from MetaSegmentLib.registration import slices as registration
from MetaSegmentLib.task.volume import check_volume
from task.structures import task_of


def test_fields_are_composed_step_by_step() -> None:
    """u(x) = step(x) + u'(x + step(x)): constant steps add up, and the painted disc follows them."""
    k, j, i = np.indices((9, 40, 40))
    mask = np.hypot(j - 20, i - 14 - k) < 7
    task = task_of(check_volume(100.0 * mask), mask, 0, [0, 4, 8])
    found = ContourPropagation().fit(task, Context()).logits([2, 6])[:, 0] > 0
    truth = task.frame.cut_mask(mask[[2, 6]])
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.95


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
