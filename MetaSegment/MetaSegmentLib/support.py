"""The painted slices: found, checked and taken out of the label map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError

# Two families of painted planes are "several axes" when each holds at least this share of the paint on its own.
_OWN_PLANE_SHARE = 0.2


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
    labels = np.asarray(painted)
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
    if axis is None:
        axis = _sparsest_axis(paint)

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


def _sparsest_axis(paint: NDArray[np.bool_]) -> int:
    """The axis along which painted voxels touch least: slices painted with gaps between them do not touch at all."""
    voxels = paint.sum()
    touching = [np.logical_and(p[1:], p[:-1]).sum() / voxels for p in (np.moveaxis(paint, a, 0) for a in range(3))]
    extents = paint.shape
    return min(range(3), key=lambda a: (touching[a], extents[a]))


def _on_several_axes(paint: NDArray[np.bool_]) -> bool:
    """Whether two families of planes each hold much paint that lies flat in them and not in the other."""
    flat = [_inside_plane(paint, axis) for axis in range(3)]
    voxels = paint.sum()
    for a, b in ((0, 1), (0, 2), (1, 2)):
        own_a = np.logical_and(flat[a], ~flat[b]).sum() / voxels
        own_b = np.logical_and(flat[b], ~flat[a]).sum() / voxels
        if min(own_a, own_b) > _OWN_PLANE_SHARE:
            return True
    return False


def _inside_plane(paint: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """Voxels whose four neighbours in the plane across ``axis`` are painted too."""
    padded = np.pad(paint, 1)
    inside = paint.copy()
    for other in range(3):
        if other != axis:
            for shift in (-1, 1):
                inside &= np.roll(padded, shift, other)[1:-1, 1:-1, 1:-1]
    return inside


def _size(shape: Sequence[int]) -> str:
    return " × ".join(str(n) for n in shape)
