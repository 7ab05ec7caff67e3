"""Painted slices are sheets one voxel thick: across which axis they lie, and which sheets lie otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .segment_paint import Points, SegmentPaint, runs

_CLEAR = 4.0
"""One axis has so many times the sheet voxels of any other …"""
_VOTING = 0.1
"""… and they are at least this share of the paint."""
_MOSTLY = 0.5
"""Paint of which so much is sheet voxels consists of single slices."""
_SLAB = 1.7
"""Paint is so many times more of a slab across its slices: thin, and as broad where it ends as anywhere."""
_TAPERED = 0.35
"""A whole structure ends on slices with less of the largest one's area, along all axes."""
_THICK = 12
"""Nobody paints so many neighbouring slices by hand: paint as thick along all axes was made as a whole."""
_SOLID = 0.3
"""Paint that fills so much of its bounding box is no sheets."""

_PLANE_VOXELS = 8
"""Fewer voxels of a plane across another axis are the border of a structure."""
_PLANE_SLICES = 3
"""A plane across another axis leaves paint on at least so many slices that have no other paint …"""
_PLANE_SPAN = 0.25
"""… and on this share of the unpainted ones."""

_SHEET_CHORD = 2.5
"""No turned sheet is so many voxels thick along all axes."""
_SHEET_VOXELS = 12
_SHEET_WIDTH = 4.0
"""A turned sheet has at least so many voxels and is so broad both ways; less may be a line."""
_FLAT = 0.25
"""Variance in voxels² about its plane of a sheet up to 1.7 voxels thick …"""
_STEPS_OVERLAP = 0.5
"""… which on each slice covers at most so much of what it covers on the next."""
_STEP_EXPLAINED = 0.7
_STEP_OVERLAP = 0.25
"""The same for a sheet that crosses from one slice to the next only."""
_OBLIQUE_SHARE = 0.5
"""So much of the paint is turned sheets …"""
_PARALLEL = 0.35
"""… whose unit normals differ by less than this from their mean."""
_CELLS = 4_000_000
"""Larger bounding boxes are put on a coarser grid to find connected pieces."""


@dataclass(frozen=True)
class SliceAxis:
    """The axis across which a segment is painted.

    Attributes:
        axis: None where it does not follow from the paint.
        sure: it follows from the paint beyond doubt; else it is the likeliest one.
    """

    axis: int | None
    sure: bool = True


@dataclass(frozen=True, eq=False)
class Sheets:
    """The slices that were painted, from the neighbourhood of each painted voxel."""

    paint: SegmentPaint

    @cached_property
    def axis(self) -> SliceAxis:
        """The axis across which the painted slices lie.

        Sheets are found by slices without a painted neighbour, else by voxels that have neighbours within one plane
        only. Neighbouring slices that were painted are a slab: thin, with blunt ends. Paint that tapers off on all
        sides is a whole structure, for which any axis will do.
        """
        paint = self.paint
        apart = [axis for axis in range(3) if paint.apart(axis)]
        if len(apart) == 1:
            return SliceAxis(apart[0])
        if apart:
            return SliceAxis(self._axis_of_dots(apart), sure=False)
        votes = [int(np.count_nonzero(sheet)) for sheet in self.sheet_voxels]
        best = _leader(votes, _CLEAR)
        if best is not None and votes[best] >= max(_PLANE_VOXELS, _VOTING * paint.size):
            return SliceAxis(best)
        if sum(votes) >= _MOSTLY * paint.size and max(votes) >= _PLANE_VOXELS:  # sheets across several axes
            return SliceAxis(int(np.argmax(votes)))
        blunt = [self._bluntness(axis) for axis in range(3)]
        slabs = [end / length for end, length in zip(blunt, self._chords, strict=True)]
        best = _leader(slabs, _SLAB)
        if best is not None and blunt[best] >= _TAPERED:
            return SliceAxis(best)
        gaps = [axis for axis in range(3) if len(paint.occupied[axis]) < paint.extent[axis]]
        if len(gaps) == 1 and slabs[gaps[0]] == max(slabs):
            return SliceAxis(gaps[0])
        whole = max(blunt) < _TAPERED or min(paint.extent) >= _THICK
        return SliceAxis(int(np.argmin(paint.extent)) if whole else None, sure=False)

    @cached_property
    def is_oblique(self) -> bool:
        """Whether the paint is flat sheets that are turned against all three axes.

        A turned sheet crosses several slices and leaves on each a strip beside, not above, that of the slice before;
        all sheets are turned alike. Each connected piece of paint is fitted by a plane to tell.
        """
        paint = self.paint
        if any(paint.apart(axis) for axis in range(3)) or self._solid or min(self._chords) > _SHEET_CHORD:
            return False
        flat: list[tuple[int, NDArray[np.float64]]] = []
        for piece in self._pieces():
            normal = self._turned_normal(piece)
            if normal is not None:
                flat.append((len(piece), normal))
        voxels = sum(size for size, _ in flat)
        if voxels < _OBLIQUE_SHARE * paint.size:
            return False
        mean = np.sum([size * normal for size, normal in flat], axis=0) / voxels
        return all(np.linalg.norm(normal - mean) < _PARALLEL for _, normal in flat)

    def other_planes(self, axis: int) -> tuple[list[tuple[int, int]], list[int]]:
        """Planes across another axis than ``axis`` that were painted too.

        Returns:
            (axis, index) of each, and the slices across ``axis`` whose paint is that of such planes alone.
        """
        paint = self.paint
        if paint.apart(axis) or self._solid:
            return [], []
        found = {
            (other, int(index))
            for other in range(3)
            if other != axis
            for index in np.flatnonzero(np.bincount(paint.points[self.sheet_voxels[other], other]) >= _PLANE_VOXELS)
        }
        # A structure's own walls are planes side by side.
        planes = sorted((o, i) for o, i in found if (o, i - 1) not in found and (o, i + 1) not in found)
        within = {plane: paint.points[:, plane[0]] == plane[1] for plane in planes}
        left = paint.points[~np.any(list(within.values()), axis=0), axis] if planes else paint.points[:, axis]
        complete = np.unique(left)
        alone = np.setdiff1d(paint.occupied[axis], complete)
        if not len(complete) or len(complete) > 2 * len(runs(complete.tolist())):
            return [], []
        enough = max(_PLANE_SLICES, _PLANE_SPAN * (complete[-1] - complete[0] + 1 - len(complete)))
        planes = [p for p in planes if len(np.intersect1d(paint.points[within[p], axis], alone)) >= enough]
        return (planes, alone.tolist()) if planes else ([], [])

    @cached_property
    def sheet_voxels(self) -> list[NDArray[np.bool_]]:
        """For each axis (N,) which points have neighbours along both other axes and none along it."""
        if self._solid:
            return [np.zeros(0, bool)] * 3
        touched = []
        for first, second in self._pairs:
            touch = np.zeros(self.paint.size, bool)
            touch[first] = touch[second] = True
            touched.append(touch)
        return [~touched[a] & touched[b] & touched[c] for a, b, c in ((0, 1, 2), (1, 0, 2), (2, 0, 1))]

    @cached_property
    def _solid(self) -> bool:
        return min(self.paint.extent) >= _THICK and self.paint.size > _SOLID * float(np.prod(self.paint.extent))

    @cached_property
    def _pairs(self) -> list[tuple[Points, Points]]:
        """For each axis the points with a neighbour after them along it, and those neighbours."""
        points = self.paint.points
        sizes = [n + 1 for n in self.paint.extent]  # so that no line runs on into the next
        strides = (sizes[1] * sizes[2], sizes[2], 1)
        keys = points @ np.array(strides)
        pairs = []
        for stride in strides:
            after = np.searchsorted(keys, keys + stride)
            first = np.flatnonzero(keys[np.minimum(after, len(keys) - 1)] == keys + stride)
            pairs.append((first, after[first]))
        return pairs

    @cached_property
    def _chords(self) -> list[float]:
        """Mean length in voxels of the paint's unbroken lines along each axis."""
        size = self.paint.size
        if self._solid:  # and so without empty slices
            stacks = [np.moveaxis(self.paint.packed, axis, 0) for axis in range(3)]
            return [size / (size - np.count_nonzero(s[1:] & s[:-1])) for s in stacks]
        return [size / (size - len(first)) for first, _ in self._pairs]

    def _bluntness(self, axis: int) -> float:
        """Mean share that the end slices of each run of slices have of its largest one.

        Ends at the volume's border do not count.
        """
        areas = self.paint.areas[axis]
        at_start, at_stop = self.paint.at_border(axis)
        shares = []
        for run in runs(self.paint.slices(axis)):
            ends = [run[0]] if run[0] > 0 or not at_start else []
            ends += [run[-1]] if run[-1] < len(areas) - 1 or not at_stop else []
            shares += [areas[end] / areas[run].max() for end in ends]
        return float(np.mean(shares)) if shares else 0.0

    def _axis_of_dots(self, apart: Sequence[int]) -> int | None:
        """The likeliest axis of paint too thin to be sure: a line lies in one slice, dots lie along a vessel."""
        sign = -1 if len(self._pieces()) == 1 else 1
        (next_best, _), (best, axis) = sorted((sign * self.paint.extent[axis], axis) for axis in apart)[-2:]
        return axis if best > next_best else None

    def _pieces(self) -> list[Points]:
        """Indices into the points of each connected piece."""
        paint = self.paint
        coarser = int(np.ceil(np.cbrt(np.prod(paint.extent) / _CELLS)))
        cells = paint.points // coarser
        grid = np.zeros(cells.max(axis=0) + 1, bool)
        grid[tuple(cells.T)] = True
        numbers = ndimage.label(grid, np.ones((3, 3, 3)))[0][tuple(cells.T)]
        order = np.argsort(numbers, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)

    def _turned_normal(self, piece: Points) -> NDArray[np.float64] | None:
        """Normal in index space of a piece that is a flat sheet crossing slices; None where it is not."""
        if len(piece) < _SHEET_VOXELS:
            return None
        points = self.paint.points[piece]
        if np.ptp(points, axis=0).min() < 1:
            return None
        centred = points - points.mean(axis=0)
        spread, directions = np.linalg.eigh(np.cov(centred.T))
        if np.sqrt(12 * spread[1]) < _SHEET_WIDTH:
            return None
        axis = int(np.argmax(np.abs(directions[:, 0])))
        areas = np.bincount(points[:, axis] - points[:, axis].min())
        overlap = np.count_nonzero(np.isin(piece, self._pairs[axis][0])) / np.minimum(areas[1:], areas[:-1]).sum()
        plane, height = np.delete(centred, axis, axis=1), centred[:, axis]
        slope, *_ = np.linalg.lstsq(plane, height, rcond=None)
        rest = float(np.var(height - plane @ slope))
        if len(areas) == 2:
            # Of a single step between shares p and 1 - p a plane explains 3 p (1 - p) at most.
            share = areas[0] / areas.sum()
            explained = (1 - rest / float(np.var(height))) / (3 * share * (1 - share))
            flat = explained >= _STEP_EXPLAINED and overlap <= _STEP_OVERLAP
        else:
            flat = rest <= _FLAT and overlap <= _STEPS_OVERLAP
        if not flat:
            return None
        normal = np.insert(-slope, axis, 1.0)
        return normal / np.linalg.norm(normal)


def _leader(scores: Sequence[float], factor: float) -> int | None:
    """The axis whose score is ``factor`` times that of any other."""
    second, first = np.argsort(scores)[1:]
    return int(first) if scores[first] > 0 and scores[first] >= factor * scores[second] else None
