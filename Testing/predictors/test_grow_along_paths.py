"""Grow from seeds without Slicer's code answers as with it, and only where that is missing and it is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib.data.protocol import dice
from MetaSegmentLib.predictors import ensemble
from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.ensemble import Ensemble
from MetaSegmentLib.predictors.grow_along_paths import GrowAlongPaths, paths_cut
from MetaSegmentLib.predictors.grow_from_seeds import FittedGrowth, grow_cut
from MetaSegmentLib.task.paint import Paint, PaintedSlices
from MetaSegmentLib.task.task import Task, make_task
from MetaSegmentLib.task.volume import Volume

SHAPE = (9, 34, 34)


def a_ball() -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    return ((z - 4) / 5) ** 2 + ((y - 17) / 9) ** 2 + ((x - 15) / 8) ** 2 < 1


@pytest.fixture
def task() -> Task:
    ball = a_ball()
    image = 100 * ball + np.random.default_rng(0).normal(0, 15, SHAPE)
    slices = (1, 4, 7)
    stack = PaintedSlices(slices, ball[list(slices)].astype(np.uint8))
    return make_task(
        Volume(image.astype(np.float32), (2.0, 1.0, 1.0)), Paint({1: 0}, {1: slices}, stacks={0: stack}), (1,)
    )


def test_it_grows_as_slicers_own_does() -> None:
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    ball = a_ball()
    image = (1000 * ball + np.random.default_rng(0).normal(0, 250, SHAPE)).astype(np.int16)
    seeds = np.zeros(SHAPE, np.int16)
    for index in (1, 7):
        seeds[index] = np.where(ball[index], 2, 1)
    intensity, seeds = np.pad(image, 1, mode="edge"), np.pad(seeds, 1)
    theirs, ours = (cut(intensity, seeds, (2.0, 1.0, 1.0))[3:8, 1:-1, 1:-1] == 2 for cut in (grow_cut, paths_cut))
    assert theirs.any() and dice(theirs, ours) > 0.98
    assert dice(ours, ball[2:7]) > 0.8


def test_it_stands_in_only_where_slicers_code_is_missing(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins = {"grow": GrowAlongPaths}
    monkeypatch.setattr(ensemble, "is_available", lambda: False)
    assert "grow" not in Ensemble(task, Context()).names
    standing_in = Ensemble(task, Context(), stand_ins=stand_ins)
    assert "grow" in standing_in.names and "grow" in standing_in.without(4).names
    grown = standing_in.logits("grow", (2, 3))[:, 0] > 0
    truth = np.stack([task.frame.cut_mask(a_ball()[[index]])[0] for index in (2, 3)])
    assert dice(grown, truth) > 0.85
    monkeypatch.setattr(ensemble, "is_available", lambda: True)
    assert Ensemble(task, Context(), stand_ins=stand_ins)._stand_ins == {}


def test_the_two_may_share_a_memo(task: Task) -> None:
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    context = Context()
    FittedGrowth(task, context, lambda intensity, seeds, spacing: np.ones_like(seeds)).logits([2])
    alone, after = (GrowAlongPaths().fit(task, one).logits([2]) for one in (Context(), context))
    assert np.array_equal(alone, after)
