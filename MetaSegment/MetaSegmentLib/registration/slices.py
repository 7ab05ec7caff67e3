"""Neighbouring slices of one volume laid onto each other, by SimpleITK."""

from __future__ import annotations

import os

# ITK's own pool of threads may crash the interpreter at exit.
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""(2, rows, columns): where to look in the source, as an offset in pixels (rows first)."""

_ITERATIONS = 12
_FIELD_SIGMA = 1.5
_UPDATE_SIGMA = 1.0


def slice_field(source: NDArray[np.float32], target: NDArray[np.float32]) -> Field:
    """Field that pulls one slice onto another, by symmetric-forces Demons (Vercauteren et al., NeuroImage 2009)."""
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfThreads(1)  # one slice is too small to share, and one thread repeats to the last bit
    demons.SetNumberOfIterations(_ITERATIONS)
    demons.SetStandardDeviations(_FIELD_SIGMA)
    demons.SetSmoothDisplacementField(True)
    demons.SetSmoothUpdateField(True)
    demons.SetUpdateFieldStandardDeviations(_UPDATE_SIGMA)
    # The array is a copy: a view would outlive the image that the filter returns.
    field = sitk.GetArrayFromImage(demons.Execute(sitk.GetImageFromArray(target), sitk.GetImageFromArray(source)))
    return np.stack([field[..., 1], field[..., 0]]).astype(np.float32)
