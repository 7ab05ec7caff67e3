"""The sum runs what weighs something for so many painted slices, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MetaSegmentLib.data.protocol import paint, painted_slices
from MetaSegmentLib.methods.fusion import Fusion
from MetaSegmentLib.networks.plan import Calibration
from MetaSegmentLib.networks.weights import Weights
from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.protocol import Fitted
from MetaSegmentLib.predictors.shape import ShapeInterpolation
from MetaSegmentLib.task.paint import read_paint
from MetaSegmentLib.task.task import Task, make_task
from MetaSegmentLib.task.volume import check_volume

WEIGHTS = Calibration(fusion_weights={"shape": 0.75, "many": 0.5}, few_fusion_weights={"shape": 0.25, "few": 1.5})


class Recorded:
    """The shape predictor, which remembers that it was asked."""

    def __init__(self) -> None:
        self.asked = False

    def fit(self, task: Task, context: Context) -> Fitted:
        self.asked = True
        return ShapeInterpolation().fit(task, context)


@pytest.fixture
def fusion(monkeypatch: pytest.MonkeyPatch) -> tuple[Fusion, dict[str, Recorded]]:
    plan = replace(Weights().load_plan("baselines"), calibration={"sum": WEIGHTS})
    monkeypatch.setattr(Weights, "load_plan", lambda self, name: plan)
    parts = {"few": Recorded(), "many": Recorded()}
    return Fusion(("any", "sum"), parts), parts


def a_task(k: int) -> Task:
    z, y, x = np.indices((24, 40, 40)) - np.array([12, 20, 20]).reshape(3, 1, 1, 1)
    mask = z**2 + y**2 + x**2 < 10**2
    slices = painted_slices(mask, k)
    return make_task(check_volume(100.0 * mask), read_paint(paint(mask, slices), mask.shape), (1,))


@pytest.mark.parametrize(
    ("k", "used", "shape", "own"), [(3, "few", 0.25, 1.5), (4, "few", 0.25, 1.5), (5, "many", 0.75, 0.5)]
)
def test_few_and_many_painted_slices(fusion, k: int, used: str, shape: float, own: float) -> None:
    predictor, parts = fusion
    task, context = a_task(k), Context()
    fitted = predictor.fit(task, context)
    assert fitted.calibrated == {"shape": shape, used: own}
    assert {name for name, part in parts.items() if part.asked} == {used}
    if k < 5:
        alone = ShapeInterpolation().fit(task, context).logits(task.queries)
        np.testing.assert_allclose(fitted.logits(task.queries), (shape + own) * alone, rtol=1e-2, atol=1e-2)


def test_the_whole_sum_runs_all_parts(fusion) -> None:
    predictor, parts = fusion
    fitted = predictor.whole().fit(a_task(3), Context())
    assert all(part.asked for part in parts.values()) and {*parts, "shape", "pixels"} <= set(fitted.calibrated)
    assert fitted.calibrated["many"] == 0 and fitted.calibrated["few"] == 1.5
