"""Segmentations of neighbouring frames, without jitter from one to the next."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..task.frame import signed_distance

Labels = NDArray[np.unsignedinteger[Any]]
_OWN = 0.6
"""What a frame's own outline counts; its two neighbours share the rest."""
_REACH = 2.0
"""Outlines move by at most so many voxels."""


def smooth_in_time(
    labels: Labels,
    painted: Mapping[int, tuple[int, Mapping[int, Sequence[int]]]],
    fixed: Collection[int],
) -> Labels:
    """Labels (T, K, J, I) whose outlines are averaged with those one frame before and after, as signed distances.

    An outline that moves evenly stays where it is; one that jumps there and back is moved.

    Args:
        painted: frame → slice axis, and label → slices; those stay as they are.
        fixed: frames that stay as they are.
    """
    smooth = labels.copy()
    values = [int(value) for value in np.unique(labels) if value]
    for t in range(1, len(labels) - 1):
        if t in fixed:
            continue
        best = np.zeros(labels.shape[1:], np.float32)
        moved = np.zeros(labels.shape[1:], labels.dtype)
        for value in values:
            own, *others = (_signed_distance(labels[n] == value) for n in (t, t - 1, t + 1))
            if own is None:
                continue
            there = [own if other is None else other for other in others]
            mean = _OWN * own + (1 - _OWN) / 2 * (there[0] + there[1])
            mean = np.clip(mean, own - _REACH, own + _REACH)
            moved[mean > best] = value
            best = np.maximum(best, mean)
        if t in painted:
            axis, slices = painted[t]
            index = sorted({i for some in slices.values() for i in some})
            here = (slice(None),) * axis + (index,)
            moved[here] = labels[t][here]
        smooth[t] = moved
    return smooth


def _signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float32] | None:
    """(K, J, I) voxels from the outline, positive inside; None of an empty or a full mask."""
    return signed_distance(mask) if mask.any() and not mask.all() else None
