"""Structures made of others: parts of them or next to them, as thick as asked for, the same from the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from MetaSegmentLib.training import derived as made
from MetaSegmentLib.training import tasks
from MetaSegmentLib.training.config import Config, TaskSettings
from MetaSegmentLib.training.sources import Source
from MetaSegmentLib.training.tasks import TaskMaker


@pytest.fixture
def ball() -> np.ndarray:
    return np.asarray(sum((line - 15) ** 2 for line in np.ogrid[:31, :31, :31]) < 100)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("thickness", [1, 3])
def test_surface_and_core_make_up_the_structure_and_the_coat_lies_around_it(ball, random, thickness):
    surface, core, coat = (make(ball, thickness, random) for make in (made.surface, made.core, made.coat))
    assert np.array_equal(surface | core, ball) and not (surface & core).any()
    assert coat.any() and not (coat & ball).any()
    steps = ndimage.distance_transform_cdt(ball, "taxicab")
    assert np.array_equal(surface, (steps > 0) & (steps <= thickness))
    assert np.array_equal(coat, (steps == 0) & (ndimage.distance_transform_cdt(~ball, "taxicab") <= thickness))


def test_a_cap_is_one_side_of_it_and_so_thick(ball, random):
    sides = set()
    for _ in range(40):
        cap = made.cap(ball, 2, random)
        assert not (cap & ~ball).any()
        (axis,) = (n for n in range(3) if cap.sum(n).max() == 2)
        sides.add((axis, bool(np.argwhere(cap).mean(0)[axis] > 15)))
        assert np.array_equal(cap.any(axis), ball.any(axis)), "wherever the structure is, so is its side"
    assert len(sides) == 6


def test_a_cut_leaves_what_is_on_one_side_of_a_plane(ball, random):
    shares = []
    for _ in range(40):
        part = made.cut(ball, 1, random)
        assert not (part & ~ball).any()
        shares.append(part.sum() / ball.sum())
        if part.any() and (ball & ~part).any():
            apart = np.argwhere(part).mean(0) - np.argwhere(ball & ~part).mean(0)
            inner, outer = np.argwhere(part) @ apart, np.argwhere(ball & ~part) @ apart
            assert np.quantile(inner, 0.02) > np.quantile(outer, 0.98) - 0.2 * (inner.max() - outer.min())
    assert min(shares) < 0.3 and max(shares) > 0.7


def test_nothing_is_made_of_nothing(random):
    for _ in range(20):
        assert not made.derived(np.zeros((4, 5, 6), bool), random).any()


def test_the_same_numbers_make_the_same(ball):
    first, second = ([made.derived(ball, np.random.default_rng(seed)) for seed in range(12)] for _ in range(2))
    assert all(map(np.array_equal, first, second))
    assert len({mask.tobytes() for mask in first}) > 8


def test_a_share_of_the_tasks_is_made_of_others(monkeypatch: pytest.MonkeyPatch):
    calls = []
    monkeypatch.setattr(tasks, "derived", lambda mask, random: calls.append(mask.shape) or mask)
    source = Source(Path(), 1.0, "shapes")
    for share, least, most in ((0.0, 0, 0), (0.5, 1, 11), (1.0, 12, 999)):
        calls.clear()
        for seed in range(12):
            TaskMaker([source], settings=TaskSettings(derived=share)).make(np.random.default_rng(seed))
        assert least <= len(calls) <= most, share


def test_the_network_that_is_shipped_learns_from_them():
    assert Config(Path(tasks.__file__).with_name("context.toml")).tasks.derived > 0
