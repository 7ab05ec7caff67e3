"""What Slicer itself makes of a few painted slices, through its own classes, and the textbook interpolation.

All take boolean (K, J, I) masks painted along axis 0; whoever has another slice axis moves it to the front.
Only ``mask[painted]`` is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DependencyError

Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]

INSIDE, OUTSIDE = 1, 2
# Grow from seeds compares short integers, so every image is spread over this many grey values.
GREY_VALUES = 2000
# Pixels over which the average is soft: along the slices not at all.
_SOFT = (0.0, 0.7, 0.7)


def require_slicer() -> Any:
    """Slicer's package.

    Raises:
        DependencyError: it is not installed.
    """
    # ITK's default pool of threads may crash the interpreter at exit after the contour interpolator.
    os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")
    try:
        import slicer
    except ImportError as error:
        raise DependencyError(
            "Slicer's own tools need Slicer or the package slicer-core; install it with 'pip install slicer-core'."
        ) from error
    return slicer


def fill_between_slices(mask: Mask, painted: Sequence[int]) -> Mask:
    """Slicer's *Fill between slices* (``vtkITKMorphologicalContourInterpolator``); (K, J, I)."""
    slicer = require_slicer()
    contours = np.zeros(mask.shape, np.int16)
    contours[painted] = mask[painted]
    interpolator = slicer.vtkITKMorphologicalContourInterpolator()
    interpolator.SetInputData(_to_vtk(contours))
    interpolator.Update()
    return _to_numpy(interpolator.GetOutput()) > 0


def grow_from_seeds(
    image: NDArray[Any],
    mask: Mask,
    painted: Sequence[int],
    spacing: Sequence[float],
    margin: int = 12,
) -> Mask:
    """Slicer's *Grow from seeds* (``vtkImageGrowCutSegment``), from :func:`make_seeds`; (K, J, I).

    Args:
        image: (K, J, I) real.
        mask: (K, J, I).
        painted: ascending indices along axis 0, each with some of the structure.
        spacing: mm, in array order.
        margin: voxels in the plane, around all painted contours, to which the work is confined.
    """
    slicer = require_slicer()
    seeds, box = make_seeds(mask, painted, margin)
    grey = image[box]
    grey = np.clip((grey - grey.min()) / (np.ptp(grey) + 1e-9) * GREY_VALUES, 0, GREY_VALUES).astype(np.int16)

    grow = slicer.vtkImageGrowCutSegment()
    grow.SetIntensityVolume(_to_vtk(grey, spacing))
    grow.SetSeedLabelVolume(_to_vtk(seeds, spacing))
    grow.Update()
    grown = np.zeros(mask.shape, bool)
    grown[box] = _to_numpy(grow.GetOutput()) == INSIDE
    return grown


def make_seeds(mask: Mask, painted: Sequence[int], margin: int) -> tuple[NDArray[np.int16], Box]:
    """What a careful user would set: seeds INSIDE and OUTSIDE in a box of the volume, and that box.

    The structure is one seed; everything around it on the painted slices, and the whole of the slice half a gap past
    either end, is the other.
    """
    seeds = np.zeros(mask.shape, np.int16)
    seeds[painted] = np.where(mask[painted], INSIDE, OUTSIDE)
    past = max(2, int(np.ceil(np.diff(painted).mean() / 2))) if len(painted) > 1 else 3
    first, last = max(painted[0] - past, 0), min(painted[-1] + past, len(mask) - 1)
    for end in {first, last}.difference(painted):
        seeds[end] = OUTSIDE
    rows, columns = np.nonzero(mask[painted].any(axis=0))
    box = (slice(first, last + 1), _with_margin(rows, margin), _with_margin(columns, margin))
    return seeds[box], box


def signed_distance_interpolation(mask: Mask, painted: Sequence[int]) -> Mask:
    """Linear interpolation of the signed distance to the contour (Raya and Udupa, 1990); (K, J, I).

    Not in Slicer; it ends at the first and the last painted slice.
    """
    from scipy.ndimage import distance_transform_edt

    filled = np.zeros(mask.shape, bool)
    distance = {index: distance_transform_edt(mask[index]) - distance_transform_edt(~mask[index]) for index in painted}
    for below, above in pairwise(painted):
        for index in range(below, above + 1):
            weight = (index - below) / (above - below)
            filled[index] = (1 - weight) * distance[below] + weight * distance[above] > 0
    return filled


def average(
    image: NDArray[Any], mask: Mask, painted: Sequence[int], spacing: Sequence[float], margin: int = 12
) -> Mask:
    """The simplest combination: interpolation whose ends shrink to nothing over one gap, averaged with Grow; (K, J, I).

    Both are soft over about a pixel, so that each gives way where the other is sure: the structure is where
    σ(d / s) + G_s * grown > 1, with the interpolated signed distance d, in pixels, and a Gaussian G_s in the plane.
    Of several such averages (of signed distances, of votes) this was the strongest on held-out training volumes.
    Arguments as for :func:`grow_from_seeds`.
    """
    from scipy.ndimage import gaussian_filter
    from scipy.special import expit

    rows, columns = np.nonzero(mask[painted].any(axis=0))
    box = (slice(None), _with_margin(rows, margin), _with_margin(columns, margin))
    grown = gaussian_filter(grow_from_seeds(image, mask, painted, spacing, margin)[box].astype(np.float32), _SOFT)
    combined = np.zeros(mask.shape, bool)
    combined[box] = expit(shrinking_interpolation(mask[box], painted) / _SOFT[1]) + grown > 1
    return combined


def shrinking_interpolation(mask: Mask, painted: Sequence[int]) -> NDArray[np.float32]:
    """Interpolated signed distance in pixels, (K, J, I), positive inside; one gap beyond either end nothing is left.

    There stands the outermost signed distance less its maximum and one.
    """
    distance = {index: _signed_distance(mask[index]) for index in painted}
    first, last = painted[0], painted[-1]
    gap = max((above - below for below, above in pairwise(painted)), default=3)
    ends = {first - gap: distance[first], last + gap: distance[last]}
    distance |= {index: outermost - outermost.max() - 1 for index, outermost in ends.items()}
    interpolated = np.full(mask.shape, -float(max(mask.shape)), np.float32)
    for below, above in pairwise(sorted(distance)):
        for index in range(max(below, 0), min(above, len(mask) - 1) + 1):
            weight = (index - below) / (above - below)
            interpolated[index] = (1 - weight) * distance[below] + weight * distance[above]
    return interpolated


def _signed_distance(mask: Mask) -> NDArray[np.float32]:
    from scipy.ndimage import distance_transform_edt

    inside, outside = distance_transform_edt(mask), distance_transform_edt(~mask)
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)


def _with_margin(indices: NDArray[np.intp], margin: int) -> slice:
    return slice(max(int(indices.min()) - margin, 0), int(indices.max()) + margin + 1)


def _to_vtk(array: NDArray[np.int16], spacing: Sequence[float] = (1.0, 1.0, 1.0)) -> Any:
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    image = require_slicer().vtkOrientedImageData()
    image.SetDimensions(array.shape[::-1])
    image.SetSpacing([float(step) for step in spacing[::-1]])
    image.AllocateScalars(vtk.VTK_SHORT, 1)
    vtk_to_numpy(image.GetPointData().GetScalars()).reshape(array.shape)[:] = array
    return image


def _to_numpy(image: Any) -> NDArray[Any]:
    from vtk.util.numpy_support import vtk_to_numpy

    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1]).copy()
