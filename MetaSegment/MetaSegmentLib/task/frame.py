"""The working lattice: a square window of a volume, resampled slice by slice.

This is the one place that crops, resizes and normalises intensities. The slice axis exists only here: on a frame
everything is slice-first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from .volume import Volume

Stack = NDArray[np.float32]
Mask = NDArray[np.bool_]

_SIDE_STEP = 1.08
"""Sides of windows are powers of this, in voxels, where nothing else is better."""
_PIXELS_A_VOXEL = (1, 2, 3, 4)
_WIDEST, _NARROWEST = 1.22, 1.085
"""How much wider, and narrower, than wanted a window may be, so that a voxel is a whole number of pixels."""
_SIZE_STEP = 16
"""Larger lattices are multiples of this, since networks halve them four times."""
_HARDLY = 0.75
"""A lattice that shows less than this of what is painted, as a Dice, is too coarse for it."""
_CENTRE_STEPS = 24
"""Windows lie at multiples of their side over this."""

# Slices resampled at once: bounds the memory that a large volume takes.
_CHUNK = 16
_CLIP = 1.5
"""Normalised intensities stay within ± this."""


@dataclass(frozen=True)
class FrameSettings:
    """What a frame is like, as a plan states it.

    Attributes:
        size: rows and columns of the lattice.
        largest: up to so many it may have, for a window of as many voxels.
        finest: up to so many for a structure that a coarser lattice would hardly show.
        growth: side of the window over the longer side of the painted box.
        smallest: least side of the window, in voxels of the finer in-plane spacing.
    """

    size: int = 96
    largest: int = 144
    finest: int = 224
    growth: float = 1.7
    smallest: int = 24


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

    def enlarged(self, margins: Sequence[int]) -> Window:
        """The window with so many more rows and columns on either side."""
        (top, bottom), (left, right), (high, wide) = self.rows, self.columns, margins
        return Window((top - high, bottom + high), (left - wide, right + wide))

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


@dataclass(frozen=True)
class Frame:
    """Where the numbers of a task live.

    Slices are addressed by their index in the volume, along the slice axis.

    Attributes:
        axis: the array axis of the volume across which slices lie.
        window: where the lattice lies in the slice.
        size: rows and columns of the lattice.
        start, stop: the slices [start, stop) that are worked on.
        depth: number of slices of the volume.
        spacing: mm between slices, rows and columns of the volume.
        low, high: intensities that become -1 and 1.
    """

    axis: int
    window: Window
    size: int
    start: int
    stop: int
    depth: int
    spacing: tuple[float, float, float]
    low: float
    high: float

    @property
    def pixel(self) -> float:
        """Size of a lattice pixel, in mm."""
        rows, columns = self.window.shape
        return max(rows * self.spacing[1], columns * self.spacing[2]) / self.size

    @property
    def anisotropy(self) -> float:
        """Slice distance over the size of a lattice pixel, both in mm."""
        return self.spacing[0] / self.pixel

    @property
    def shrinkage(self) -> float:
        """Voxels that share a lattice pixel, along the longer side of the window; below 1 where it is enlarged."""
        return max(self.window.shape) / self.size

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the lattice."""
        return (self.size, self.size)

    def normalise(self, intensities: NDArray[Any], limit: float = _CLIP) -> Stack:
        """Intensities of the volume as the frame shows them, within ± ``limit``."""
        scaled = (intensities - self.low) * (2 / (self.high - self.low or 1.0)) - 1
        return np.clip(scaled, -limit, limit).astype(np.float32)

    def cut_mask(self, mask: Mask) -> Mask:
        """(N, rows, columns) masks on the volume's voxels → (N, size, size), True where more than half is."""
        return np.asarray(resize(self.window.cut(mask, edge=False), self.shape) > 0.5)

    def to_window(self, values: Stack) -> Stack:
        """(N, size, size) values back on the voxels of the window, (N, *window.shape)."""
        return resize(values, self.window.shape)


def resize(stack: NDArray[Any], shape: tuple[int, int]) -> Stack:
    """Resample (N, rows, columns) to (N, *shape): bilinear, smoothed first where it shrinks, pixel areas aligned.

    The same weights as ``torch.nn.functional.interpolate(mode="bilinear", antialias=True, align_corners=False)``.
    """
    if stack.shape[1:] == shape:
        return np.ascontiguousarray(stack, np.float32)
    rows, columns = (_weights(n, m) for n, m in zip(stack.shape[1:], shape, strict=True))
    resized = np.empty((len(stack), *shape), np.float32)
    for place, plane in enumerate(stack):
        resized[place] = rows @ plane.astype(np.float32) @ columns.T
    return resized


@lru_cache(maxsize=64)
def _weights(length: int, wanted: int) -> Stack:
    """(wanted, length): what each sample of a line counts for each new sample; every row adds up to one."""
    scale = length / wanted
    reach = max(scale, 1.0)
    centres = (np.arange(wanted) + 0.5) * scale - 0.5
    weights = np.clip(1 - np.abs(np.arange(length) - centres[:, None]) / reach, 0, None)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def signed_distance(mask: Mask, spacing: Sequence[float] | None = None) -> Stack:
    """Distance from the outline of a mask of any dimensions that is neither empty nor full, in the unit of ``spacing``
    (voxels by default), positive inside; the outline runs between voxels."""
    half = 0.5 * min(spacing or (1.0,))
    inside = distance_transform_edt(mask, sampling=spacing)
    outside = distance_transform_edt(~mask, sampling=spacing)
    return np.where(mask, inside - half, half - outside).astype(np.float32)


def make_frame(
    volume: Volume,
    axis: int,
    masks: Mask,
    start: int,
    stop: int,
    settings: FrameSettings | None = None,
    place: tuple[Window, int] | None = None,
) -> tuple[Frame, Stack]:
    """A frame around paint, and the image on it.

    Args:
        masks: (S, rows, columns), where anything of the task is painted on each painted slice; not empty.
        start, stop: the slices to work on.
        place: window and size of the lattice, where these are given.

    Returns:
        The frame, and (stop - start, size, size) intensities, the 1st and 99th percentile at -1 and 1.
    """
    stack, spacing = volume.along(axis), volume.spacing_along(axis)
    window, side = place or _place(masks, spacing[1:], settings or FrameSettings())
    size = (side, side)
    starts = range(start, stop, _CHUNK)
    image = np.concatenate(
        [resize(window.cut(stack[first : min(first + _CHUNK, stop)], edge=True), size) for first in starts]
    )
    low, high = np.percentile(image, (1, 99))
    low, high = _rounded(float(low), float(high), volume.contrast)
    frame = Frame(axis, window, side, start, stop, len(stack), spacing, low, high)
    return frame, frame.normalise(image)


def _place(masks: Mask, spacing: Sequence[float], settings: FrameSettings) -> tuple[Window, int]:
    """The window around what is painted, and the size of the lattice that shows it."""
    anywhere = np.asarray(masks.any(0))
    window, side = window_around(anywhere, spacing, settings)
    if max(window.shape) > side and shown(window.cut(masks, edge=False), side) < _HARDLY:
        return window_around(anywhere, spacing, settings, finer=True)
    return window, side


def window_around(
    mask: Mask, spacing: Sequence[float], settings: FrameSettings, finer: bool = False
) -> tuple[Window, int]:
    """Square in mm: the longer side of the painted box times ``growth``, centred on the box, both in coarse steps; and
    the size of the lattice on it, which may be a ``finer`` one.

    Steps, so that one more painted slice seldom moves the window, and what was computed on it can be used again.
    """
    boxes = [(int(hit.min()), int(hit.max()) + 1) for hit in np.nonzero(mask)]
    fine = min(spacing)
    wanted = max((b - a) * s for (a, b), s in zip(boxes, spacing, strict=True)) / fine * settings.growth
    side, size = _side(max(wanted, settings.smallest), settings, finer)
    spans = []
    for (a, b), s in zip(boxes, spacing, strict=True):
        count = max(round(side * fine / s), b - a + 2)
        step = max(1, round(count / _CENTRE_STEPS))
        first = step * round(((a + b) / 2 - count / 2) / step)
        spans.append((first, first + count))
    return Window(spans[0], spans[1]), size


def _side(wanted: float, settings: FrameSettings, finer: bool) -> tuple[float, int]:
    """Side of a window in voxels, near the one that is wanted, and the size of its lattice.

    Where it can be, a voxel is a whole number of pixels wide, since else it is smeared over two pixels on the way here
    and once more on the way back, and what is thin is lost.
    """
    for pixels in _PIXELS_A_VOXEL:
        side = settings.size // pixels
        if side * pixels == settings.size and side / _WIDEST <= wanted <= side * _NARROWEST:
            return side, settings.size
    if settings.size < wanted <= (settings.finest if finer else settings.largest):
        side = _SIZE_STEP * round(wanted / _SIZE_STEP)
        return side, side
    size = max(settings.size, settings.finest) if finer else settings.size
    return _SIDE_STEP ** round(math.log(wanted, _SIDE_STEP)), size


def shown(masks: Mask, size: int) -> float:
    """Dice of (S, rows, columns) masks and what is left of them on a lattice of so many pixels."""
    return overlap(masks, np.asarray(resize(resize(masks, (size, size)), masks.shape[1:]) > 0.5))


def overlap(first: Mask, second: Mask) -> float:
    """Dice of two masks; 1 when both are empty."""
    total = int(np.count_nonzero(first)) + int(np.count_nonzero(second))
    return 2 * int(np.count_nonzero(first & second)) / total if total else 1.0


def _rounded(low: float, high: float, contrast: tuple[float, float]) -> tuple[float, float]:
    """An intensity range rounded outwards to steps of 1/32 to 1/16 of its width, for the same reason as the window.

    Steps are fractions of the volume's ``contrast`` and counted from there, so that its scale does not matter.
    """
    first, width = contrast[0], contrast[1] - contrast[0]
    if not high > low or not width > 0:
        return low, high
    step = width * 2.0 ** (math.floor(math.log2((high - low) / width)) - 4)
    return first + step * math.floor((low - first) / step), first + step * math.ceil((high - first) / step)
