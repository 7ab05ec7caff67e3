"""The part of a voxel grid that a mask occupies: most masks are small in large volumes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pieces import Steps, copy_steps, drain, slabs

Mask = NDArray[np.bool_]
Corner = tuple[int, int, int]
Extent = tuple[slice, slice, slice]
"""A box of voxels of a grid: [start, stop) along each axis, numpy order."""
Values = Callable[[Extent], NDArray[Any]]
"""Gives what an array holds in a box of a grid."""
_PLANES_TRIED = 8
NOWHERE: Extent = (slice(0, 0), slice(0, 0), slice(0, 0))


@dataclass(frozen=True, eq=False)
class Part:
    """The voxels of a mask in their bounding box.

    Attributes:
        shape: (K, J, I) of the whole grid.
        box: (k, j, i), True where the mask is; of size 0 for an empty mask.
        corner: which voxel of the grid is the first one of ``box``.
    """

    shape: tuple[int, ...]
    box: Mask
    corner: Corner

    @classmethod
    def of(cls, mask: Mask, corner: Corner = (0, 0, 0), shape: tuple[int, ...] | None = None) -> Part:
        """The part of a grid of ``shape`` (by default the mask's own) that a (k, j, i) mask occupies whose first voxel
        is voxel ``corner`` of the grid; what sticks out of the grid is left off."""
        shape = mask.shape if shape is None else shape
        inside = tuple(slice(max(-c, 0), max(n - c, 0)) for c, n in zip(corner, shape, strict=True))
        k, j, i = (max(c, 0) for c in corner)
        mask = mask[inside]
        return drain(cls.steps(lambda slab: mask[slab], mask.shape, (k, j, i), shape))

    @classmethod
    def nothing(cls, shape: tuple[int, ...]) -> Part:
        """An empty mask."""
        return cls(shape, np.zeros((0, 0, 0), bool), (0, 0, 0))

    @classmethod
    def steps(
        cls, planes: Callable[[slice], Mask], size: Sequence[int], corner: Corner, shape: tuple[int, ...]
    ) -> Steps[Part]:
        """The part that a mask occupies which is made in pieces.

        Args:
            planes: makes a slab of the mask; it is called for one after the other.
            size: (k, j, i) of the mask.
            corner: which voxel of the grid is the mask's first one; the mask must lie inside the grid.
            shape: of the grid.
        """
        mask = np.empty(size, bool)
        rows, columns = np.zeros(size[0], bool), np.zeros(tuple(size[1:]), bool)
        for slab in slabs(size):
            mask[slab] = here = planes(slab)
            if here.any():
                rows[slab] = here.any(axis=(1, 2))
                columns |= here.any(axis=0)
            yield
        there = _box(rows, columns)
        if there == NOWHERE:
            return cls.nothing(shape)
        box = mask[there]
        if 2 * box.size < mask.size:  # a small segment must not keep a large layer's worth of memory
            box = yield from copy_steps(box, np.empty(box.shape, bool))
        k, j, i = (c + s.start for c, s in zip(corner, there, strict=True))
        return cls(shape, box, (k, j, i))

    @property
    def empty(self) -> bool:
        return self.box.size == 0

    @property
    def extent(self) -> Extent:
        """The bounding box."""
        k, j, i = (slice(c, c + n) for c, n in zip(self.corner, self.box.shape, strict=True))
        return (k, j, i)

    def whole(self) -> Mask:
        """(K, J, I): the mask on the whole grid."""
        return self.within((slice(0, self.shape[0]), slice(0, self.shape[1]), slice(0, self.shape[2]))).copy()

    def within(self, extent: Extent) -> Mask:
        """The mask on a box of the grid, to be read only."""
        return pasted(self.extent, lambda own: self.box[own], extent)

    def slices(self, axis: int) -> list[int]:
        """The slices across ``axis`` that hold any of the mask, ascending."""
        return drain(self.slices_steps(axis))

    def slices_steps(self, axis: int) -> Steps[list[int]]:
        """As :meth:`slices`, in pieces."""
        there = np.zeros(self.box.shape[axis], bool)
        for slab in slabs(self.box.shape):
            here = self.box[slab].any(axis=tuple(a for a in range(3) if a != axis))
            there[slab if axis == 0 else slice(None)] |= here
            yield
        return [self.corner[axis] + int(i) for i in np.flatnonzero(there)]

    def fingerprints(self, axis: int) -> dict[int, str]:
        """A short text for each slice across ``axis`` that holds any of the mask; the same for the same voxels."""
        return drain(self.fingerprints_steps(axis))

    def fingerprints_steps(self, axis: int) -> Steps[dict[int, str]]:
        """As :meth:`fingerprints`, in pieces."""
        planes = np.moveaxis(self.box, axis, 0)
        corner = [c for a, c in enumerate(self.corner) if a != axis]
        prints = {}
        for slab in slabs(planes.shape):
            for index, plane in enumerate(np.ascontiguousarray(planes[slab]), start=slab.start):
                if plane.any():
                    prints[self.corner[axis] + index] = _fingerprint(plane, corner)
            yield
        return prints

    def shifts_steps(self, axis: int, known: Collection[str], shape: Sequence[int]) -> Steps[tuple[int, int] | None]:
        """How far the mask lay from here within its slices, (rows, columns), when one of them had a known fingerprint.

        Args:
            axis: across the slices.
            known: fingerprints.
            shape: of the grid then, which was cut or extended since.
        """
        across = [a for a in range(3) if a != axis]
        first = [self.corner[a] for a in across]
        ranges = [range(min(0, shape[a] - self.shape[a]), max(0, shape[a] - self.shape[a]) + 1) for a in across]
        planes = [plane for plane in np.moveaxis(self.box, axis, 0) if plane.any()]
        for plane in planes[:: max(1, len(planes) // _PLANES_TRIED)]:
            for rows in ranges[0]:
                corners = [(first[0] + rows, first[1] + columns) for columns in ranges[1]]
                for columns, found in zip(ranges[1], _fingerprints(plane, corners), strict=True):
                    if found in known:
                        return rows, columns
                yield
        return None


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A part as it was at some time, in an eighth of the memory.

    Attributes:
        extent: the bounding box.
        bits: (k, bytes): the voxels of each slice of the box across the first axis, packed.
    """

    extent: Extent
    bits: NDArray[np.uint8]

    @classmethod
    def steps(cls, part: Part) -> Steps[Snapshot]:
        """Of a part, made in pieces."""
        count, plane = len(part.box), part.box[:1].size
        bits = np.empty((count, -(-plane // 8)), np.uint8)
        for slab in slabs(part.box.shape):
            bits[slab] = np.packbits(part.box[slab].reshape(-1, plane), axis=1)
            yield
        return cls(part.extent, bits)

    def within(self, extent: Extent) -> Mask:
        """The mask on a box of the grid."""
        _, j, i = (s.stop - s.start for s in self.extent)

        def cut(own: Extent) -> Mask:
            planes = np.unpackbits(self.bits[own[0]], axis=1, count=j * i).view(bool).reshape(-1, j, i)
            return np.asarray(planes[:, own[1], own[2]])

        return pasted(self.extent, cut, extent)

    def changed_steps(self, now: Part, axis: int) -> Steps[list[int]]:
        """The slices across ``axis`` that are different now."""
        extent = union(self.extent, now.extent)
        changed = np.zeros(extent[axis].stop - extent[axis].start, bool)
        for slab in slabs([s.stop - s.start for s in extent]):
            box = cut(extent, slab)
            here = (self.within(box) != now.within(box)).any(axis=tuple(a for a in range(3) if a != axis))
            changed[slab if axis == 0 else slice(None)] |= here
            yield
        return [extent[axis].start + int(i) for i in np.flatnonzero(changed)]


def pasted(there: Extent, read: Callable[[Extent], NDArray[Any]], extent: Extent, dtype: Any = bool) -> NDArray[Any]:
    """What an array that lies at ``there`` in a grid holds in the box ``extent``; 0 where it does not reach.

    Args:
        read: gives a box of the array, in its own indices.
    """
    common = intersection(there, extent)
    if common == extent:
        return read(within(common, there))
    result = np.zeros(size_of(extent), dtype)
    if common != NOWHERE:
        result[within(common, extent)] = read(within(common, there))
    return result


def intersection(one: Extent, other: Extent) -> Extent:
    """The box that two have in common, or :data:`NOWHERE`."""
    k, j, i = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return (k, j, i) if all(s.start < s.stop for s in (k, j, i)) else NOWHERE


def within(inner: Extent, outer: Extent) -> Extent:
    """A box in indices of another one that holds it."""
    return shifted(inner, [-s.start for s in outer])


def union(*extents: Extent) -> Extent:
    """The smallest box that holds all that are given; those of size 0 do not count."""
    holding = [e for e in extents if all(s.start < s.stop for s in e)]
    if not holding:
        return NOWHERE
    k, j, i = (slice(min(e[a].start for e in holding), max(e[a].stop for e in holding)) for a in range(3))
    return (k, j, i)


def bounds_steps(extent: Extent, values: Values) -> Steps[Extent]:
    """The box within ``extent`` outside which all is 0."""
    rows, columns = np.zeros(size_of(extent)[0], bool), np.zeros(size_of(extent)[1:], bool)
    for slab in slabs(size_of(extent)):
        here = values(cut(extent, slab)) != 0
        if here.any():
            rows[slab] = here.any(axis=(1, 2))
            columns |= here.any(axis=0)
        yield
    there = _box(rows, columns)
    return NOWHERE if there == NOWHERE else shifted(there, [s.start for s in extent])


def _box(rows: Mask, columns: Mask) -> Extent:
    """Bounding box of a mask that has something in ``rows`` (k) and in ``columns`` (j, i)."""
    hits = [np.flatnonzero(hit) for hit in (rows, columns.any(axis=1), columns.any(axis=0))]
    if not all(map(len, hits)):
        return NOWHERE
    k, j, i = (slice(int(hit[0]), int(hit[-1]) + 1) for hit in hits)
    return (k, j, i)


def shifted(extent: Extent, by: Sequence[int]) -> Extent:
    """A box moved by so many voxels along each axis."""
    k, j, i = (slice(s.start + n, s.stop + n) for s, n in zip(extent, by, strict=True))
    return (k, j, i)


def size_of(extent: Extent) -> tuple[int, int, int]:
    """(k, j, i) voxels of a box."""
    k, j, i = (s.stop - s.start for s in extent)
    return (k, j, i)


def cut(extent: Extent, slab: slice) -> Extent:
    """The slices ``slab`` of a box, counted from its first one."""
    first = extent[0].start
    return (slice(first + slab.start, first + slab.stop), extent[1], extent[2])


def one_voxel(part: Part) -> Extent:
    """The first voxel of a part; of an empty one, the first of the grid."""
    plane = part.box[0] if not part.empty else np.ones((1, 1), bool)
    row, column = divmod(int(plane.argmax()), plane.shape[1])
    k, j, i = part.corner
    return (slice(k, k + 1), slice(j + row, j + row + 1), slice(i + column, i + column + 1))


def on_slices(extent: Extent, axis: int, slices: Sequence[int]) -> tuple[Any, ...]:
    """Index of what lies on ``slices`` of the grid across ``axis`` in an array of the box ``extent``."""
    there = extent[axis]
    own = [i - there.start for i in slices if there.start <= i < there.stop]
    return (slice(None),) * axis + (own,)


def _fingerprint(plane: Mask, corner: Sequence[int]) -> str:
    """Must not depend on the box: other slices, painted later, change that."""
    return next(_fingerprints(plane, [corner]))


def _fingerprints(plane: Mask, corners: Iterable[Sequence[int]]) -> Iterator[str]:
    """Those of a plane if it lay elsewhere in its slice."""
    rows, columns = (np.flatnonzero(plane.any(axis=a)) for a in (1, 0))
    size = [rows[-1] - rows[0], columns[-1] - columns[0]]
    voxels = np.packbits(plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]).tobytes()
    for row, column in corners:
        place: list[Any] = [row + rows[0], column + columns[0], *size]
        yield blake2b(np.array(place, "<i8").tobytes() + voxels, digest_size=6).hexdigest()
