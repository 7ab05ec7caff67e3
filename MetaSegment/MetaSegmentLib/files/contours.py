"""Outlines of masks as polygons, and masks of polygons; both in pixels of one slice, pixel centres at whole numbers.

An outline runs half-way between the centres inside and those outside, so that the mask comes back bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..imports import explained_imports

Mask = NDArray[np.bool_]
Polygon = NDArray[np.float64]


def outlines(mask: Mask) -> list[Polygon]:
    """Polygons, (N, 2) each of (column, row), without the first point again at the end; one a connected piece.

    A hole is joined to the outline around it by a channel of no width (the keyhole of DICOM PS3.3, C.8.8.6.3): a
    program that adds contours up and one that subtracts inner from outer ones both see it as a hole.

    Args:
        mask: (J, I).
    """
    with explained_imports():
        from skimage.measure import find_contours

    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return []
    corner = np.array([columns[0], rows[0]])
    part = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1).astype(np.float64)
    found = [_corners(one[:-1, ::-1] + (corner - 1)) for one in find_contours(part, 0.5)]
    areas = [_signed_area(one) for one in found]
    outer = sorted((n for n, area in enumerate(areas) if area > 0), key=lambda n: areas[n])
    joined = {n: found[n] for n in outer}
    for number, hole in enumerate(found):
        if areas[number] < 0:
            around = next(n for n in outer if areas[n] > -areas[number] and _is_inside(hole[0], found[n]))
            joined[around] = _keyhole(joined[around], hole)
    return [joined[n] for n in sorted(joined)]


def filled(polygons: Sequence[Polygon], shape: tuple[int, int]) -> Mask:
    """(J, I) pixels whose centres lie inside an odd number of polygons."""
    rows, columns = shape
    toggles = np.zeros((rows, columns + 1), np.int32)
    for polygon in polygons:
        y, x = _crossings(polygon, rows)
        first = np.clip(np.ceil(x), 0, columns).astype(int)
        np.add.at(toggles, (y, first), 1)
    inside: Mask = np.cumsum(toggles, axis=1)[:, :columns] % 2 == 1
    return inside


def _crossings(polygon: Polygon, rows: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where the edges cross the rows of pixel centres: rows, and columns as fractions."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    down = (start[:, 1] > end[:, 1])[:, np.newaxis]  # the way there and back through a keyhole must round alike
    start, end = np.where(down, end, start), np.where(down, start, end)
    first, stop = (np.clip(np.ceil(ends[:, 1]), 0, rows).astype(int) for ends in (start, end))
    counts = stop - first
    edges = np.repeat(np.arange(len(polygon)), counts)
    y = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[edges]
    slope = (end[edges, 0] - start[edges, 0]) / (end[edges, 1] - start[edges, 1])
    return y, start[edges, 0] + (y - start[edges, 1]) * slope


def _corners(polygon: Polygon) -> Polygon:
    """The polygon without points on straight lines."""
    before, after = polygon - np.roll(polygon, 1, axis=0), np.roll(polygon, -1, axis=0) - polygon
    return polygon[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]


def _signed_area(polygon: Polygon) -> float:
    x, y = polygon.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _is_inside(point: NDArray[Any], polygon: Polygon) -> bool:
    (start, end), (x, y) = (polygon, np.roll(polygon, -1, axis=0)), point
    crossed = (start[:, 1] > y) != (end[:, 1] > y)
    start, end = start[crossed], end[crossed]
    at = start[:, 0] + (y - start[:, 1]) * (end[:, 0] - start[:, 0]) / (end[:, 1] - start[:, 1])
    return bool(np.count_nonzero(at > x) % 2)


def _keyhole(outline: Polygon, hole: Polygon) -> Polygon:
    """One polygon that goes from the outline to its hole and back where they are nearest."""
    distances, nearest = cKDTree(outline).query(hole)
    there = int(np.argmin(distances))
    here = int(nearest[there])
    around = np.concatenate([hole[there:], hole[: there + 1]])
    return np.concatenate([outline[: here + 1], around, outline[here:]])
