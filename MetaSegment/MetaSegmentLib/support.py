"""The painted slices: found, checked and taken out of the label map."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError
from .pieces import PIECE, Steps, drain, slabs

# Slices across two axes are "several axes" when lone slices of each hold at least this share of the paint.
_OWN_PLANE_SHARE = 0.2
# More neighbouring slices than anybody is taken to paint one after the other.
_SLIVERS = 8


@dataclass(frozen=True)
class Support:
    """The painted slices of one volume.

    Attributes:
        axis: the array axis across which slices are painted.
        slices: indices along ``axis``, ascending; slices named as empty are among them.
        labels: (S, rows, columns) label values on those slices; 0 is background.
        values: the label values that occur, ascending, without 0.
    """

    axis: int
    slices: tuple[int, ...]
    labels: NDArray[np.unsignedinteger[Any]]
    values: tuple[int, ...]

    @property
    def empty(self) -> tuple[int, ...]:
        """Slices that were named and have no paint."""
        return tuple(i for i, plane in zip(self.slices, self.labels, strict=True) if not plane.any())

    def masks(self, value: int) -> NDArray[np.bool_]:
        """(S, rows, columns): where ``value`` is painted on the support slices."""
        return np.asarray(self.labels == value)


def find_support(
    painted: ArrayLike, shape: tuple[int, ...], slices: Sequence[int] | None = None, axis: int | None = None
) -> Support:
    """Find the painted slices of a label map.

    Args:
        painted: (K, J, I) integer labels, 0 where nothing is painted.
        shape: the shape of the image that was painted on.
        slices: which slices are support; the default is every slice with paint. A slice named here that has no
            paint says that the structures are absent on it.
        axis: the slice axis; found from the paint when None.

    Raises:
        InputError: see the messages below, each says what to do.
    """
    try:
        labels = np.asarray(painted)
        axis = None if axis is None else operator.index(axis)
        slices = None if slices is None else [operator.index(i) for i in slices]
    except (TypeError, ValueError) as error:
        raise InputError("Paint must be an array of labels; slices and axis must be whole numbers.") from error
    if labels.shape != tuple(shape):
        raise InputError(
            f"The painted label map has the size {_size(labels.shape)} and the image {_size(shape)}; "
            "paint on the image's own grid."
        )
    labels = _as_labels(labels)
    if axis is not None and axis not in (0, 1, 2):
        raise InputError(f"The slice axis {axis} does not exist; choose 0, 1 or 2.")
    box = _bounding_box(labels)
    if box is None:
        raise InputError("Nothing is painted; paint the structure on at least one slice, better on three to five.")
    paint = labels[box] > 0
    layout = drain(_layout_steps(paint))
    if slices is None:
        layout.check()
    found = layout.axis
    axis = found if axis is None else axis
    if slices is None and axis != found and _contradicts(paint, axis, found):
        raise InputError(
            f"The paint lies on slices of axis {found}, not of axis {axis}; leave the axis out or name the slices."
        )

    front = np.moveaxis(labels, axis, 0)
    if slices is None:
        chosen = [int(i) for i in np.flatnonzero(front.any(axis=(1, 2)))]
    else:
        chosen = sorted({int(i) for i in slices})
        outside = [i for i in chosen if not 0 <= i < len(front)]
        if outside:
            raise InputError(
                f"Slice {outside[0]} lies outside the volume; slices along axis {axis} go from 0 to {len(front) - 1}."
            )
    support = front[chosen]
    if not support.any():
        raise InputError("None of the named slices is painted; name at least one slice with paint.")
    for index, plane in zip(chosen, support, strict=True):
        if plane.all():
            raise _full(index)
    values = tuple(int(v) for v in np.unique(support) if v)
    return Support(axis, tuple(chosen), support.copy(), values)


def _as_labels(labels: NDArray[Any]) -> NDArray[np.unsignedinteger[Any]]:
    """The labels as uint8 or uint16, without a copy when they are that already."""
    if labels.dtype in (np.uint8, np.uint16):
        return labels
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels)):
        raise InputError("The painted label map holds fractions; labels must be whole numbers from 0 to 65535.")
    if labels.dtype.kind not in "biuf" or labels.min() < 0 or labels.max() > 65535:
        raise InputError("The painted label map must hold whole numbers from 0 to 65535.")
    return labels.astype(np.uint8 if labels.max() < 256 else np.uint16)


def _bounding_box(labels: NDArray[Any]) -> tuple[slice, ...] | None:
    box = []
    for axis in range(3):
        hit = np.flatnonzero(labels.any(axis=tuple(i for i in range(3) if i != axis)))
        if not len(hit):
            return None
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(box)


def _contradicts(paint: NDArray[np.bool_], axis: int, found: int) -> bool:
    """Whether paint is sheets across ``found`` beyond doubt, so that across ``axis`` there would be slivers only."""
    sheets = np.moveaxis(paint, found, 0)
    slivers: NDArray[np.bool_] = np.asarray(np.moveaxis(paint, axis, 0).any(axis=(1, 2)))
    apart = not np.logical_and(sheets[1:], sheets[:-1]).any() and not sheets.any(axis=(1, 2)).all()
    return apart and bool(slivers.all()) and len(slivers) > _SLIVERS


@dataclass(frozen=True)
class _Layout:
    """How paint lies in its bounding box.

    Attributes:
        shape: (k, j, i) of the box.
        voxels: how many are painted.
        lone: of them, by axis, those with paint all around in their slice across the axis and none on the slices
            before and after.
        touching: pairs of painted voxels next to each other along each axis.
        there: by axis, which slices across it hold paint.
    """

    shape: tuple[int, ...]
    voxels: int
    lone: tuple[int, int, int]
    touching: tuple[int, int, int]
    there: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]

    def check(self) -> None:
        """Raise :class:`InputError` when lone slices across one axis and lone slices across another each hold a good
        share of the paint."""
        if sorted(count / self.voxels for count in self.lone)[1] > _OWN_PLANE_SHARE:
            raise InputError(
                "Slices are painted along several axes at once; paint along one axis, or name the slices and the axis."
            )

    @property
    def axis(self) -> int:
        """The axis along which painted voxels do not touch, with unpainted slices between painted ones if there are
        two; else the only one with unpainted slices between; else the one along which they touch least."""
        gaps = [not there.all() for there in self.there]
        if min(self.touching) > 0 and sum(gaps) == 1:
            return gaps.index(True)
        return min(range(3), key=lambda a: (self.touching[a], not gaps[a], self.shape[a]))


def _layout_steps(paint: NDArray[np.bool_]) -> Steps[_Layout]:
    """The layout of paint (k, j, i) in its bounding box."""
    there = (np.zeros(paint.shape[0], bool), np.zeros(paint.shape[1], bool), np.zeros(paint.shape[2], bool))
    voxels, lone, touching = 0, [0, 0, 0], [0, 0, 0]
    for slab in slabs(paint.shape, PIECE // 2):
        here = paint[slab]
        for axis in range(3):
            any_paint = here.any(axis=tuple(a for a in range(3) if a != axis))
            there[axis][slab if axis == 0 else slice(None)] |= any_paint
        if here.any():
            first, last = max(slab.start - 1, 0), min(slab.stop + 1, len(paint))
            padded = np.zeros([n + 2 for n in here.shape], bool)
            padded[first - slab.start + 1 : last - slab.start + 1, 1:-1, 1:-1] = paint[first:last]
            before = (padded[:-2, 1:-1, 1:-1], padded[1:-1, :-2, 1:-1], padded[1:-1, 1:-1, :-2])
            after = (padded[2:, 1:-1, 1:-1], padded[1:-1, 2:, 1:-1], padded[1:-1, 1:-1, 2:])
            around = [b & a for b, a in zip(before, after, strict=True)]
            voxels += int(np.count_nonzero(here))
            for axis in range(3):
                touching[axis] += int(np.count_nonzero(here & after[axis]))
                one, other = (around[a] for a in range(3) if a != axis)
                alone = here & one & other & ~(before[axis] | after[axis])
                lone[axis] += int(np.count_nonzero(alone))
        yield
    return _Layout(paint.shape, voxels, (lone[0], lone[1], lone[2]), (touching[0], touching[1], touching[2]), there)


def find_slices_steps(
    paint: NDArray[np.bool_], corner: tuple[int, ...], shape: tuple[int, ...]
) -> Steps[tuple[int, list[int]]]:
    """Slice axis and painted slices of one structure, as :func:`find_support` finds them, in pieces.

    Args:
        paint: (k, j, i) where it is painted, in its bounding box.
        corner: which voxel of the volume is the first one of the box.
        shape: of the volume.

    Raises:
        InputError: slices are painted along several axes, or the whole of a slice is painted.
    """
    layout = yield from _layout_steps(paint)
    layout.check()
    axis = layout.axis
    slices = [int(i) for i in np.flatnonzero(layout.there[axis])]
    if all(paint.shape[a] == shape[a] for a in range(3) if a != axis):
        for index in slices:
            if np.moveaxis(paint, axis, 0)[index].all():
                raise _full(corner[axis] + index)
            yield
    return axis, [corner[axis] + i for i in slices]


def _full(index: int) -> InputError:
    return InputError(
        f"The paint fills the whole of slice {index}; paint the structure only and leave its surroundings free."
    )


def _size(shape: Sequence[int]) -> str:
    return " × ".join(str(n) for n in shape)
