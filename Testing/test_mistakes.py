"""What callers of the library get wrong is told in a sentence of the library's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from MetaSegmentLib import Library, MetaSegmentError, Settings, adapt_many, segment, segment_series

MASK = np.zeros((9, 24, 24), bool)
MASK[1:8, 6:18, 6:18] = True
IMAGE = 100.0 * MASK + np.arange(24)
PAINT = MASK.astype(np.uint8)
PAINT[[0, 1, 3, 5, 7, 8]] = 0
SHAPE = Settings(method="shape")
FRAMES = np.stack([IMAGE, IMAGE])


def across_other_axes() -> Any:
    along = np.zeros_like(PAINT)
    along[:, [8, 12, 15]] = MASK[:, [8, 12, 15]]
    return segment_series(FRAMES, {0: PAINT, 1: along}, settings=SHAPE)


def a_tensor_with_gradient() -> Any:
    torch = pytest.importorskip("torch")
    return segment(torch.tensor(IMAGE, requires_grad=True), PAINT, settings=SHAPE)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: segment(IMAGE, PAINT, settings={"method": "shape"}), "Settings are given as"),  # type: ignore[arg-type]
        (lambda: segment(IMAGE, PAINT, settings=SHAPE, names=["liver"]), "by label value"),  # type: ignore[arg-type]
        (lambda: segment(IMAGE, PAINT, (1e-300,) * 3, settings=SHAPE), "beyond all measure"),
        (lambda: adapt_many([5], SHAPE), "an image and its paint"),  # type: ignore[list-item]
        (lambda: Library([5], SHAPE), "an image and its paint"),  # type: ignore[list-item]
        (lambda: segment_series(FRAMES, [PAINT], settings=SHAPE), "by frame"),  # type: ignore[arg-type]
        (lambda: segment_series(FRAMES, {"0": PAINT}, settings=SHAPE), "by frame"),  # type: ignore[dict-item]
        (lambda: segment_series(FRAMES, {0: PAINT}, slices=[2, 4], settings=SHAPE), "by frame"),  # type: ignore[arg-type]
        (lambda: segment_series(FRAMES, {0: PAINT}, slices={0: {1: None}}, settings=SHAPE), "^Name slices by"),  # type: ignore[dict-item]
        (lambda: segment_series(FRAMES, {0: PAINT}, slices={9: [2]}, settings=SHAPE), "no frame 9"),
        (lambda: segment_series(FRAMES, {0: PAINT}, slices={1: [2]}, settings=SHAPE), "named for frame 1"),
        (across_other_axes, "different axes"),
        (a_tensor_with_gradient, "array of numbers"),
        (lambda: Settings(seed=True), "whole number"),
        (lambda: Settings(seed=1.5), "whole number"),  # type: ignore[arg-type]
    ],
)
def test_mistakes(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(MetaSegmentError, match=sentence):
        call()


def test_a_seed_may_be_of_numpy() -> None:
    seed = Settings(seed=np.int64(3)).seed  # type: ignore[arg-type]
    assert (seed, type(seed)) == (3, int)
