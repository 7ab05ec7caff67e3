"""Two volumes laid onto each other, by SimpleITK."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

# ITK's own pool of threads may crash the interpreter at exit.
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import InputError
from ..task.volume import Volume
from .likeness import around, local_correlation, standing_out
from .place import Place, find_places, surroundings

_LONGEST = 96
"""Volumes are registered with at most so many voxels along an axis."""
_SMALLEST = 4
"""Fewer voxels along an axis cannot be smoothed."""
_WINDOW = 2.0
"""Of local correlations, in voxels that are registered."""
_ALIKE = 0.45
"""How alike the two are around what is carried, below which other places are tried."""
_ROOM = 0.75
"""What is bent lies around what is carried, wider on each side by this share of its longest side."""

_LOCAL = 6.0
"""Sigma of the surroundings from which a voxel stands out, in voxels that are registered."""
_FIELD_SIGMA = 1.25
"""Smoothness of the displacement field, in voxels."""
_SHORTEST = 16
"""Voxels along an axis that are left when it is shrunk."""
_STRETCH = 2.0
"""Most by which the affine part may change a size; more it does only where nothing is alike."""
_SEED = 1
"""Of the jitter of the points that are compared; without it ITK takes the time, and no run repeats another."""

Mask = NDArray[np.bool_]


class VolumeRegistration:
    """One volume laid onto another: affine by mutual information (Mattes), then Demons.

    The affine part starts from the volumes' centres; where what is carried does not come to lie among the like, it
    starts again from the places that look like its surroundings, and the best end is taken.

    Attributes:
        score: how alike the two are around what is carried, in [0, 1].

    Args:
        source: the volume that has something to carry over.
        target: the volume to carry it to.
        region: (K, J, I) where that is in the source; all of it by default.
        check: called now and then; raises to stop.
    """

    def __init__(
        self, source: Volume, target: Volume, region: Mask | None = None, check: Callable[[], None] = lambda: None
    ) -> None:
        self._source, self._target, self._check = source, target, check
        if min(target.array.shape) < _SMALLEST or min(source.array.shape) < _SMALLEST:
            raise InputError(f"A volume with fewer than {_SMALLEST} slices cannot be laid onto another; paint on it.")
        region = np.ones(source.array.shape, bool) if region is None else region
        moving, fixed = (_coarse(volume) for volume in (source, target))
        mark = _image(region.astype(np.float32), source.spacing)
        affine = _affine(fixed, moving, _centred(fixed, moving), check)
        score = _score(fixed, moving, mark, affine)
        if score < _ALIKE and not region.all():
            for place in find_places(source, region, target):
                for tried in self._at(place, fixed, moving, region):
                    if (own := _score(fixed, moving, mark, tried)) > score:
                        score, affine = own, tried
        fixed = self._room(affine, mark, fixed)
        laid = sitk.Resample(moving, fixed, affine, sitk.sitkLinear, float(sitk.GetArrayViewFromImage(moving).min()))
        field = _bend(fixed, laid, check)
        bend = sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))
        self._transform = sitk.CompositeTransform([affine, bend])
        self._fixed, self._moving = fixed, moving
        self.score = _score(fixed, moving, mark, self._transform)

    def carry(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Values on the source's voxels (K, J, I) → on the target's, linearly interpolated, 0 beyond the source."""
        image = _image(values.astype(np.float32), self._source.spacing)
        carried = sitk.Resample(image, _grid(self._target), self._transform, sitk.sitkLinear, 0.0)
        return sitk.GetArrayFromImage(carried)

    def likeness(self) -> NDArray[np.float32]:
        """(K, J, I) local correlation of the target with the source laid onto it, 0 where that is not registered."""
        image = sitk.GetImageFromArray(_likeness(self._fixed, self._moving, self._transform))
        image.CopyInformation(self._fixed)
        return sitk.GetArrayFromImage(sitk.Resample(image, _grid(self._target), sitk.Transform(), sitk.sitkLinear, 0.0))

    def _at(self, place: Place, fixed: Any, moving: Any, region: Mask) -> list[Any]:
        """The affine part at a place, and as it is registered from there on, by what lies around it."""
        start = sitk.AffineTransform(3)
        start.SetMatrix((np.eye(3) / place.scale).ravel().tolist())
        start.SetCenter(place.target[::-1])
        start.SetTranslation([s - t for s, t in zip(place.source[::-1], place.target[::-1], strict=True)])
        box = surroundings(region, self._source.spacing, _ROOM)
        sides = [
            (part.stop - part.start) * mm * place.scale for part, mm in zip(box, self._source.spacing, strict=True)
        ]
        near = _cropped(fixed, place.target, sides)
        if min(near.GetSize()) < _SMALLEST:
            return [start]
        try:
            moved = _affine(near, moving, sitk.AffineTransform(start), self._check)
            size = float(abs(np.linalg.det(np.reshape(moved.GetMatrix(), (3, 3))))) * place.scale**3
            return [start, moved] if 1 / _STRETCH < size < _STRETCH else [start]
        except InputError:  # hardly any of it overlaps
            return [start]

    def _room(self, affine: Any, mark: Any, fixed: Any) -> Any:
        """The part of the target in which what is carried may come to lie, as finely as can be; all of it if large."""
        there = sitk.GetArrayViewFromImage(sitk.Resample(mark, fixed, affine, sitk.sitkLinear, 0.0)) > 0.1
        if not there.any():
            return fixed
        box = surroundings(there, fixed.GetSpacing()[::-1], _ROOM)
        if np.prod([part.stop - part.start for part in box]) > 0.5 * there.size:
            return fixed
        steps = [mm / own for mm, own in zip(fixed.GetSpacing()[::-1], self._target.spacing, strict=True)]
        k, j, i = (
            slice(int(part.start * step), max(int(part.start * step) + _SMALLEST, int(part.stop * step)))
            for part, step in zip(box, steps, strict=True)
        )
        return _coarse(self._target, (k, j, i))


def _image(array: NDArray[Any], spacing: Sequence[float]) -> Any:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    return image


def _grid(volume: Volume) -> Any:
    grid = sitk.Image([int(n) for n in volume.array.shape[::-1]], sitk.sitkUInt8)
    grid.SetSpacing(volume.spacing[::-1])
    return grid


def _coarse(volume: Volume, box: tuple[slice, slice, slice] = (slice(None),) * 3) -> Any:
    """A box of the volume between its 1st and 99th percentile, as 0…1, with at most _LONGEST voxels along an axis."""
    array = volume.array[box].astype(np.float32)
    steps = [max(1, int(np.ceil(n / _LONGEST))) for n in array.shape]
    low, high = np.percentile(array[:: steps[0], :: steps[1], :: steps[2]], (1, 99))
    image = _image(np.clip((array - low) / (high - low or 1.0), 0, 1), volume.spacing)
    image.SetOrigin([(part.start or 0) * mm for part, mm in zip(box, volume.spacing, strict=True)][::-1])
    return sitk.BinShrink(image, steps[::-1]) if max(steps) > 1 else image


def _cropped(image: Any, centre: Sequence[float], sides: Sequence[float]) -> Any:
    """The part of an image around a point, mm in array order."""
    first, last = (
        image.TransformPhysicalPointToContinuousIndex(
            [c + sign * s / 2 for c, s in zip(centre, sides, strict=True)][::-1]
        )
        for sign in (-1, 1)
    )
    k = [
        slice(max(0, round(a)), max(0, min(n, round(b) + 1)))
        for a, b, n in zip(first, last, image.GetSize(), strict=True)
    ]
    return image[k[0], k[1], k[2]] if all(part.stop > part.start for part in k) else image[:1, :1, :1]


def _centred(fixed: Any, moving: Any) -> Any:
    geometry = sitk.CenteredTransformInitializerFilter.GEOMETRY
    return sitk.CenteredTransformInitializer(fixed, moving, sitk.AffineTransform(3), geometry)


def _likeness(fixed: Any, moving: Any, transform: Any) -> NDArray[np.float32]:
    laid = sitk.Resample(moving, fixed, transform, sitk.sitkLinear, 0.0)
    spacing = fixed.GetSpacing()[::-1]
    sigmas = [_WINDOW * min(spacing) / mm for mm in spacing]
    return local_correlation(sitk.GetArrayFromImage(fixed), sitk.GetArrayFromImage(laid), sigmas)


def _score(fixed: Any, moving: Any, mark: Any, transform: Any) -> float:
    """How alike the images are where the marked part comes to lie and close by, in [0, 1]: squared correlation, the
    mean of the local one and that of all of it; 0 where it leaves the target."""
    share = sitk.GetArrayFromImage(sitk.Resample(mark, fixed, transform, sitk.sitkLinear, 0.0))
    if not (share > 0.5).any():
        return 0.0
    spacing = fixed.GetSpacing()[::-1]
    near = around(share > 0.5, [round(2 * _WINDOW * min(spacing) / mm) for mm in spacing])
    laid = sitk.GetArrayFromImage(sitk.Resample(moving, fixed, transform, sitk.sitkLinear, 0.0))[near]
    there = sitk.GetArrayFromImage(fixed)[near]
    spread = float(laid.std() * there.std())
    whole = float(((laid - laid.mean()) * (there - there.mean())).mean()) ** 2 / spread**2 if spread > 0 else 0.0
    return (float(_likeness(fixed, moving, transform)[near].mean()) + whole) / 2


def _affine(fixed: Any, moving: Any, start: Any, check: Callable[[], None]) -> Any:
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
    # Sums over threads do not repeat to the last bit; what is built on them has to.
    start.SetParameters([round(value, 8) for value in start.GetParameters()])
    return start


def _bend(fixed: Any, moving: Any, check: Callable[[], None]) -> Any:
    """Displacement field that pulls ``moving`` onto ``fixed``, coarse to fine, by what stands out locally.

    Intensities over their local mean and spread are the same in both whatever the scanner and the coil: Demons, which
    compares them one by one, then gains .03 Dice from one patient to another over matched histograms.
    """
    images = [_standing_out(image) for image in (fixed, moving)]
    field = None
    for shrink in (2, 1):
        steps = [max(1, min(shrink, n // _SHORTEST)) for n in fixed.GetSize()]
        pair = [sitk.BinShrink(image, steps) if max(steps) > 1 else image for image in images]
        demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfIterations(40)
        demons.SetStandardDeviations(_FIELD_SIGMA)
        demons.SetSmoothDisplacementField(True)
        if field is not None:
            pair.append(sitk.Resample(field, pair[0], sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkVectorFloat64))
        field = _run(demons, check, demons.Abort, *pair)
    return field


def _standing_out(image: Any) -> Any:
    spacing = image.GetSpacing()[::-1]
    sigmas = [_LOCAL * min(spacing) / mm for mm in spacing]
    made = sitk.GetImageFromArray(standing_out(sitk.GetArrayFromImage(image), sigmas))
    made.CopyInformation(image)
    return made


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
