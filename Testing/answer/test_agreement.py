"""How far an answer agrees with simple predictors, and that the expected Dice follows it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from MetaSegmentLib import engine, segment
from MetaSegmentLib.answer.agreement import agreement, shared_by_structure, shared_with
from MetaSegmentLib.answer.calibration import expected_dice
from MetaSegmentLib.answer.joined import Pieces, Tiles
from MetaSegmentLib.answer.patch import Patch
from MetaSegmentLib.data.protocol import paint
from MetaSegmentLib.predictors import ensemble
from MetaSegmentLib.settings import Settings
from MetaSegmentLib.task.frame import Frame, Window, overlap


def frame(size: int, side: int = 96, spacing: float = 1.0) -> Frame:
    return Frame(0, Window((0, side), (0, side)), size, 0, 9, 9, (1.0, spacing, spacing), 0.0, 1.0)


def masks(count: int) -> np.ndarray:
    return np.random.default_rng(count).random((count, 3, 20, 20)) < 0.3


def test_it_is_the_dice_with_the_witness_that_agrees_better():
    found, first, second = masks(3)
    shared = shared_with(found, np.stack([first, second | found]))
    assert agreement(shared) == pytest.approx(overlap(found, second | found))
    assert agreement(shared[::-1]) == agreement(shared) > overlap(found, first)


def test_without_anything_found_or_anybody_asked_there_is_none():
    nothing = np.zeros((3, 20, 20), bool)
    assert agreement(None) is None and agreement(shared_with(nothing, np.stack([nothing, nothing]))) is None
    assert agreement(shared_with(nothing, np.stack([nothing, ~nothing]))) == 0
    assert agreement(shared_with(~nothing, np.stack([nothing, nothing]))) == 0


def some_ensemble(shape: np.ndarray, grow: np.ndarray, painted: tuple[tuple[int, ...], ...]) -> SimpleNamespace:
    """Says (slices, C, H, W) masks of two predictors; painted slices of each structure."""
    said = {"shape": shape, "grow": grow}
    structures = [SimpleNamespace(distances=dict.fromkeys(slices)) for slices in painted]
    return SimpleNamespace(
        names=("shape", "propagation", "grow"),
        task=SimpleNamespace(structures=structures, frame=frame(20, 40, 1.0)),
        logits=lambda name, slices: np.where(said[name][list(slices)], 3.0, -3.0),
    )


def test_painted_slices_do_not_count_and_areas_are_in_square_millimetres():
    found, shape, grow = (np.moveaxis(one, 0, 1) for one in np.random.default_rng(0).random((3, 2, 6, 20, 20)) < 0.4)
    logits = {index: np.where(found[index], 1.0, -1.0) for index in (1, 2, 4, 5)}
    first, second = shared_by_structure(some_ensemble(shape, grow, ((0, 3), (0, 2))), logits)
    for shared, place, slices in ((first, 0, [1, 2, 4, 5]), (second, 1, [1, 4, 5])):
        for row, one in zip(shared, (shape, grow), strict=True):
            a, b = found[slices, place], one[slices, place]
            assert tuple(row) == (4 * 2 * (a & b).sum(), 4 * (a.sum() + b.sum())), "40 voxels of 1 mm on 20 pixels"


def test_where_one_of_them_is_missing_nobody_is_asked():
    shape = masks(1)[:, None]
    alone = some_ensemble(shape, shape, ((),))
    alone.names = ("shape", "propagation")
    assert shared_by_structure(alone, {0: np.ones((1, 20, 20))}) == [None]
    assert shared_by_structure(some_ensemble(shape, shape, ((),)), {}) == [None]


def test_pieces_count_together_and_tiles_as_the_whole():
    ours, other = np.array([[2.0, 6.0], [4.0, 6.0]]), np.array([[8.0, 9.0], [1.0, 9.0]])
    left, right = (Patch(frame(96), {}, shared=shared) for shared in (ours, other))
    assert np.array_equal(Pieces([left, right], left, (0, 5), (96, 96)).shared, ours + other)
    assert Pieces([left, Patch(frame(96), {})], left, (0, 5), (96, 96)).shared is None
    assert Tiles([left], right, (96, 96)).shared is other


SHAPE = (20, 60, 60)
SLICES = (4, 9, 14)


@pytest.fixture
def ball() -> np.ndarray:
    return sum((g - c) ** 2 for g, c in zip(np.indices(SHAPE), (9, 30, 30), strict=True)) < 81


def estimate(ball: np.ndarray, noise: float) -> tuple[float, np.ndarray]:
    image = ball * 100 + np.random.default_rng(0).normal(0, noise, SHAPE)
    result = segment(image, paint(ball, SLICES, 0), slices=SLICES, axis=0, settings=Settings(method="experts"))
    return result.estimated_dice[1], result.labels


def test_the_estimate_of_a_run_follows_the_agreement_and_the_answer_does_not(ball, monkeypatch):
    plain, labels = estimate(ball, 12)
    seen = []

    def spied(implied, painted, calibration, agreed=None):
        seen.append((implied, painted, agreed))
        return expected_dice(implied, painted, calibration, agreed)

    known = engine.Adapted._calibration.fget
    asking = property(lambda self: replace(known(self), dice_agreement=0.7, agreement_slope=0.0, agreement_bias=0.0))
    monkeypatch.setattr(engine, "expected_dice", spied)
    monkeypatch.setattr(engine.Adapted, "_calibration", asking)
    told, same = estimate(ball, 12)
    ((_, painted, agreed),) = seen
    assert painted == 3 and agreed > 0.9, "it is a ball with a plain border"
    assert told > plain and np.array_equal(labels, same)

    monkeypatch.setattr(ensemble, "is_available", lambda: False)
    estimate(ball, 12)
    assert seen[-1][2] is None, "Slicer's own code is missing"


def test_methods_whose_plan_does_not_ask_do_not_ask(ball, monkeypatch):
    monkeypatch.setattr(engine, "Ensemble", None)
    assert estimate(ball, 12)[0] > 0
