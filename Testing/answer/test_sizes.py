"""Between two painted slices an answer keeps about the size that is painted on them."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib import adapt
from MetaSegmentLib.answer.sizes import Sizes
from MetaSegmentLib.data.protocol import paint
from MetaSegmentLib.settings import Settings


def sheet(thickness: float, sharpness: float = 1.0) -> np.ndarray:
    """(40, 20) logits that fall off from the first row on and are positive on so many rows."""
    rows, columns = np.indices((40, 20))
    return (sharpness * (thickness - 0.5 - rows) + 0.01 * columns).astype(np.float32)


def size(logits: np.ndarray) -> int:
    return int((logits > 0).sum())


def sizes(painted: dict[int, int]) -> Sizes:
    """Of so many voxels on each slice, the first ones."""
    voxels = np.arange(800).reshape(40, 20)
    return Sizes({index: voxels < count for index, count in painted.items()})


@pytest.mark.parametrize(("rows", "kept"), [(1, 37), (2, 40), (3, 60), (5, 100), (8, 108)])
def test_a_size_is_held_between_those_painted_on_either_side(rows: int, kept: int):
    held = sizes({3: 2 * 20 + 10, 9: 4 * 20}).hold(5, sheet(rows))
    assert size(held) == kept
    assert np.array_equal(held, sheet(rows)) == (20 * rows == kept)


def test_only_the_nearest_painted_slices_count_and_only_between_them():
    bounds = sizes({2: 20, 6: 40, 12: 400})
    assert bounds.on(1) is bounds.on(2) is bounds.on(6) is bounds.on(13) is None
    assert bounds.on(4) == pytest.approx((20 * np.exp(-0.3), 40 * np.exp(0.3)))
    assert bounds.on(7) == pytest.approx((40 * np.exp(-0.3), 400 * np.exp(0.3)))
    for index in (1, 2, 13):
        assert size(bounds.hold(index, sheet(30))) == 600


def test_what_is_out_of_the_question_stays_so():
    wide, none = sheet(20, sharpness=5.0), sheet(-20, sharpness=5.0)
    assert size(sizes({0: 20, 2: 20}).hold(1, wide)) > 300
    assert size(sizes({0: 80, 2: 80}).hold(1, none)) == 0


def test_a_structure_may_vanish_where_it_is_known_to_be_absent():
    assert size(sizes({0: 0, 4: 100}).hold(2, sheet(0))) == 0
    assert size(sizes({0: 0, 4: 0}).hold(2, sheet(1))) == 20


@pytest.mark.parametrize(("apart", "least"), [(0, 40), (3, 40), (4, 0), (20, 0)])
def test_there_may_be_nothing_between_two_that_lie_beside_each_other(apart: int, least: int):
    one, other = np.zeros((2, 40, 20), bool)
    one[:3] = True
    other[2 + apart : 5 + apart] = True
    held = Sizes({0: one, 6: other}).hold(3, sheet(0))
    assert size(held) >= least and (size(held) > 0) == (least > 0)
    assert size(Sizes({0: one, 6: other}).hold(3, sheet(6))) == 81


def test_equal_logits_are_not_told_apart():
    flat = np.zeros((40, 20), np.float32)
    flat[:20] = 1
    assert size(sizes({0: 100, 2: 100}).hold(1, flat)) == 0


def test_an_answer_is_held_and_its_probabilities_with_it(monkeypatch: pytest.MonkeyPatch):
    """A thin sheet of which the image shows nothing."""
    z, y, x = np.indices((17, 64, 64))
    truth = (np.abs(y - 32 - 0.25 * z) < 1) & (np.abs(x - 32) < 20)
    image = np.random.default_rng(0).normal(size=truth.shape).astype(np.float32)
    slices = (1, 8, 15)
    adapted = adapt(image, paint(truth, slices, 0), slices=slices, axis=0, settings=Settings(method="protonet"))
    held = adapted.predict()
    assert np.array_equal(held.probabilities.argmax(0), held.labels)
    monkeypatch.setattr(Sizes, "hold", lambda self, index, logits: logits)
    free = adapted.predict()
    assert np.array_equal(held.labels[list(slices)], free.labels[list(slices)])
    between = [index for index in range(2, 15) if index != 8]
    least, most = np.transpose([Sizes({i: truth[i] for i in slices}).on(i) for i in between])

    def kept(labels: np.ndarray) -> np.ndarray:
        areas = (labels[between] == 1).sum((1, 2))
        return (areas >= np.floor(least)) & (areas <= np.ceil(most))

    assert kept(held.labels).sum() >= kept(free.labels).sum() + 3
