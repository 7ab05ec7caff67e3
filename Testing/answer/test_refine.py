"""What is finer than the frame: found where there is something to find, left alone elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib import engine
from MetaSegmentLib.answer.refine import Refinement, is_worth_it
from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.registry import find_method
from MetaSegmentLib.settings import Settings
from MetaSegmentLib.task.paint import read_paint
from MetaSegmentLib.task.task import make_task
from MetaSegmentLib.task.volume import check_volume

PAINTED = (2, 6, 10)
SIZE = 260


def folded(side: int = SIZE, folds: int = 46) -> tuple[np.ndarray, np.ndarray]:
    """An image and the mask of a disc with deep thin folds that turn from slice to slice, (13, side, side)."""
    y, x = np.mgrid[:side, :side] - side / 2
    angle, radius = np.arctan2(y, x), np.hypot(y, x) / side
    turned = [np.cos(folds * angle + 0.5 * z) for z in range(13)]
    mask = np.stack([(radius < 0.26) & ((radius < 0.14) | (fold > -0.4)) for fold in turned])
    noise = np.random.default_rng(0).standard_normal(mask.shape)
    return (mask * 100 + 8 * noise).astype(np.float32), mask


def paint(mask: np.ndarray) -> np.ndarray:
    painted = np.zeros(mask.shape, np.uint8)
    painted[list(PAINTED)] = mask[list(PAINTED)]
    return painted


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def run(image: np.ndarray, mask: np.ndarray, method: str):
    """The result, and the stages that the progress was told of."""
    told: list[str] = []
    result = engine.segment(
        image, paint(mask), settings=Settings(method=method), progress=lambda stage, *_: told.append(stage)
    )
    return result, told


@pytest.mark.parametrize("method", ["experts", "fusion"])
def test_folds_finer_than_the_frame_are_found(method, monkeypatch):
    image, mask = folded()
    monkeypatch.setattr(engine, "in_tiles", lambda *about: [])  # which show the folds, too
    found = {}
    for sharp in (False, True):
        monkeypatch.setattr(engine, "is_worth_it", is_worth_it if sharp else lambda task: False)
        result, told = run(image, mask, method)
        assert np.array_equal(result.labels[list(PAINTED)], mask[list(PAINTED)])
        assert ("sharpening" in told) == sharp
        between = [z for z in range(PAINTED[0], PAINTED[-1]) if z not in PAINTED]
        found[sharp] = dice(result.labels[between] == 1, mask[between])
    assert found[True] > found[False] + 0.02 and found[True] > 0.95


def test_a_window_whose_voxels_are_enlarged_is_not_refined():
    _, told = run(*folded(side=60, folds=6), "experts")
    assert "combining" in told and "sharpening" not in told


def test_the_default_without_detail_is_the_default_on_the_frame():
    _, told = run(*folded(), "fusion-without-detail")
    assert "combining" in told and "sharpening" not in told


def refinement_of(seed: int = 0) -> tuple[Refinement, np.ndarray]:
    """A refinement, and logits of slice 4 on the window's voxels to refine."""
    image, mask = folded()
    volume, read = check_volume(image), read_paint(paint(mask), mask.shape)
    task = make_task(volume, read, (1,))
    fitted = find_method("experts").make().fit(task, Context(seed))
    refinement = Refinement(task, volume, task.left_out, fitted.left_out()[:, 0], read.masks(1), seed)
    return refinement, task.frame.to_window(fitted.logits((4,))[:, 0])[0]


def test_where_the_method_is_sure_or_nothing_varies_nothing_is_added():
    refinement, logits = refinement_of()
    sure = np.full_like(logits, -7.5)
    assert np.array_equal(refinement.add(4, sure), sure)
    changed = refinement.add(4, logits) - logits
    assert np.abs(changed).max() > 1
    # What is added has no part that a frame pixel could show: over the window it sums to nothing.
    assert abs(changed.mean()) < 0.02


def test_the_same_seed_adds_the_same():
    (one, logits), (two, _) = refinement_of(), refinement_of()
    assert np.array_equal(one.add(4, logits), two.add(4, logits))
