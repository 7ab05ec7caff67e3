"""Tiles of a structure that one frame is too coarse for: folded, or scattered over a large window.

A frame around a cortex, all vertebrae or the neurons of a slice shows several voxels as one pixel, and what is finer
cannot be learned on it. So what is painted is covered with smaller windows that overlap, each a frame of its own with
its own part of the paint, as networks go over large images in sliding windows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from .frame import Frame, FrameSettings, Mask, Window, shown
from .paint import Paint
from .pieces import only_within

_SHOWN = 0.998
"""A frame that shows more than this of what is painted, as a Dice, is fine enough …"""
_FINER = 1.5
"""… as is one whose pixels are not larger than those of tiles by this factor at least."""
_MOST = 12
"""Tiles; with more, each has larger pixels."""
OVERLAP = 1 / 6
"""Share of a tile's side that it has beyond its core, at either end."""
_STEPS = 12
"""What is covered begins and ends at multiples of a tile's side over this."""
_LEAST = 2
"""Painted slices with paint of the structure on a tile; with fewer the frame around all of it answers there."""


@dataclass(frozen=True, eq=False)
class Tile:
    """A part of a structure's paint, and where its frame lies.

    Attributes:
        paint: without what lies outside the window.
        whole: with it.
        window: in voxels.
        size: rows and columns of its lattice.
    """

    paint: Paint
    whole: Paint
    window: Window
    size: int


def in_tiles(paint: Paint, value: int, frame: Frame, settings: FrameSettings) -> list[Tile]:
    """The tiles of a structure, or of a piece of one; none where its own frame is fine enough.

    Args:
        frame: the one around all of what is painted.
    """
    masks, spacing = paint.masks(value), frame.spacing[1:]
    coarsest = int(frame.pixel / (_FINER * min(spacing)))
    if not coarsest or shown(frame.window.cut(masks, edge=False), frame.size) > _SHOWN:
        return []
    for reduction in range(1, coarsest + 1):
        windows = [one for one in _windows(masks, spacing, settings.size * reduction) if _is_painted(masks, one)]
        if len(windows) <= _MOST:
            return [_tile(paint, value, masks, one, settings.size) for one in windows]
    return []


def tile_on(paint: Paint, value: int, window: Window, size: int) -> Tile | None:
    """The tile of a structure in a window; None where too few of its painted slices have paint there."""
    masks = paint.masks(value)
    return _tile(paint, value, masks, window, size) if _is_painted(masks, window) else None


def _tile(paint: Paint, value: int, masks: Mask, window: Window, size: int) -> Tile:
    return Tile(only_within(paint, value, _region(window, masks.shape[1:])), paint, window, size)


def _windows(masks: Mask, spacing: Sequence[float], side: int) -> Iterator[Window]:
    """Windows of ``side`` voxels of the finer spacing, over all that is painted."""
    lines = []
    for axis, step in enumerate(spacing):
        painted = np.flatnonzero(masks.any((0, 2 - axis)))
        lines.append(_spans(int(painted[0]), int(painted[-1]) + 1, max(round(side * min(spacing) / step), 2)))
    for rows, columns in product(*lines):
        yield Window(rows, columns)


def _spans(first: int, last: int, side: int) -> list[tuple[int, int]]:
    """[start, stop) of equally spaced tiles of a line; [first, last) lies in their cores.

    In coarse steps, so that one more painted slice seldom moves them, and what was computed on them can be used again.
    """
    step = max(1, side // _STEPS)
    first, last = step * (first // step), step * math.ceil(last / step)
    margin = round(side * OVERLAP)
    count = max(1, math.ceil((last - first) / (side - 2 * margin)))
    starts = [first - margin, last + margin - side] if count > 1 else [(first + last - side) / 2]
    return [(start, start + side) for start in np.linspace(starts[0], starts[-1], count).round().astype(int).tolist()]


def _is_painted(masks: Mask, window: Window) -> bool:
    return int(window.cut(masks, edge=False).any((1, 2)).sum()) >= _LEAST


def _region(window: Window, shape: tuple[int, ...]) -> Mask:
    """(rows, columns) of a slice, True in the window."""
    region = np.zeros(shape, bool)
    height, width = shape
    region[window.inside(height, width)[0]] = True
    return region
