"""Pieces of one structure that lie far apart, such as both kidneys: each is found on a frame of its own.

On one frame around all of them, most pixels would show what lies between, and each piece would be small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from .frame import FrameSettings, Mask, Window, window_around
from .paint import Paint, PaintedSlices

_MOST = 4
_SCRAPS = 24
"""With more connected parts than this, a structure is a net rather than a few pieces."""
_SMALLER = 0.7
"""The window of each piece is smaller than that of the whole by this factor at least."""
_SIDE_BY_SIDE = 0.6
"""Of the slices on which the structure is present, each piece is on so many at least, and on two: what is seldom on the
same slice may be one slanting tube."""


def in_pieces(paint: Paint, value: int, spacing: Sequence[float], settings: FrameSettings) -> list[Paint]:
    """The paint of each piece of a structure; the paint itself where it is no better taken apart.

    Args:
        spacing: (rows, columns) mm in the slice.
    """
    masks = paint.masks(value)
    found, count = ndimage.label(masks.any(0), np.ones((3, 3)))
    if not 1 < count <= _SCRAPS:
        return [paint]

    def window(mask: Mask) -> Window:
        return window_around(mask, spacing, settings)[0]

    regions = _far_apart([found == number for number in range(1, count + 1)], window)
    whole = max(window(np.asarray(masks.any(0))).shape)
    least = max(_SIDE_BY_SIDE * masks.any((1, 2)).sum(), 2)
    if (
        not 1 < len(regions) <= _MOST
        or any(max(window(region).shape) > _SMALLER * whole for region in regions)
        or any((masks & region).any((1, 2)).sum() < least for region in regions)
    ):
        return [paint]
    return [only_within(paint, value, region) for region in regions]


def _far_apart(regions: list[Mask], window: Callable[[Mask], Window]) -> list[Mask]:
    """Those joined that one window shows parts of."""
    place = 0
    while place < len(regions):
        shown = window(regions[place])
        seen = [bool(shown.cut(region[None], edge=False).any()) for region in regions]
        if sum(seen) == 1:  # only itself
            place += 1
            continue
        near = np.logical_or.reduce([region for region, is_seen in zip(regions, seen, strict=True) if is_seen])
        regions = [*(region for region, is_seen in zip(regions, seen, strict=True) if not is_seen), near]
        place = 0
    return regions


def only_within(paint: Paint, value: int, region: Mask) -> Paint:
    """The paint without what of a structure lies outside a region of its slices."""
    axis = paint.axes[value]
    stack = paint.stacks[axis]
    labels = np.where((stack.labels == value) & ~region, 0, stack.labels)
    return replace(paint, stacks={**paint.stacks, axis: PaintedSlices(stack.index, labels)})
