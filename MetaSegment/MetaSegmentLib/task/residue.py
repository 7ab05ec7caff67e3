"""Paint that is no complete slice: discs that a 3D brush left beside painted slices, and stray marks.

The limits were set on hand-made and atlas labels: complete slices of those, few or neighbouring, do not reach them
(``Testing/benchmarks/paint_doubt.py`` counts).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .segment_paint import Mask, SegmentPaint, runs

_NESTED = 0.97
"""Share of a disc that lies within the slice that was painted."""
_SHRUNK = 0.97
"""A disc has at most this share of that slice's area."""
_BRUSH = 0.8
"""A disc's border lies at least this share of what a ball's would inside the border of the slice."""
_SUDDEN = 0.75
"""Or the area falls to so much from slice to slice, as in a long structure that a ball was put into once."""
_REACH = 16
"""A brush reaches over at most so many slices."""
_MIRRORED = 0.8
"""Overlap (intersection over union) of the discs on either side, where nothing else speaks for a brush."""
_ONCE = 0.95
"""The same where all there is is one slice with discs, which a whole structure may look like."""

_STRAY = 0.1
"""A mark has at most this share of the smaller neighbour's area …"""
_MARK = 30
_LARGE_STRAY = 0.02
"""… or, where it has more than so many voxels, this one, …"""
_COVER = 0.05
"""… and covers at most this share of what both neighbours have in common, …"""
_COMMON = 30
"""… which is at least so many voxels."""
_OFF_STRAY = 0.05
"""Or it has at most this share …"""
_OFF = 0.25
"""… and lies this share of the neighbours' extent outside their bounds."""
_END_STRAY = 0.015
"""Beyond the last painted slice a mark has at most this share of that slice's area, …"""
_END_AREA = 60
"""… which is at least so many voxels, …"""
_END_SPEED = 2.5
"""… and lies so many voxels beside it, for each slice between."""
_END_DISTANCE = 4.0


class _Slices:
    """The slices of a segment across one axis, unpacked when they are looked at.

    Attributes:
        areas: voxels on each slice of the box.
    """

    def __init__(self, paint: SegmentPaint, axis: int) -> None:
        self._paint, self._axis = paint, axis
        self.areas = paint.areas[axis]

    def __getitem__(self, index: int) -> Mask:
        return self._paint.plane(self._axis, index)

    def union(self, indices: Sequence[int]) -> Mask:
        """Where any of the slices is painted."""
        return np.logical_or.reduce([self[index] for index in indices])


def brush_discs(paint: SegmentPaint, axis: int, slices: Sequence[int]) -> dict[int, list[int]]:
    """Slices that a 3D brush left its discs on → the painted slices they lie beside.

    A ball leaves on both sides of the slice that it was drawn on smaller shapes, well within the drawn one. Structures
    do not shrink so at once to both sides, unless they are small and painted as a whole: that is one run of slices
    which tapers off.

    Args:
        slices: indices within the box of the slices to look at.
    """
    stack = _Slices(paint, axis)
    areas = stack.areas
    parts = runs(slices)
    cores: dict[int, float] = {}
    for part in parts:
        for index in part[1:-1]:
            mirrored = _mirrored_discs(stack, part, index)
            if mirrored is not None:
                cores[index] = mirrored
    if len(cores) == 1:
        (index, mirrored), *_ = cores.items()
        if mirrored < _MIRRORED or (len(parts) == 1 and (mirrored < _ONCE or _tapers_off(areas, index, parts[0]))):
            cores = {}
    found: dict[int, list[int]] = {}
    if not cores:
        return found
    for part in parts:
        peaks = [i for i in part[1:-1] if i in cores or (not cores.keys() & set(part) and _is_peak(stack, i))]
        for index in (i for i in part if i not in peaks):
            beside = [p for p in peaks if p < index][-1:] + [p for p in peaks if p > index][:1]
            if beside and np.count_nonzero(stack[index] & stack.union(beside)) >= _NESTED * areas[index]:
                found[index] = beside
    return found


def stray_marks(paint: SegmentPaint, axis: int, slices: Sequence[int]) -> dict[int, int]:
    """Slices that hold no more than a mark → its voxels.

    A mark between two painted slices covers next to nothing of what both have in common, which no structure does that
    is there on all three. Beyond the last painted slice anything small may be the tip of the structure, unless it lies
    far beside it.

    Args:
        slices: indices within the box of the slices to look at; the others are taken for unpainted.
    """
    stack = _Slices(paint, axis)
    areas = stack.areas
    marks = [i for i in slices if _is_stray(stack, i, [o for o in slices if areas[o] * _STRAY >= areas[i]])]
    complete = [i for i in slices if i not in marks]
    return {i: int(areas[i]) for i in marks if _is_stray(stack, i, complete)}


def _mirrored_discs(stack: _Slices, part: Sequence[int], index: int) -> float | None:
    """Overlap of the outermost shapes on either side of a slice that a brush explains; None where none does."""
    areas = stack.areas
    found = None
    depth: NDArray[np.float64] | None = None
    for reach in range(1, min(index - part[0], part[-1] - index, _REACH) + 1):
        pair = (index - reach, index + reach)
        if any(areas[i] > areas[inner] for i, inner in zip(pair, (index - reach + 1, index + reach - 1), strict=True)):
            break
        if max(areas[i] for i in pair) > _SHRUNK * areas[index]:
            continue
        if any(np.count_nonzero(stack[i] & stack[index]) < _NESTED * areas[i] for i in pair):
            break
        if depth is None:
            depth = ndimage.distance_transform_edt(np.pad(stack[index], 1))[1:-1, 1:-1] - 1
        inset = min(float(np.median(depth[stack[i] & ~ndimage.binary_erosion(stack[i])])) for i in pair)
        # A ball that stops after so many slices has a radius of less than one more.
        as_a_ball = inset >= _BRUSH * (reach + 1 - np.sqrt(2 * reach + 1))
        if as_a_ball or max(areas[i] for i in pair) <= _SUDDEN**reach * areas[index]:
            before, after = (stack[i] for i in pair)
            found = float(np.count_nonzero(before & after) / np.count_nonzero(before | after))
    return found


def _is_peak(stack: _Slices, index: int) -> bool:
    """Whether both neighbours of a slice lie within it; enough where other slices show that a 3D brush was used."""
    areas = stack.areas
    return all(
        areas[i] <= _SHRUNK * areas[index] and np.count_nonzero(stack[i] & stack[index]) >= _NESTED * areas[i]
        for i in (index - 1, index + 1)
    )


def _tapers_off(areas: NDArray[np.intp], index: int, part: Sequence[int]) -> bool:
    """Whether a run of slices ends as a whole structure does: of an ellipsoid the last slice, d slices from the middle,
    has at most (2 d + 1) / (d + 1)² of its area."""
    ends = [(areas[end] / areas[index], abs(end - index)) for end in (part[0], part[-1])]
    return any(share <= (2 * d + 1) / (d + 1) ** 2 for share, d in ends)


def _is_stray(stack: _Slices, index: int, complete: Sequence[int]) -> bool:
    areas = stack.areas
    before = max((i for i in complete if i < index), default=None)
    after = min((i for i in complete if i > index), default=None)
    if before is None and after is None:
        return False
    if before is None or after is None:
        nearest = before if before is not None else after
        return nearest is not None and _is_far_beside(stack, index, nearest)
    share = areas[index] / min(areas[before], areas[after])
    if share > (_STRAY if areas[index] <= _MARK else _LARGE_STRAY):
        return False
    common = stack[before] & stack[after]
    count = np.count_nonzero(common)
    if count >= _COMMON and np.count_nonzero(stack[index] & common) <= _COVER * count:
        return True
    return bool(share <= _OFF_STRAY and _out_of_bounds(stack[index], stack[before] | stack[after]) > _OFF)


def _is_far_beside(stack: _Slices, index: int, nearest: int) -> bool:
    areas = stack.areas
    if areas[nearest] < _END_AREA or areas[index] > _END_STRAY * areas[nearest]:
        return False
    distance = float(ndimage.distance_transform_edt(~stack[nearest])[stack[index]].min())
    return distance >= max(_END_DISTANCE, _END_SPEED * abs(index - nearest))


def _out_of_bounds(mark: Mask, shape: Mask) -> float:
    """How far a mark lies outside the bounds of a shape, as a share of its extent."""
    bounds = ndimage.find_objects(shape.astype(np.uint8))[0]
    points = np.nonzero(mark)
    off = max(int(np.maximum(b.start - p, p - b.stop + 1).min()) for p, b in zip(points, bounds, strict=True))
    return off / max(b.stop - b.start for b in bounds)
