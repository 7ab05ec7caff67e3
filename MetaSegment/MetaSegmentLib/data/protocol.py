"""Which slices of a structure are painted, and how a prediction of the others is scored.

A case is one structure of one volume, a boolean (K, J, I) mask. Some of its slices along ``axis`` are painted from
the truth; the segmenter sees the image and those; all other slices of the whole volume count for the score, so that
running past the ends of the structure costs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError

Placement = Literal["inside", "ends"]
PLACEMENTS: tuple[Placement, ...] = ("inside", "ends")
PAINTED_COUNTS = (3, 5, 8)
MINIMUM_VOXELS = 200
# ``ends`` paints close to where the structure stops, yet not on its last sliver.
FIRST_END, LAST_END = 0.04, 0.96

Mask = NDArray[np.bool_]


def occupied_slices(mask: Mask, axis: int = 0) -> NDArray[np.intp]:
    """Ascending indices along ``axis`` of the slices of a (K, J, I) mask that hold any of the structure."""
    others = tuple(other for other in range(mask.ndim) if other != axis)
    return np.flatnonzero(mask.any(axis=others))


def eligible(mask: Mask, k: int, axis: int = 0) -> bool:
    """Whether the structure has 200 voxels or more and, with ``k`` slices painted, at least as many left to find."""
    return enough(int(mask.sum()), len(occupied_slices(mask, axis)), k)


def enough(voxels: int, occupied: int, k: int) -> bool:
    """:func:`eligible` for a structure of so many voxels on so many slices."""
    return voxels >= MINIMUM_VOXELS and occupied >= 2 * k


def painted_slices(mask: Mask, k: int, placement: Placement = "inside", axis: int = 0) -> list[int]:
    """Ascending indices along ``axis`` of the slices to paint.

    Args:
        mask: (K, J, I), with at least one voxel.
        k: how many slices; fewer come back where two fall together or one misses a structure that has gaps.
        placement: ``inside`` takes the middles of ``k`` equal parts of the structure's range, ``ends`` goes evenly
            from 4 % to 96 % of it.
        axis: array axis the slices are counted along.

    Raises:
        SettingsError: ``placement`` is neither of the two.
    """
    if placement == "inside":
        fractions = (np.arange(k) + 0.5) / k
    elif placement == "ends":
        fractions = np.linspace(FIRST_END, LAST_END, k)
    else:
        raise SettingsError(f"There is no placement '{placement}'; use one of {', '.join(PLACEMENTS)}.")
    occupied = occupied_slices(mask, axis)
    first, last = occupied[0], occupied[-1]
    chosen = np.round(first + fractions * (last - first)).astype(int)
    return [int(index) for index in np.intersect1d(chosen, occupied)]


def paint(mask: Mask, painted: Iterable[int], axis: int = 0) -> NDArray[np.uint8]:
    """What a person who paints these slices leaves behind: (K, J, I), 1 on the structure there, 0 elsewhere."""
    labels = np.zeros(mask.shape, np.uint8)
    where = _along(axis, list(painted))
    labels[where] = mask[where]
    return labels


def query_slices(count: int, painted: Iterable[int]) -> NDArray[np.bool_]:
    """(count,) True for each slice that was not painted."""
    query = np.ones(count, bool)
    query[list(painted)] = False
    return query


def dice(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Dice coefficient of two masks of the same shape, in [0, 1]; 1 when both are empty."""
    first, second = first.astype(bool), second.astype(bool)
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0


def query_dice(prediction: NDArray[Any], mask: Mask, painted: Iterable[int], axis: int = 0) -> float:
    """Dice in 3D over every slice along ``axis`` that was not painted; both arrays (K, J, I)."""
    where = _along(axis, query_slices(mask.shape[axis], painted))
    return dice(prediction[where], mask[where])


def _along(axis: int, index: Any) -> tuple[Any, ...]:
    return (slice(None),) * axis + (index,)
