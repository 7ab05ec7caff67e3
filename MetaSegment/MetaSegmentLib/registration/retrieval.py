"""Which of many volumes is most like a new one: by a small picture of each, before anything is registered.

The picture is the volume at a few samples an axis, and its edges there; two volumes are as alike as their pictures
correlate, with a discount for a difference in size. Normalised correlation knows no scale of intensities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude, zoom

from ..task.volume import Volume

SAMPLES = 16
"""Along each axis of a picture."""
COUNT = 3
"""At most so many volumes are taken."""
MARGIN = 0.15
"""Others are taken where they are at most so much less alike than the nearest one."""
_SHIFTS = (-2, 0, 2)
"""Samples by which pictures may be laid apart along an axis, to be most alike."""


@dataclass(frozen=True, eq=False)
class Picture:
    """What is kept of a volume to compare it with others.

    Attributes:
        planes: (2, SAMPLES, SAMPLES, SAMPLES), intensities and edges.
        extent: mm along the array axes.
    """

    planes: NDArray[np.float32]
    extent: tuple[float, float, float]


def picture_of(volume: Volume) -> Picture:
    """The picture of a volume; volumes that are compared lie the same way round."""
    array = volume.array
    low, high = volume.contrast
    steps = [max(1, n // (4 * SAMPLES)) for n in array.shape]
    coarse = array[tuple(slice(None, None, step) for step in steps)].astype(np.float32)
    coarse = np.clip((coarse - low) / max(high - low, 1e-6), 0, 1)
    smooth = gaussian_filter(coarse, [max(0.0, 0.5 * (n / SAMPLES - 1)) for n in coarse.shape])
    factors = [SAMPLES / n for n in smooth.shape]
    small = np.asarray(zoom(smooth, factors, order=1, grid_mode=True, mode="nearest"), np.float32)
    k, j, i = (n * mm for n, mm in zip(array.shape, volume.spacing, strict=True))
    return Picture(np.stack([small, gaussian_gradient_magnitude(small, 1.0)]), (k, j, i))


def likeness(first: Picture, second: Picture) -> float:
    """How alike two volumes are, at most 1: the mean correlation of intensities and of edges where they lie best, less
    the mean absolute logarithm of the ratio of their sizes."""
    ratio = np.abs(np.log(np.divide(first.extent, second.extent))).mean()
    best = max(_correlation(first, second, shift) for shift in product(_SHIFTS, repeat=3))
    return float(best - ratio)


def nearest(target: Picture, known: Sequence[Picture]) -> list[tuple[int, float]]:
    """The places of those most like the target, with how alike they are, best first: one to COUNT, none of nothing."""
    found = sorted(((likeness(target, one), place) for place, one in enumerate(known)), key=lambda each: -each[0])
    return [(place, alike) for alike, place in found[:COUNT] if alike >= found[0][0] - MARGIN]


def about(looked_at: int, found: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """What a report tells of a search: how many were looked at, and how alike those are that were taken."""
    return {"looked_at": looked_at, "likeness": [round(alike, 3) for _, alike in found]}


def _correlation(first: Picture, second: Picture, shift: Sequence[int]) -> float:
    """Mean correlation of the two planes where they overlap, the second one laid ``shift`` samples further."""
    here = (slice(None), *(slice(max(s, 0), SAMPLES + min(s, 0)) for s in shift))
    there = (slice(None), *(slice(max(-s, 0), SAMPLES + min(-s, 0)) for s in shift))
    one, other = (part.reshape(2, -1) for part in (first.planes[here], second.planes[there]))
    one, other = (part - part.mean(1, keepdims=True) for part in (one, other))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(1) / (norms + 1e-6)).mean())
