"""What is finer than the working grid: found where there is something to find, left alone elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib import engine
from MetaSegmentLib.answer.refine import Detail, is_lost
from MetaSegmentLib.engine import adapt
from MetaSegmentLib.settings import Settings

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


@pytest.mark.parametrize("method", ["experts", "fusion"])
def test_folds_finer_than_the_grid_are_found(method, monkeypatch):
    image, mask = folded()
    found = {}
    for sharp in (False, True):
        monkeypatch.setattr(engine, "is_lost", is_lost if sharp else lambda region: False)
        told: list[str] = []
        settings = Settings(method=method)
        result = engine.segment(
            image, paint(mask), settings=settings, progress=lambda *step, told=told: told.append(step[0])
        )
        assert np.array_equal(result.labels[list(PAINTED)], mask[list(PAINTED)])
        assert ("sharpening" in told) == sharp
        between = [z for z in range(PAINTED[0], PAINTED[-1]) if z not in PAINTED]
        found[sharp] = dice(result.labels[between] == 1, mask[between])
    assert found[True] > found[False] + 0.02 and found[True] > 0.95


def test_a_window_that_is_not_shrunk_has_no_detail():
    image, mask = folded(side=100, folds=6)
    adapted = adapt(image, paint(mask), settings=Settings(method="experts"))
    assert [structure.detail for structure in adapted._structures] == [None]


def test_the_default_without_detail_is_the_default_on_the_grid():
    image, mask = folded()
    adapted = adapt(image, paint(mask), settings=Settings(method="fusion-without-detail"))
    assert [structure.detail for structure in adapted._structures] == [None]


def detail_of(seed: int = 0) -> tuple[Detail, np.ndarray]:
    image, mask = folded()
    adapted = adapt(image, paint(mask), settings=Settings(method="experts", seed=seed))
    (structure,) = adapted._structures
    assert structure.detail is not None
    logits = structure.episode.region.to_slices(structure.method.predict((4,)))[0]
    return structure.detail, logits


def test_where_the_method_is_sure_or_nothing_varies_nothing_is_added():
    detail, logits = detail_of()
    sure = np.full_like(logits, -7.5)
    assert np.array_equal(detail.add(4, sure), sure)
    changed = detail.add(4, logits) - logits
    assert np.abs(changed).max() > 1
    # What is added has no part that a grid pixel could show: over the window it sums to nothing.
    assert abs(changed.mean()) < 0.02


def test_the_same_seed_adds_the_same():
    (one, logits), (two, _) = detail_of(), detail_of()
    assert np.array_equal(one.add(4, logits), two.add(4, logits))
