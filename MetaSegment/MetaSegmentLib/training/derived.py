"""Structures that nobody labelled, made of those that somebody did: surfaces, caps, coats, cores and cut-off ends.

People paint cortex, walls, membranes and endplates, and structures whose labels stop at full width; label maps hold
mostly whole organs. What is made here has the image's own borders on some of its sides, and none on others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
Random = np.random.Generator

_THICKEST = 3
"""Voxels."""


def derived(mask: Mask, random: Random) -> Mask:
    """A structure made of another one, (K, J, I) both; it may be empty."""
    make = _WAYS[int(random.choice(len(_WAYS), p=_SHARES))]
    return make(mask, int(random.integers(1, _THICKEST + 1)), random)


def surface(mask: Mask, thickness: int, random: Random) -> Mask:
    """The outermost voxels."""
    return mask & ~ndimage.binary_erosion(mask, iterations=thickness)


def core(mask: Mask, thickness: int, random: Random) -> Mask:
    """All but the outermost voxels."""
    return np.asarray(ndimage.binary_erosion(mask, iterations=thickness))


def coat(mask: Mask, thickness: int, random: Random) -> Mask:
    """What lies next to it all around."""
    return np.asarray(ndimage.binary_dilation(mask, iterations=thickness)) & ~mask


def cap(mask: Mask, thickness: int, random: Random) -> Mask:
    """The outermost voxels on one of its six sides."""
    axis, up = int(random.integers(3)), bool(random.integers(2))
    padding = [(0, 0)] * 3
    padding[axis] = (thickness, 0) if up else (0, thickness)
    start = 0 if up else thickness
    behind = np.take(np.pad(mask, padding), range(start, start + mask.shape[axis]), axis)
    return mask & ~behind


def cut(mask: Mask, thickness: int, random: Random) -> Mask:
    """What lies on one side of a plane through one of its voxels, across one axis or aslant."""
    inside = np.argwhere(mask)
    if not len(inside):
        return mask
    normal = np.eye(3)[int(random.integers(3))] if random.random() < 0.5 else random.standard_normal(3)
    height = sum(one * line for one, line in zip(normal, np.ogrid[tuple(map(slice, mask.shape))], strict=True))
    return mask & (height > inside[int(random.integers(len(inside)))] @ normal)


_WAYS: tuple[Callable[[Mask, int, Random], Mask], ...] = (surface, cap, cut, core, coat)
_SHARES = (0.35, 0.25, 0.2, 0.1, 0.1)
