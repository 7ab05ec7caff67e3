"""Tiles to learn on are like those of the product: parts of a structure, with their own paint and truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MetaSegmentLib.networks.plan import CONTEXT_V1
from MetaSegmentLib.task.frame import FrameSettings
from MetaSegmentLib.task.paint import Paint, read_paint
from MetaSegmentLib.task.tiles import OVERLAP
from MetaSegmentLib.training import episodes
from MetaSegmentLib.training.config import EpisodeSettings, TaskSettings
from MetaSegmentLib.training.episodes import make_episode
from MetaSegmentLib.training.sources import Source
from MetaSegmentLib.training.tasks import TaskMaker
from MetaSegmentLib.training.tiled import random_tile

SPACING = (3.0, 1.0, 0.5)
PAINTED = (3, 9, 15)


@pytest.fixture(scope="module")
def paint() -> Paint:
    """A bar of 20 rows and 80 columns, 20 × 40 mm, on three slices; on the last one only its right half."""
    labels = np.zeros((20, 60, 120), np.uint8)
    labels[list(PAINTED), 20:40, 20:100] = 1
    labels[15, :, :60] = 0
    return read_paint(labels, labels.shape, PAINTED, 0)


def tiles(paint: Paint):
    found = (random_tile(paint, 1, SPACING, FrameSettings(), np.random.default_rng(seed)) for seed in range(60))
    return [tile for tile in found if tile is not None]


def test_they_are_square_in_mm_and_lie_on_what_is_painted(paint):
    some = tiles(paint)
    assert len(some) == 60
    for tile in some:
        rows, columns = tile.window.shape
        assert tile.size == FrameSettings().size and abs(2 * rows - columns) <= 1
        assert 16 <= rows <= 40
        for (start, stop), (first, last), side in zip(
            (tile.window.rows, tile.window.columns), ((20, 40), (20, 100)), (rows, columns), strict=True
        ):
            if side - 2 * round(side * OVERLAP) < last - first:
                assert first - side * OVERLAP - 1 <= start and stop <= last + side * OVERLAP + 1
            else:
                assert abs((start + stop) - (first + last)) <= 1, "one that is longer than the structure lies around it"
    assert len({tile.window for tile in some}) > 20


def test_each_has_the_paint_in_its_window_on_two_slices_at_least(paint):
    own = paint.masks(1)
    for tile in tiles(paint):
        region = np.zeros((60, 120), bool)
        region[tile.window.inside(60, 120)[0]] = True
        part = tile.paint.masks(1)
        assert np.array_equal(part, own & region)
        assert part.any((1, 2)).sum() >= 2 and tile.paint.slices == paint.slices
    left = [tile for tile in tiles(paint) if not tile.paint.masks(1)[2].any()]
    assert left, "a tile may have no paint on a slice on which the structure is painted elsewhere"


def test_a_share_of_the_episodes_shows_tiles_with_their_truth(cohort, monkeypatch):
    seen = []

    def note(*given):
        seen.append(random_tile(*given))
        return seen[-1]

    monkeypatch.setattr(episodes, "random_tile", note)
    maker = TaskMaker([Source(cohort, 1.0)], settings=TaskSettings(deformed=0.0, disturbed=0.0))
    settings = EpisodeSettings(keep_painted=3, keep_queries=4, tiled=1.0)
    cut = made = 0
    for seed in range(6):
        random = np.random.default_rng(seed)
        found = make_episode(maker.make(random), random, settings, CONTEXT_V1)
        assert len(seen) == seed + 1
        if found is not None:
            made += 1
            truth = np.concatenate([found.query_truth, found.support_truth])
            cut += bool(truth[:, [0, -1]].any() or truth[:, :, [0, -1]].any())
    assert made > 3 and cut >= made / 2, "structures reach the borders of their tiles"
    random = np.random.default_rng(0)
    make_episode(maker.make(random), random, replace(settings, tiled=0.0), CONTEXT_V1)
    assert len(seen) == 6
