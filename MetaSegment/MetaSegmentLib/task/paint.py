"""The painted slices: found, checked and taken out of the label map."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

# Slices across two axes are "several axes" when lone slices of each hold at least this share of the paint.
_OWN_PLANE_SHARE = 0.2
# More neighbouring slices than anybody is taken to paint one after the other.
_SLIVERS = 8


@dataclass(frozen=True, eq=False)
class Paint:
    """What is painted in one volume.

    Attributes:
        axes: label value → the array axis across which its slices are painted; ascending by value.
        slices: label value → the slices that are complete for it, ascending; named ones without paint among them.
        index: axis → slices with anything painted or named, ascending.
        labels: axis → (S, rows, columns) label values on those slices; 0 is background.
        named: axis → slices that were named for all segments.
    """

    axes: Mapping[int, int]
    slices: Mapping[int, tuple[int, ...]]
    index: Mapping[int, tuple[int, ...]]
    labels: Mapping[int, NDArray[np.unsignedinteger[Any]]]
    named: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def values(self) -> tuple[int, ...]:
        """The label values, ascending."""
        return tuple(self.axes)

    def named_empty(self, axis: int) -> tuple[int, ...]:
        """Slices that were named for all segments and have no paint."""
        named = self.named.get(axis, ())
        pairs = zip(self.index[axis], self.labels[axis], strict=True)
        return tuple(index for index, labels in pairs if index in named and not labels.any())

    def masks(self, value: int) -> NDArray[np.bool_]:
        """(S, rows, columns): where ``value`` is painted on its own slices."""
        axis = self.axes[value]
        places = np.searchsorted(self.index[axis], self.slices[value])
        return np.asarray(self.labels[axis][places] == value)

    def elsewhere(self, value: int) -> dict[int, NDArray[np.bool_]]:
        """Slice → (rows, columns) where something else is painted, on slices that are not the structure's own."""
        axis, own = self.axes[value], set(self.slices[value])
        pairs = zip(self.index[axis], self.labels[axis], strict=True)
        return {index: (labels > 0) & (labels != value) for index, labels in pairs if index not in own}


def read_paint(
    painted: ArrayLike,
    shape: tuple[int, ...],
    slices: Sequence[int] | Mapping[int, Sequence[int]] | None = None,
    axis: int | None = None,
) -> Paint:
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
        each = {operator.index(v): list(i) for v, i in slices.items()} if isinstance(slices, Mapping) else {}
        named = [i for one in each.values() for i in one] if isinstance(slices, Mapping) else slices
        slices = None if named is None else [operator.index(i) for i in named]
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
    if slices is None and _on_several_axes(paint):
        raise InputError(
            "Slices are painted along several axes at once; paint along one axis, or name the slices and the axis."
        )
    found = _slice_axis(paint)
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
    full = [i for i, plane in zip(chosen, support, strict=True) if plane.all()]
    if full:
        raise InputError(
            f"The paint fills the whole of slice {full[0]}; paint the structure only and leave its surroundings free."
        )
    own: dict[int, tuple[int, ...]] = {}
    for value in (int(v) for v in np.unique(support) if v):
        own[value] = tuple(i for i, plane in zip(chosen, support, strict=True) if (plane == value).any())
        if each:
            own[value] = tuple(sorted({int(i) for i in each.get(value, own[value])}))
        elif slices is not None:
            own[value] = tuple(chosen)
    everywhere = () if slices is None or each else tuple(chosen)
    return Paint(dict.fromkeys(own, axis), own, {axis: tuple(chosen)}, {axis: support.copy()}, {axis: everywhere})


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


def _slice_axis(paint: NDArray[np.bool_]) -> int:
    """The axis along which painted voxels do not touch, with unpainted slices between painted ones if there are two;
    else the only one with unpainted slices between; else the one along which they touch least."""
    touching = [np.logical_and(p[1:], p[:-1]).sum() for p in (np.moveaxis(paint, a, 0) for a in range(3))]
    gaps = [not paint.any(axis=tuple(i for i in range(3) if i != axis)).all() for axis in range(3)]
    if min(touching) > 0 and sum(gaps) == 1:
        return gaps.index(True)
    return min(range(3), key=lambda a: (touching[a], not gaps[a], paint.shape[a]))


def _contradicts(paint: NDArray[np.bool_], axis: int, found: int) -> bool:
    """Whether paint is sheets across ``found`` beyond doubt, so that across ``axis`` there would be slivers only."""
    sheets = np.moveaxis(paint, found, 0)
    slivers: NDArray[np.bool_] = np.asarray(np.moveaxis(paint, axis, 0).any(axis=(1, 2)))
    apart = not np.logical_and(sheets[1:], sheets[:-1]).any() and not sheets.any(axis=(1, 2)).all()
    return apart and bool(slivers.all()) and len(slivers) > _SLIVERS


def _on_several_axes(paint: NDArray[np.bool_]) -> bool:
    """Whether lone slices across one axis and lone slices across another each hold a good share of the paint."""
    shares = sorted(_lone_slice(paint, axis).sum() / paint.sum() for axis in range(3))
    return bool(shares[1] > _OWN_PLANE_SHARE)


def _lone_slice(paint: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """Voxels with paint all around in the slice across ``axis`` and none on the slices before and after."""
    padded = np.pad(paint, 1)
    lone = paint.copy()
    for other in range(3):
        for shift in (-1, 1):
            neighbour = np.roll(padded, shift, other)[1:-1, 1:-1, 1:-1]
            lone &= ~neighbour if other == axis else neighbour
    return lone


def _size(shape: Sequence[int]) -> str:
    return " × ".join(str(n) for n in shape)
