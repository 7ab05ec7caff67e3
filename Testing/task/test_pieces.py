"""Pieces of a structure that lie far apart: taken apart where that is safe, and put together again."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib import adapt, engine, segment
from MetaSegmentLib.answer.joined import Pieces
from MetaSegmentLib.answer.patch import Patch
from MetaSegmentLib.data.protocol import paint, query_dice
from MetaSegmentLib.settings import Settings
from MetaSegmentLib.task.frame import Frame, FrameSettings, Window
from MetaSegmentLib.task.paint import read_paint
from MetaSegmentLib.task.pieces import in_pieces

SLICES = (4, 9, 14)
SHAPE = (20, 60, 150)


def balls(*centres: tuple[int, int, int], radius: float = 9.0) -> np.ndarray:
    grid = np.indices(SHAPE)
    return np.any([sum((g - c) ** 2 for g, c in zip(grid, one, strict=True)) < radius**2 for one in centres], axis=0)


PAIR = balls((9, 30, 25), (9, 30, 125))


def picture(mask: np.ndarray) -> np.ndarray:
    return (mask * 100 + np.random.default_rng(0).normal(0, 12, mask.shape)).astype(np.float32)


def pieces_of(mask: np.ndarray, slices=SLICES, value: int = 1) -> list:
    labels = paint(mask, slices, 0) * np.uint8(value)
    return in_pieces(read_paint(labels, mask.shape, slices, 0), value, (1.0, 1.0), FrameSettings())


def test_both_of_a_pair_are_pieces_and_each_paint_holds_one_of_them():
    left, right = pieces_of(PAIR)
    assert {len(left.masks(1)), len(right.masks(1))} == {3}
    together = left.masks(1) | right.masks(1)
    assert np.array_equal(together, PAIR[list(SLICES)]) and not (left.masks(1) & right.masks(1)).any()
    assert {left.masks(1)[:, :, :75].any(), right.masks(1)[:, :, :75].any()} == {True, False}


@pytest.mark.parametrize(
    "mask",
    [
        balls((9, 30, 25)),
        balls((9, 30, 50), (9, 30, 74)),
        balls(*((9, y, x) for y in (8, 30, 52) for x in (12, 75, 138)), radius=5),
        balls((4, 30, 25), (14, 30, 125), radius=4.5),
    ],
    ids=["one", "near each other", "too many", "never on the same slice"],
)
def test_what_is_better_left_together_is(mask):
    (whole,) = pieces_of(mask)
    assert np.array_equal(whole.masks(1), mask[list(SLICES)])


def test_a_slanting_tube_is_one_piece():
    grid = np.indices(SHAPE)
    tube = (grid[1] - 30) ** 2 + (grid[2] - 15 - 6 * grid[0]) ** 2 < 36
    assert len(pieces_of(tube)) == 1


def test_paint_of_others_stays_what_it_is():
    labels = paint(PAIR, SLICES, 0)
    labels[3, 20:30, 70:80] = 2
    labels[7, 20:30, 70:80] = 2
    given = read_paint(labels, SHAPE, {1: SLICES, 2: (3, 7)}, 0)
    for one in in_pieces(given, 1, (1.0, 1.0), FrameSettings()):
        assert np.array_equal(one.masks(2), given.masks(2)) and one.slices == given.slices
        assert all(np.array_equal(mask, given.elsewhere(1)[index]) for index, mask in one.elsewhere(1).items())


@pytest.mark.parametrize("method", ["experts", "protonet"])
def test_a_pair_is_found_as_one_segment(method):
    image, labels = picture(PAIR), paint(PAIR, SLICES, 0)
    result = segment(image, labels, slices=SLICES, axis=0, settings=Settings(method=method))
    assert np.array_equal(result.labels[list(SLICES)], labels[list(SLICES)])
    assert query_dice(result.labels == 1, PAIR, SLICES, 0) > 0.95
    assert result.estimated_dice[1] and 0.6 < result.estimated_dice[1] <= 1
    assert np.array_equal(result.probabilities.argmax(0), result.labels)
    assert result.suggested_slices


def arch(middle: int = 75, radius: int = 50, top: int = 15) -> np.ndarray:
    """Two limbs that join in the last slices, of which nothing is painted."""
    z, y, x = np.indices(SHAPE)
    bent = np.abs(np.hypot(x - middle, (z - top + 5) * radius / 5.0) - radius) < 12
    limbs = np.abs(np.abs(x - middle) - radius) < 9
    return (np.abs(y - 30) < 9) & np.where(z < top - 5, limbs, bent) & (z > 0)


def answers(mask: np.ndarray, slices: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, ...]:
    """Labels in pieces, and on one frame around all of them."""
    image, labels, settings = picture(mask), paint(mask, slices, 0), Settings(method="experts")
    apart = segment(image, labels, slices=slices, axis=0, settings=settings).labels
    monkeypatch.setattr(engine, "in_pieces", lambda paint, *_: [paint])
    return apart, segment(image, labels, slices=slices, axis=0, settings=settings).labels


def test_beyond_the_outermost_painted_slices_pieces_answer_while_they_are_apart(monkeypatch):
    apart, together = answers(PAIR, SLICES, monkeypatch)
    beyond = [index for index in range(len(PAIR)) if not SLICES[0] <= index <= SLICES[-1]]
    assert together[beyond].any() and apart[beyond].any()
    assert not np.array_equal(apart[beyond], together[beyond])


def test_beyond_the_outermost_painted_slices_the_mean_of_their_logits_and_of_the_frame_around_all_is_the_answer():
    def patch(level: float, columns: tuple[int, int], slices: range) -> Patch:
        frame = Frame(0, Window((0, 30), columns), 30, 0, 9, 9, (1.0, 1.0, 1.0), 0.0, 1.0)
        return Patch(frame, {index: np.full((30, 30), level, np.float32) for index in slices})

    wide = Frame(0, Window((0, 90), (0, 90)), 90, 0, 9, 9, (1.0, 1.0, 1.0), 0.0, 1.0)
    whole = Patch(wide, {index: np.full((90, 90), -2.0, np.float32) for index in (0, 1, 7, 8)})
    both = Pieces([patch(5.0, (0, 30), range(9)), patch(3.0, (60, 90), range(9))], whole, (2, 6), (90, 90))
    for _ in range(2):  # probabilities ask again
        for index in range(9):
            row = both.on_voxels(index)[15]
            left, right = (5.0, 3.0) if 2 <= index <= 6 else (1.5, 0.5)
            assert (row[:30] == left).all() and (row[60:] == right).all() and (row[30:60] < -5).all()


def test_where_pieces_join_one_frame_around_all_of_them_answers(monkeypatch):
    mask, slices = arch(), (2, 5, 12)
    apart, together = answers(mask, slices, monkeypatch)
    joining = slice(14, 17)
    assert together[joining].any((1, 2)).all() and np.array_equal(apart[joining], together[joining])
    assert not np.array_equal(apart, together)


def test_more_paint_may_join_what_was_apart():
    bridged = PAIR.copy()
    bridged[9, 28:33, 25:125] = True
    image = picture(bridged)
    some, more = (4, 13), (4, 9, 13)
    first = adapt(image, paint(bridged, some, 0), slices=some, axis=0, settings=Settings(method="experts"))
    again = first.update(paint(bridged, more, 0), more).predict()
    afresh = segment(image, paint(bridged, more, 0), slices=more, axis=0, settings=Settings(method="experts"))
    assert np.array_equal(again.labels, afresh.labels)
    assert np.array_equal(again.labels[9] == 1, bridged[9])
