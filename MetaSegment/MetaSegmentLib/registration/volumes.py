"""Two volumes laid onto each other, by SimpleITK."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

# ITK's own pool of threads may crash the interpreter at exit.
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import InputError
from ..task.volume import Volume

_LONGEST = 96
"""Volumes are registered with at most so many voxels along an axis."""
_SEED = 1
"""Of the points that are compared: by default the clock would choose others each time."""
_SMALLEST = 4
"""Fewer voxels along an axis cannot be smoothed."""


class VolumeRegistration:
    """One volume laid onto another: affine by mutual information (Mattes), then Demons.

    Args:
        source: the volume that has something to carry over.
        target: the volume to carry it to.
        check: called now and then; raises to stop.
    """

    def __init__(self, source: Volume, target: Volume, check: Callable[[], None] = lambda: None) -> None:
        self._source, self._target = source, target
        if min(target.array.shape) < _SMALLEST or min(source.array.shape) < _SMALLEST:
            raise InputError(f"A volume with fewer than {_SMALLEST} slices cannot be laid onto another; paint on it.")
        moving, fixed = (_coarse(volume) for volume in (source, target))
        affine = _affine(fixed, moving, check)
        laid = sitk.Resample(moving, fixed, affine, sitk.sitkLinear, float(sitk.GetArrayViewFromImage(moving).min()))
        field = _bend(fixed, laid, check)
        bend = sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))
        self._transform = sitk.CompositeTransform([affine, bend])

    def carry(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Values on the source's voxels (K, J, I) → on the target's, linearly interpolated, 0 beyond the source."""
        image = _image(values.astype(np.float32), self._source.spacing)
        carried = sitk.Resample(image, _grid(self._target), self._transform, sitk.sitkLinear, 0.0)
        return sitk.GetArrayFromImage(carried)


def _image(array: NDArray[Any], spacing: tuple[float, float, float]) -> Any:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    return image


def _grid(volume: Volume) -> Any:
    grid = sitk.Image([int(n) for n in volume.array.shape[::-1]], sitk.sitkUInt8)
    grid.SetSpacing(volume.spacing[::-1])
    return grid


def _coarse(volume: Volume) -> Any:
    """The volume between its 1st and 99th percentile, as 0…1, with at most _LONGEST voxels along an axis."""
    steps = [max(1, int(np.ceil(n / _LONGEST))) for n in volume.array.shape]
    array = volume.array.astype(np.float32)
    low, high = np.percentile(array[:: steps[0], :: steps[1], :: steps[2]], (1, 99))
    image = _image(np.clip((array - low) / (high - low or 1.0), 0, 1), volume.spacing)
    return sitk.BinShrink(image, steps[::-1]) if max(steps) > 1 else image


def _affine(fixed: Any, moving: Any, check: Callable[[], None]) -> Any:
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.AffineTransform(3), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.2, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 60)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1] if min(fixed.GetSize()) >= 16 else [1])
    method.SetSmoothingSigmasPerLevel([2, 1] if min(fixed.GetSize()) >= 16 else [1])
    method.SetInitialTransform(start, inPlace=True)
    _run(method, check, method.StopRegistration, fixed, moving)
    return start


def _bend(fixed: Any, moving: Any, check: Callable[[], None]) -> Any:
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfIterations(40)
    demons.SetStandardDeviations(2.0)
    demons.SetSmoothDisplacementField(True)
    return _run(demons, check, demons.Abort, fixed, sitk.HistogramMatching(moving, fixed, 64, 7))


def _run(process: Any, check: Callable[[], None], stop: Callable[[], object], *inputs: Any) -> Any:
    """Execute, polling ``check`` at every iteration. SimpleITK must not see an exception from a callback."""
    raised: list[BaseException] = []

    def poll() -> None:
        try:
            if not raised:
                check()
        except BaseException as error:
            raised.append(error)
            stop()

    process.AddCommand(sitk.sitkIterationEvent, poll)
    try:
        result = process.Execute(*inputs)
    except RuntimeError as error:
        if raised:
            raise raised[0] from None
        raise InputError(
            "The two volumes could not be laid onto each other; paint on the other one instead."
        ) from error
    if raised:
        raise raised[0]
    return result
