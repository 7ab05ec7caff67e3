"""Tiles of a structure whose own frame is too coarse for it: where they lie, and what comes of them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from MetaSegmentLib import engine, segment
from MetaSegmentLib.answer.joined import Tiles, tiles_are_better
from MetaSegmentLib.answer.parts import FittedPart, FittedPieces, FittedTiles
from MetaSegmentLib.answer.patch import FAR, Patch
from MetaSegmentLib.data.protocol import paint, query_dice
from MetaSegmentLib.settings import Settings
from MetaSegmentLib.task.frame import Frame, FrameSettings, Window, make_frame, resize, signed_distance
from MetaSegmentLib.task.paint import Paint, read_paint
from MetaSegmentLib.task.task import make_task
from MetaSegmentLib.task.tiles import Tile, in_tiles
from MetaSegmentLib.task.volume import Volume

SETTINGS = FrameSettings()
SLICES = (2, 6, 10)
SHAPE = (13, 300, 260)
STRIP = (13, 60, 280)


def scattered(shape: tuple[int, int, int] = SHAPE, every: int = 34, radius: float = 6.0) -> np.ndarray:
    """Slanting rods, every so many voxels."""
    k, j, i = np.indices(shape)
    rows, columns = (j - k) % every - every / 2, (i + k) % every - every / 2
    inside = (j > 12) & (j < shape[1] - 12) & (i > 12) & (i < shape[2] - 12)
    return np.asarray((rows**2 + columns**2 < radius**2) & inside)


RODS = scattered()
ROW = scattered(STRIP)


def read(mask: np.ndarray, slices=SLICES) -> Paint:
    return read_paint(paint(mask, slices, 0), mask.shape, slices, 0)


def tiles_of(mask: np.ndarray, spacing=(1.0, 1.0, 1.0), slices=SLICES) -> list[Tile]:
    given = read(mask, slices)
    frame, _ = make_frame(Volume(mask.astype(np.float32), spacing), 0, given.masks(1), 0, len(mask), SETTINGS)
    return in_tiles(given, 1, frame, SETTINGS)


def region(window: Window, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    inside = np.zeros(shape[1:], bool)
    inside[window.inside(*shape[1:])[0]] = True
    return inside


def test_everything_painted_lies_on_a_tile_and_each_holds_only_its_own_paint():
    tiles = tiles_of(RODS)
    assert 4 < len(tiles) <= 12
    regions = [region(tile.window) for tile in tiles]
    assert not (RODS[list(SLICES)].any(0) & ~np.any(regions, axis=0)).any()
    for tile, inside in zip(tiles, regions, strict=True):
        assert np.array_equal(tile.paint.masks(1), RODS[list(SLICES)] & inside)
        assert tile.paint.slices == {1: SLICES} and tile.size == SETTINGS.size


def test_distances_on_a_tile_are_those_of_the_whole_structure():
    """Also on tiles that lie wholly inside it, where there is no outline."""
    j, i = np.indices((420, 420))
    striped = (np.hypot(j - 210, i - 210) < 190) & ((i > 90) | (i % 6 > 2))
    mask = np.broadcast_to(striped, (9, 420, 420))
    volume, given = Volume(mask.astype(np.float32), (1.0, 1.0, 1.0)), read(mask, (2, 4, 6))
    frame, _ = make_frame(volume, 0, given.masks(1), 0, len(mask), SETTINGS)
    tiles = in_tiles(given, 1, frame, SETTINGS)
    whole = signed_distance(mask[4])
    full = 0
    for tile in tiles:
        task = make_task(volume, tile.paint, (1,), SETTINGS, tile)
        found = task.structure.distances[4]
        expected = np.clip(task.frame.window.cut(whole[None], edge=True)[0] / task.frame.pixel, -30, 30)
        inner = tuple(part for part in task.frame.window.inside(420, 420)[1])
        difference = resize(found[None], expected.shape)[0] - expected
        assert np.abs(difference[inner]).max() < 1, tile.window
        full += bool(tile.window.cut(mask[[4]], edge=False).all())
    assert full


def test_pixels_of_tiles_are_finer_than_those_of_the_frame_around_all():
    volume, given = Volume(RODS.astype(np.float32), (1.0, 1.0, 1.0)), read(RODS)
    frame, _ = make_frame(volume, 0, given.masks(1), 0, len(RODS), SETTINGS)
    tiles = in_tiles(given, 1, frame, SETTINGS)
    assert tiles and all(max(tile.window.shape) / tile.size <= frame.shrinkage / 1.5 for tile in tiles)


@pytest.mark.parametrize("spacing", [(2.0, 1.0, 1.5), (2.0, 0.5, 0.25)])
def test_tiles_are_square_in_mm(spacing):
    tiles = tiles_of(RODS, spacing)
    assert tiles
    for tile in tiles:
        rows, columns = (n * mm for n, mm in zip(tile.window.shape, spacing[1:], strict=True))
        assert rows == pytest.approx(columns, rel=0.02)


def test_there_are_never_many():
    huge = scattered((13, 800, 700), every=100, radius=36.0)
    tiles = tiles_of(huge)
    assert 0 < len(tiles) <= 12
    assert len({tile.window.shape for tile in tiles}) == 1


def test_a_small_structure_and_a_large_plain_one_stay_whole():
    k, j, i = np.indices(SHAPE)
    small = (j - 150) ** 2 + (i - 130) ** 2 + (k - 6) ** 2 < 20**2
    plain = (np.abs(j - 150) < 90) & (np.abs(i - 130) < 80)
    assert tiles_of(small) == [] and tiles_of(plain) == []


def test_tiles_that_would_hardly_be_finer_are_none():
    assert tiles_of(scattered((13, 800, 700), every=60)) == []


def test_a_tile_with_paint_on_one_slice_is_left_to_the_frame_around_all():
    lonely = ROW.copy()
    lonely[3:, :, 150:] = False
    tiles = tiles_of(lonely)
    assert 0 < len(tiles) < len(tiles_of(ROW))
    assert all(tile.paint.masks(1).any((1, 2)).sum() >= 2 for tile in tiles)


def picture(mask: np.ndarray) -> np.ndarray:
    return (mask * 60 + np.random.default_rng(0).normal(0, 20, mask.shape)).astype(np.float32)


def test_what_is_scattered_is_found_better_on_tiles(monkeypatch):
    labels, settings = paint(ROW, SLICES, 0), Settings(method="protonet")
    image = picture(ROW)
    tiled = segment(image, labels, slices=SLICES, axis=0, settings=settings)
    assert np.array_equal(tiled.labels[list(SLICES)], labels[list(SLICES)])
    monkeypatch.setattr(engine, "in_tiles", lambda *about: [])
    whole = segment(image, labels, slices=SLICES, axis=0, settings=settings)
    found, before = (query_dice(one.labels == 1, ROW, SLICES, 0) for one in (tiled, whole))
    assert found > before + 0.02 and found > 0.9


def test_a_method_without_a_network_has_one_frame(monkeypatch):
    monkeypatch.setattr(engine, "in_tiles", lambda *about: pytest.fail("tiles are asked for"))
    adapted = engine.adapt(picture(ROW), paint(ROW, SLICES, 0), slices=SLICES, settings=Settings(method="shape"))
    assert isinstance(adapted._parts[0], FittedPart)


class Level:
    """A patch that says the same on every voxel, on pixels of a size."""

    def __init__(self, window: Window, level: float, slices=(0,), pixel: float = 1.0) -> None:
        self.level, self.logits = level, dict.fromkeys(slices)
        self.frame = SimpleNamespace(window=window, pixel=pixel)
        self.shared = None

    def on_voxels(self, index: int) -> np.ndarray:
        return np.full(self.frame.window.shape, self.level, np.float32)

    places = Patch.places
    on_slice = Patch.on_slice


PLANE = (40, 50)
WHOLE = Level(Window((0, 40), (0, 50)), -1.0, (0, 1), pixel=3.0)
LEFT, RIGHT = Level(Window((5, 35), (-4, 26)), 3.0, (0, 2)), Level(Window((5, 35), (16, 46)), 7.0, (0, 2))


def test_tiles_pass_into_each_other_and_the_coarser_frame_counts_less():
    plane = Tiles((LEFT, RIGHT), WHOLE, PLANE).on_voxels(0)
    row = plane[20]
    assert np.allclose(row[:16], (3 * 3 - 1) / 4) and np.allclose(row[26:46], (3 * 7 - 1) / 4)
    assert (np.diff(row[15:27]) >= 0).all() and np.diff(row[15:27]).max() < 1
    assert np.allclose(row[46:], -1) and np.allclose(plane[:5], -1) and np.allclose(plane[35:], -1)


def test_where_only_one_of_both_answers_that_is_the_answer():
    joined = Tiles((LEFT, RIGHT), WHOLE, PLANE)
    assert sorted(joined.logits) == [0, 1, 2]
    assert np.allclose(joined.on_voxels(1), -1)
    plane = joined.on_voxels(2)
    assert np.allclose(plane[20, :16], 3) and np.allclose(plane[20, 26:46], 7) and np.allclose(plane[20, 46:], FAR)


class Fitted:
    """Says of every left-out slice what it is given."""

    def __init__(self, planes: dict[int, np.ndarray] | None) -> None:
        self.planes = planes

    def logits(self, slices) -> None:
        raise AssertionError("only left-out slices are asked for")

    def left_out(self) -> np.ndarray | None:
        return None if self.planes is None else np.stack([plane[None] for plane in self.planes.values()])


TRUTH = np.indices((96, 96)).sum(0) < 96


def part(right: dict[int, float] | None) -> FittedPart:
    """Answers the painted slices right by so much, or wrong by so much where that is negative."""
    frame = Frame(0, Window((0, 96), (0, 96)), 96, 0, 20, 20, (1.0, 1.0, 1.0), 0.0, 1.0)
    structure = SimpleNamespace(inner=(6, 10))
    fitted = Fitted(None if right is None else {n: np.where(TRUTH, v, -v) for n, v in right.items()})
    task = SimpleNamespace(frame=frame, structure=structure, left_out=() if right is None else tuple(right))
    return FittedPart(task, fitted, (None,), (None,))


MASKS = dict.fromkeys((2, 6, 10, 14), TRUTH)


@pytest.mark.parametrize(
    ("tile", "whole", "better"),
    [
        ({6: 5.0, 10: 5.0}, {6: -1.0, 10: -1.0}, True),
        ({6: 1.0, 10: 1.0}, {6: 1.0, 10: 1.0}, True),
        ({6: -5.0, 10: 5.0}, {6: 1.0, 10: 1.0}, False),
        ({2: -5.0, 6: 5.0, 10: 5.0, 14: -5.0}, {2: 1.0, 6: 1.0, 10: 1.0, 14: 1.0}, True),
        (None, {6: 1.0, 10: 1.0}, False),
        ({6: 1.0, 10: 1.0}, None, False),
    ],
    ids=["better", "as good", "worse", "outermost slices do not count", "tiles cannot tell", "the whole cannot tell"],
)
def test_tiles_are_taken_where_left_out_slices_say_so(tile, whole, better):
    assert tiles_are_better([part(tile)], part(whole), MASKS) is better


def test_what_does_not_help_is_not_kept(monkeypatch):
    monkeypatch.setattr(engine, "tiles_are_better", lambda *about: False)
    adapted = engine.adapt(picture(ROW), paint(ROW, SLICES, 0), slices=SLICES, settings=Settings(method="protonet"))
    assert isinstance(adapted._parts[0], FittedPart)


def test_pieces_far_apart_have_tiles_of_their_own(monkeypatch):
    k, j, i = np.indices((13, 114, 420))
    nets = ((j - k) % 34 < 9) | ((i + k) % 34 < 9)
    pair = nets & (np.abs(j - 56.5) < 46) & (np.abs(np.abs(i - 209.5) - 155) < 46)
    image, labels, settings = picture(pair), paint(pair, SLICES, 0), Settings(method="protonet")
    adapted = engine.adapt(image, labels, slices=SLICES, axis=0, settings=settings)
    (part,) = adapted._parts
    assert isinstance(part, FittedPieces) and len(part.pieces) == 2
    assert all(isinstance(piece, FittedTiles) for piece in part.pieces)
    for piece, half in zip(part.pieces, (slice(0, 110), slice(310, 420)), strict=True):
        columns = [tile.task.frame.window.columns for tile in piece.tiles]
        assert all(a < half.stop and b > half.start for a, b in columns), "none lies on the other piece"
    tiled = adapted.predict().labels == 1
    monkeypatch.setattr(engine, "in_tiles", lambda *about: [])
    whole = segment(image, labels, slices=SLICES, axis=0, settings=settings).labels == 1
    between = np.zeros(pair.shape, bool)
    between[SLICES[0] : SLICES[-1] + 1] = True
    found, before = (query_dice(one & between, pair & between, SLICES, 0) for one in (tiled, whole))
    assert found > before and found > 0.9


def test_sizes_do_not_hold_a_tile_where_the_structure_comes_and_goes():
    adapted = engine.adapt(picture(ROW), paint(ROW, SLICES, 0), slices=SLICES, settings=Settings(method="protonet"))
    (part,) = adapted._parts
    assert part.whole.sizes[0] is not None
    assert part.tiles and all(tile.sizes == (None,) for tile in part.tiles)
