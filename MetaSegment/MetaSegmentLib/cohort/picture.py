"""What a person sees of a result at a glance: two slices with outlines, and one number of doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..imports import explained_imports
from ..settings import Result

if TYPE_CHECKING:
    from ..files.grids import Grid

SIDE = 180
"""Longest side of a slice, in pixels."""
COLOURS = ((255, 196, 0), (0, 200, 255), (255, 90, 90), (120, 230, 90), (230, 120, 255), (255, 255, 255))
"""Of the outlines, by label value."""
WINDOW = (1, 99)
"""Percentiles of the image that become black and white."""


def doubt(results: Sequence[Result], report: Mapping[str, Any]) -> float:
    """Doubt about a result in [0, 1]: that of its worst structure.

    One less the estimated Dice or the confidence that it was found, whichever is lower; 1 where nothing was found.
    Where neither is known, the summed uncertainty against the structures' voxels.
    """
    found = report.get("found") or {}
    worst = 0.0
    for value, segment in report["segments"].items():
        known = [segment.get("estimated_dice"), found.get(value, found.get(int(value)))]
        if not segment["voxels"]:
            known = [0.0]
        worst = max([worst, *(1 - float(one) for one in known if one is not None)])
        if all(one is None for one in known):
            unsure = sum(float(result.uncertainty.sum(dtype=np.float64)) for result in results)
            voxels = sum(float(one["voxels"]) for one in report["segments"].values())
            worst = max(worst, unsure / (unsure + voxels))
    return round(min(max(worst, 0.0), 1.0), 4)


def picture(image: NDArray[Any], grid: Grid, results: Sequence[Result], axis: int) -> bytes:
    """PNG of two slices side by side: the middle one of the structures, and the one with most doubt.

    Args:
        image: (K, J, I).
        results: one a layer.
        axis: across which the slices lie.
    """
    with explained_imports():
        from PIL import Image

    uncertain = np.max([_sums(result.uncertainty, axis) for result in results], axis=0)
    occupied = np.flatnonzero(np.any([_sums(result.labels > 0, axis) > 0 for result in results], axis=0))
    middle = int(occupied[len(occupied) // 2]) if len(occupied) else image.shape[axis] // 2
    sides = [_drawn(image, results, axis, index) for index in (middle, int(uncertain.argmax()))]
    mm = np.delete(np.array(grid.array_spacing), axis)
    height, width = np.array(sides[0].shape[:2]) * mm
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    both = Image.new("RGB", (2 * size[0] + 4, size[1]))
    for number, side in enumerate(sides):
        both.paste(Image.fromarray(side).resize(size, Image.Resampling.BILINEAR), (number * (size[0] + 4), 0))
    content = BytesIO()
    both.save(content, "PNG", optimize=True)
    return content.getvalue()


def _sums(array: NDArray[Any], axis: int) -> NDArray[np.float64]:
    across = tuple(other for other in range(3) if other != axis)
    return np.asarray(array.sum(axis=across, dtype=np.float64))


def _drawn(image: NDArray[Any], results: Sequence[Result], axis: int, index: int) -> NDArray[np.uint8]:
    """(H, W, 3) of one slice with the outlines of its structures, head up."""
    plane = np.nan_to_num(image.take(index, axis).astype(np.float32))
    low, high = np.percentile(plane, WINDOW)
    grey = np.clip((plane - low) / max(high - low, 1e-6), 0, 1) * 255
    colours = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
    for result in results:
        labels = result.labels.take(index, axis)
        for value in (int(one) for one in np.unique(labels) if one):
            mask = labels == value
            colours[mask & ~ndimage.binary_erosion(mask)] = COLOURS[(value - 1) % len(COLOURS)]
    return np.ascontiguousarray(colours if axis == 0 else colours[::-1])
