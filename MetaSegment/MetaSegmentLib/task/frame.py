"""Where to work: a square window around one painted structure, resampled to a fixed grid, slice by slice.

This is the one place that crops, resizes and normalises intensities.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch.nn.functional import interpolate

from .support import Support
from .volume import Volume

GRID = 96
"""Rows and columns of the working grid."""
GROWTH = 1.7
"""Side of the window over the longer side of the painted box."""
SMALLEST_SIDE = 24
"""Least side of the window, in voxels of the finer in-plane spacing."""
DISTANCE_LIMIT = 30.0
"""Signed distances are clipped to this, in pixels of the grid."""
BORDER_SHARE = 0.75
"""A structure painted within this share of a gap from the volume's border is taken to go on beyond it."""

NEAR_SHARE = 0.6
"""Of a gap: how far beyond the outermost painted slices the structure is looked for in any case, since half a gap is
where the end of a structure that was painted evenly lies."""

# Slices resampled at once: bounds the memory that a large volume takes.
_CHUNK = 16

Stack = NDArray[np.float32]


@dataclass(frozen=True)
class Window:
    """Rows and columns [start, stop) in voxels of the slice; they may reach beyond the image."""

    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        return (self.rows[1] - self.rows[0], self.columns[1] - self.columns[0])

    def cut(self, stack: NDArray[Any], edge: bool) -> NDArray[Any]:
        """Cut (N, rows, columns); beyond the image the nearest voxel is repeated (``edge``) or 0 put in."""
        height, width = stack.shape[1:]
        rows = np.arange(*self.rows)
        columns = np.arange(*self.columns)
        part = stack[:, np.clip(rows, 0, height - 1)][:, :, np.clip(columns, 0, width - 1)]
        if not edge:
            part[:, (rows < 0) | (rows >= height)] = 0
            part[:, :, (columns < 0) | (columns >= width)] = 0
        return part

    def inside(self, height: int, width: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The part within an image of this size: its place in the image, and its place in the window."""
        r0, r1 = max(self.rows[0], 0), min(self.rows[1], height)
        c0, c1 = max(self.columns[0], 0), min(self.columns[1], width)
        in_image = (slice(r0, r1), slice(c0, c1))
        in_window = (
            slice(r0 - self.rows[0], r1 - self.rows[0]),
            slice(c0 - self.columns[0], c1 - self.columns[0]),
        )
        return in_image, in_window


def resize(stack: NDArray[Any], shape: tuple[int, int]) -> Stack:
    """Resample (N, rows, columns) to (N, *shape): bilinear, smoothed first where it shrinks, pixel areas aligned."""
    if stack.shape[1:] == shape:
        return stack.astype(np.float32)
    resized = np.empty((len(stack), *shape), np.float32)
    for first in range(0, len(stack), _CHUNK):
        part = slice(first, first + _CHUNK)
        tensor = torch.from_numpy(np.ascontiguousarray(stack[part], dtype=np.float32))[:, None]
        resized[part] = interpolate(tensor, shape, mode="bilinear", antialias=True, align_corners=False)[:, 0].numpy()
    return resized


def signed_distance(mask: NDArray[np.bool_], spacing: tuple[float, float] = (1.0, 1.0)) -> Stack:
    """Distance from the outline of a 2D mask that is neither empty nor full, in the unit of ``spacing``, positive
    inside; the outline runs between pixels."""
    half = 0.5 * min(spacing)
    inside = distance_transform_edt(mask, sampling=spacing)
    outside = distance_transform_edt(~mask, sampling=spacing)
    return np.where(mask, inside - half, half - outside).astype(np.float32)


@dataclass(frozen=True)
class Region:
    """One structure of one volume on the working grid.

    Slices are addressed by their index in the volume, along the slice axis.

    Attributes:
        window: where the grid lies in the slice.
        low, high: intensities that become -1 and 1, the 1st and 99th percentile of the region.
        start, stop: the slices [start, stop) that are worked on: the painted ones and one gap beyond them.
        depth: number of slices of the volume.
        gap: the largest distance between neighbouring painted slices, in slices.
        reach: how far, in slices, a structure painted on a single slice is looked for.
        anisotropy: slice distance over the size of a grid pixel, both in mm.
        images: (stop - start, GRID, GRID) float32, normalised, within [-1.5, 1.5].
        distances: slice index → (GRID, GRID) signed distance in grid pixels of a painted slice, clipped;
            None for a slice that is known to be empty.
    """

    window: Window
    low: float
    high: float
    start: int
    stop: int
    depth: int
    gap: int
    reach: int
    anisotropy: float
    images: Stack
    distances: dict[int, Stack | None]

    @property
    def support(self) -> tuple[int, ...]:
        """Indices of the painted slices, ascending."""
        return tuple(sorted(self.distances))

    @property
    def filled(self) -> tuple[int, ...]:
        """The painted slices on which the structure is present."""
        return tuple(i for i in self.support if self.distances[i] is not None)

    @property
    def queries(self) -> tuple[int, ...]:
        """All other slices that are worked on."""
        return tuple(i for i in range(self.start, self.stop) if i not in self.distances)

    @property
    def near(self) -> tuple[int, ...]:
        """The queries that are always looked at: up to NEAR_SHARE of a gap beyond the outermost painted slices."""
        reach = math.ceil(NEAR_SHARE * self.gap)
        first, last = self.support[0] - reach, self.support[-1] + reach
        return tuple(i for i in self.queries if first <= i <= last)

    @property
    def far(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The other queries, below and above, each from the inside outwards."""
        rest = sorted({*self.queries} - {*self.near})
        return tuple(i for i in reversed(rest) if i < self.support[0]), tuple(i for i in rest if i > self.support[0])

    def image(self, index: int) -> Stack:
        """(GRID, GRID) image of a slice; beyond the region the nearest one."""
        return self.images[min(max(index, self.start), self.stop - 1) - self.start]

    def mask(self, index: int) -> NDArray[np.bool_]:
        """(GRID, GRID) mask of a painted slice."""
        distance = self.distances[index]
        return np.zeros((GRID, GRID), bool) if distance is None else np.asarray(distance > 0)

    def same_grid(self, other: Region) -> bool:
        """Whether slices of both look the same on the grid."""
        return (self.window, self.low, self.high, self.depth) == (other.window, other.low, other.high, other.depth)

    def paint_remains(self, other: Region) -> bool:
        """Whether all painted slices of this region are painted in the same way in the other one."""
        for index, mine in self.distances.items():
            theirs = other.distances.get(index)
            if mine is None or theirs is None:
                if index not in other.distances or mine is not theirs:
                    return False
            elif not np.array_equal(mine, theirs):
                return False
        return True

    def to_slices(self, logits: Stack) -> Stack:
        """(N, GRID, GRID) values back on the voxels of the window, (N, *window.shape)."""
        return resize(logits, self.window.shape)

    def gap_of(self, support: Sequence[int]) -> int:
        """The gap if only ``support`` were painted; the region's own with fewer than two filled slices."""
        filled = [i for i in support if self.distances[i] is not None]
        return _gap(filled, self.reach) if len(filled) > 1 else self.gap

    def runs_on(self, index: int, gap: int, below: bool) -> bool:
        """Whether the structure painted on ``index`` is taken to go on to the border of the volume on that side."""
        left = index if below else self.depth - 1 - index
        return left <= BORDER_SHARE * gap


def make_region(volume: Volume, support: Support, value: int, before: Region | None = None) -> Region:
    """The region of the structure ``value``.

    Args:
        before: the region of an earlier support of the same volume; its window and intensity range are kept while
            the paint still lies well within it, so that what was computed on it stays valid.
    """
    masks = support.masks(value)
    stack = volume.along(support.axis)
    spacing = volume.spacing_along(support.axis)
    anywhere = np.asarray(masks.any(0))
    window = _window(anywhere, spacing[1:])
    if before is not None and _well_within(anywhere, before.window):
        window = before.window
    else:
        before = None
    filled = [i for i, mask in zip(support.slices, masks, strict=True) if mask.any()]
    reach = _reach(masks, spacing)
    gap = _gap(filled, reach)
    start, stop = _range(support.slices, filled, gap, len(stack))
    images = np.concatenate(
        [
            resize(window.cut(stack[first : min(first + _CHUNK, stop)], edge=True), (GRID, GRID))
            for first in range(start, stop, _CHUNK)
        ]
    )
    if before is None:
        low, high = (float(v) for v in np.percentile(images, (1, 99)))
    else:
        low, high = before.low, before.high
    images = np.clip((images - low) * (2 / (high - low or 1.0)) - 1, -1.5, 1.5).astype(np.float32)

    pixel = max(window.shape[0] * spacing[1], window.shape[1] * spacing[2]) / GRID
    distances: dict[int, Stack | None] = {}
    for index, mask in zip(support.slices, window.cut(masks, edge=False), strict=True):
        if start <= index < stop:
            distances[index] = None
            if mask.any():
                distance = resize(signed_distance(mask, spacing[1:])[None], (GRID, GRID))[0] / pixel
                distances[index] = np.clip(distance, -DISTANCE_LIMIT, DISTANCE_LIMIT)
    return Region(window, low, high, start, stop, len(stack), gap, reach, spacing[0] / pixel, images, distances)


def without(region: Region, index: int) -> Region:
    """The same region with one painted slice taken for an unpainted one."""
    return replace(region, distances={i: d for i, d in region.distances.items() if i != index})


def _boxes(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Rows and columns [start, stop) that hold the mask."""
    rows, columns = np.nonzero(mask)
    return [(int(hit.min()), int(hit.max()) + 1) for hit in (rows, columns)]


def _window(mask: NDArray[np.bool_], spacing: Sequence[float]) -> Window:
    """Square in mm: the longer side of the painted box times GROWTH, centred on the box."""
    boxes = _boxes(mask)
    side = max((b - a) * s for (a, b), s in zip(boxes, spacing, strict=True)) * GROWTH
    side = max(side, SMALLEST_SIDE * min(spacing))
    spans = []
    for (a, b), s in zip(boxes, spacing, strict=True):
        count = max(round(side / s), b - a + 2)
        first = (a + b - count) // 2
        spans.append((first, first + count))
    return Window(spans[0], spans[1])


def _well_within(mask: NDArray[np.bool_], window: Window) -> bool:
    """Whether at least 8 % of the window lies between the paint and each side of the window."""
    for (a, b), (first, stop) in zip(_boxes(mask), (window.rows, window.columns), strict=True):
        room = 0.08 * (stop - first)
        if a - first < room or stop - b < room:
            return False
    return True


def _reach(masks: NDArray[np.bool_], spacing: Sequence[float]) -> int:
    """1½ times the radius of a disc of the largest painted area, in slices."""
    area = masks.sum((1, 2)).max() * spacing[1] * spacing[2]
    return max(2, round(1.5 * float(np.sqrt(area / np.pi)) / spacing[0]))


def _gap(filled: Sequence[int], reach: int) -> int:
    """The largest distance of neighbouring painted slices. Slices side by side say nothing of how far the structure
    goes on, so for them it is the reach, shared among them."""
    largest = max((b - a for a, b in pairwise(filled)), default=0)
    return largest if largest > 1 else math.ceil(reach / len(filled))


def _range(slices: Sequence[int], filled: Sequence[int], gap: int, depth: int) -> tuple[int, int]:
    """The painted slices and one gap beyond, but not beyond a slice that is known to be empty."""
    below = [i for i in slices if i < filled[0]]
    above = [i for i in slices if i > filled[-1]]
    start = max(filled[0] - gap, 0, *(i for i in below[-1:]))
    stop = min(filled[-1] + gap, depth - 1, *(i for i in above[:1])) + 1
    return start, stop
