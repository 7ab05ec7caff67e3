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

INSIDE, OUTSIDE = 1, 2
# Grow from seeds compares short integers, so every image is spread over this many grey values.
GREY_VALUES = 2000


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
    """Slicer's *Grow from seeds* (``vtkImageGrowCutSegment``); (K, J, I).

    The structure is one seed; everything around it on the painted slices, and the whole of the slice half a gap past
    either end, is the other.

    Args:
        image: (K, J, I) real.
        mask: (K, J, I).
        painted: ascending indices along axis 0, each with some of the structure.
        spacing: mm, in array order.
        margin: voxels in the plane, around all painted contours, to which the work is confined.
    """
    slicer = require_slicer()
    seeds = np.zeros(mask.shape, np.int16)
    seeds[painted] = np.where(mask[painted], INSIDE, OUTSIDE)
    past = max(2, int(np.ceil(np.diff(painted).mean() / 2))) if len(painted) > 1 else 3
    first, last = max(painted[0] - past, 0), min(painted[-1] + past, len(mask) - 1)
    for end in {first, last}.difference(painted):
        seeds[end] = OUTSIDE

    rows, columns = np.nonzero(mask[painted].any(axis=0))
    box = (slice(first, last + 1), _with_margin(rows, margin), _with_margin(columns, margin))
    grey = image[box]
    grey = np.clip((grey - grey.min()) / (np.ptp(grey) + 1e-9) * GREY_VALUES, 0, GREY_VALUES).astype(np.int16)

    grow = slicer.vtkImageGrowCutSegment()
    grow.SetIntensityVolume(_to_vtk(grey, spacing))
    grow.SetSeedLabelVolume(_to_vtk(seeds[box], spacing))
    grow.Update()
    grown = np.zeros(mask.shape, bool)
    grown[box] = _to_numpy(grow.GetOutput()) == INSIDE
    return grown


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
