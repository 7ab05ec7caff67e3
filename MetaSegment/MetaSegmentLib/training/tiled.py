"""Tiles to learn on: of large windows the product shows networks parts that are cut through (``task/tiles.py``).

Few structures of label maps are large enough for that, so parts of smaller ones stand in, as enlarged as it takes.
"""

from __future__ import annotations

import numpy as np

from ..task.frame import FrameSettings, Window
from ..task.paint import Paint
from ..task.tiles import OVERLAP, Tile, tile_on

_LEAST, _LARGEST = 0.4, 1.0
"""Side of a tile over the longer side of what is painted."""
_NARROWEST = 16
"""Voxels."""
_TRIES = 5


def random_tile(
    paint: Paint, value: int, spacing: tuple[float, float, float], settings: FrameSettings, random: np.random.Generator
) -> Tile | None:
    """A tile somewhere on what is painted of a structure; None where too little lies on all that were tried.

    Args:
        spacing: mm between slices, rows and columns.
    """
    anywhere = np.asarray(paint.masks(value).any(0))
    boxes = [(int(hit.min()), int(hit.max()) + 1) for hit in np.nonzero(anywhere)]
    longer = max((b - a) * mm for (a, b), mm in zip(boxes, spacing[1:], strict=True))
    for _ in range(_TRIES):
        side = max(random.uniform(_LEAST, _LARGEST) * longer, _NARROWEST * min(spacing[1:]))
        spans = [_span(a, b, round(side / mm), random) for (a, b), mm in zip(boxes, spacing[1:], strict=True)]
        tile = tile_on(paint, value, Window(spans[0], spans[1]), settings.size)
        if tile is not None:
            return tile
    return None


def _span(first: int, last: int, side: int, random: np.random.Generator) -> tuple[int, int]:
    """[start, stop) of ``side`` voxels that reaches beyond [first, last) by its overlap at most, or lies around it."""
    margin = round(side * OVERLAP)
    lowest, highest = first - margin, last + margin - side
    start = int(random.integers(lowest, highest + 1)) if lowest < highest else (first + last - side) // 2
    return start, start + side
