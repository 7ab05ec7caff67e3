"""The image that was given: checked once, never copied whole."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

_SAMPLED = 64
"""Voxels along an axis that are enough to find the contrast of a volume."""
_LARGEST = 1e30
"""Beyond, sums and squares leave the range of float32."""


@dataclass(frozen=True)
class Volume:
    """A scalar 3D image.

    Attributes:
        array: (K, J, I) real numbers, all finite.
        spacing: mm between voxel centres along each array axis, in array order.
        checksum: of the voxels, which stay the caller's.
    """

    array: NDArray[Any]
    spacing: tuple[float, float, float]
    checksum: int | None = None

    @property
    def unchanged(self) -> bool:
        """Whether the array still holds what it was checked with."""
        return self.checksum is None or self.checksum == _checksum(self.array)

    def require_unchanged(self) -> None:
        """Check that nobody wrote into the array.

        Raises:
            InputError: somebody did.
        """
        if not self.unchanged:
            raise InputError("The image was changed since it was learned from; adapt to it anew, or give a copy of it.")

    @cached_property
    def contrast(self) -> tuple[float, float]:
        """The 1st and 99th percentile of the intensities, of every n-th voxel where there are many."""
        steps = [max(1, n // _SAMPLED) for n in self.array.shape]
        sample = self.array[tuple(slice(None, None, step) for step in steps)]
        low, high = np.percentile(sample, (1, 99))
        return float(low), float(high)

    def along(self, axis: int) -> NDArray[Any]:
        """The array as a view (slices, rows, columns) with ``axis`` first, the other two in their order."""
        return np.moveaxis(self.array, axis, 0)

    def spacing_along(self, axis: int) -> tuple[float, float, float]:
        """Spacing in mm in the order that :meth:`along` gives."""
        rest = [s for i, s in enumerate(self.spacing) if i != axis]
        return (self.spacing[axis], rest[0], rest[1])


def check_volume(image: ArrayLike, spacing: ArrayLike = (1.0, 1.0, 1.0)) -> Volume:
    """Make a :class:`Volume` of a (K, J, I) array.

    Raises:
        InputError: not three-dimensional, one slice only, not real numbers, NaN or infinite voxels,
            the same value everywhere, or a spacing that is not three positive numbers.
    """
    try:
        array = np.asarray(image)
        mm = np.asarray(spacing, dtype=float)
    except (TypeError, ValueError, RuntimeError) as error:  # the last where torch does not give its numbers away
        raise InputError(
            "The image must be an array of numbers and the spacing three numbers in millimetres."
        ) from error
    if array.ndim != 3:
        raise InputError(
            f"The image has {array.ndim} dimensions; "
            "choose a single 3D volume (no 2D image, time series or colour image)."
        )
    if array.dtype.kind not in "biuf":
        raise InputError(
            "The image does not hold plain real numbers; choose a scalar volume, not a colour or complex one."
        )
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    if min(array.shape) < 2:
        raise InputError("The image has a single slice; choose a volume with at least two slices along every axis.")
    if array.dtype.kind == "f" and not all(np.isfinite(part).all() for part in array):
        raise InputError(
            "The image holds NaN or infinite voxels; replace them (for example by the lowest value) and try again."
        )
    if array.min() == array.max():
        raise InputError("The image has the same value everywhere; choose a volume in which the structure can be seen.")
    if array.dtype.kind == "f" and max(abs(float(array.min())), abs(float(array.max()))) > _LARGEST:
        raise InputError("The image holds values beyond 10^30; rescale it and try again.")
    if mm.shape != (3,) or not np.isfinite(mm).all() or (mm <= 0).any():
        raise InputError("The spacing must be three positive numbers in millimetres, in the order of the array axes.")
    if mm.min() < 1 / _LARGEST or mm.max() > _LARGEST:
        raise InputError("The spacing is beyond all measure; give it in millimetres.")
    return Volume(array, (float(mm[0]), float(mm[1]), float(mm[2])), _checksum(array))


def _checksum(array: NDArray[Any]) -> int:
    found = 0
    for plane in array:
        found = zlib.crc32(np.ascontiguousarray(plane).data, found)
    return found
