"""Slices that do not fit their neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib.pieces import drain
from MetaSegmentLib.task.parts import Part
from MetaSegmentLib.task.smoothness import misfits_steps


def a_ball(radius: float = 12.0) -> np.ndarray:
    grid = np.indices((32, 32, 32)) - 16
    return np.asarray((grid**2).sum(axis=0) <= radius**2)


def misfits(mask: np.ndarray, axis: int) -> dict[int, float]:
    return drain(misfits_steps(Part.of(mask), axis))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("wrong", ["moved", "gone", "half", "island"])
def test_the_wrong_slice_of_a_ball_is_the_worst(axis: int, wrong: str) -> None:
    mask = a_ball()
    planes = np.moveaxis(mask, axis, 0)
    smooth = misfits(mask, axis)
    if wrong == "moved":
        planes[13] = np.roll(planes[13], 6, axis=1)
    elif wrong == "gone":
        planes[13] = False
    elif wrong == "half":
        planes[13, :16] = False
    else:
        planes[13, :8, :8] = True
    found = misfits(mask, axis)
    assert max(found, key=lambda index: found[index]) == 13
    assert found[13] > 0.1 > max(smooth[i] for i in range(6, 27))


def test_an_abrupt_end_is_doubtful_but_not_at_the_border_of_the_volume() -> None:
    mask = a_ball()
    mask[:16] = False
    assert misfits(mask, 0)[16] >= 0.5
    tube = np.zeros((8, 9, 9), bool)
    tube[:, 3:6, 3:6] = True
    assert set(misfits(tube, 0).values()) == {0.0}
    assert set(misfits(tube[:1], 0).values()) == {0.0} and misfits(np.zeros((4, 4, 4), bool), 0) == {}
