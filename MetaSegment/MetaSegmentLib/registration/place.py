"""Where in another volume a part of a volume may lie, before anything is registered: template matching, several scales.

A scan of the pelvis may hold what was painted on a scan of the whole body, and the reverse; a registration that starts
from the volumes' centres would then end anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude, maximum_filter, zoom
from scipy.signal import fftconvolve

from ..task.volume import Volume

Point = tuple[float, float, float]

_SCALES = (0.85, 1.0, 1.18)
"""How large what is looked for may be, over what it was."""
_LATTICE = 14
"""Samples along the longest side of what is looked for."""
_MOST_SAMPLES = 120
"""Samples along a side of the volume that is searched, at most."""
_SURROUNDINGS = 0.5
"""What lies around a structure says where it is: so much of its longest side is looked for too, on each side."""
_PLACES = 3


@dataclass(frozen=True)
class Place:
    """Where something may lie.

    Attributes:
        source, target: its centre in the one volume and in the other, mm along the array axes from the first voxel.
        scale: its size in the target over that in the source.
        score: normalised cross-correlation, at most 1.
    """

    source: Point
    target: Point
    scale: float
    score: float


def find_places(source: Volume, region: NDArray[np.bool_], target: Volume) -> list[Place]:
    """The places in ``target`` that look most like the surroundings of ``region``, best first; at most three.

    Args:
        region: (K, J, I), not empty, on the voxels of ``source``.
    """
    box = surroundings(region, source.spacing, _SURROUNDINGS)
    extent = [(part.stop - part.start) * mm for part, mm in zip(box, source.spacing, strict=True)]
    centre = tuple((part.start + part.stop - 1) / 2 * mm for part, mm in zip(box, source.spacing, strict=True))
    longest = max(n * mm for n, mm in zip(target.array.shape, target.spacing, strict=True))
    sample = max(max(extent) / _LATTICE, longest / _MOST_SAMPLES)
    searched = _sampled(target.array, target.spacing, sample)
    found = []
    for scale in _SCALES:
        template = _sampled(source.array[box], source.spacing, sample / scale)
        score = _likeness(searched, template)
        for index in _peaks(score, template.shape):
            middle = tuple(i - 0.5 * (1 - side % 2) for i, side in zip(index, template.shape, strict=True))
            where = tuple((i + 0.5) * n * mm / m - 0.5 * mm for i, n, mm, m in _axes(middle, target, searched.shape))
            found.append(Place(_point(centre), _point(where), scale, float(score[index])))
    return _apart(sorted(found, key=lambda place: -place.score), 0.25 * max(extent))


def surroundings(region: NDArray[np.bool_], spacing: Point, share: float) -> tuple[slice, slice, slice]:
    """The box around a region, wider on each side by a share of its longest side."""
    spans = [np.flatnonzero(region.any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    longest = max((span[-1] + 1 - span[0]) * mm for span, mm in zip(spans, spacing, strict=True))
    k, j, i = (
        slice(max(0, int(span[0]) - round(share * longest / mm)), int(span[-1]) + 1 + round(share * longest / mm))
        for span, mm in zip(spans, spacing, strict=True)
    )
    return _within(k, region, 0), _within(j, region, 1), _within(i, region, 2)


def _within(part: slice, region: NDArray[np.bool_], axis: int) -> slice:
    return slice(part.start, min(part.stop, region.shape[axis]))


def _point(values: Sequence[float]) -> Point:
    k, j, i = values
    return float(k), float(j), float(i)


def _axes(index: tuple[float, ...], target: Volume, shape: tuple[int, ...]) -> Iterator[tuple[float, int, float, int]]:
    return zip(index, target.array.shape, target.spacing, shape, strict=True)


def _sampled(array: NDArray[Any], spacing: Point, sample: float) -> NDArray[np.float32]:
    """The array at ``sample`` mm a voxel, at least two along an axis; smoothed first where it gets coarser."""
    shape = [max(2, round(n * mm / sample)) for n, mm in zip(array.shape, spacing, strict=True)]
    sigmas = [max(0.0, 0.5 * (n / m - 1)) for n, m in zip(array.shape, shape, strict=True)]
    smooth = gaussian_filter(array.astype(np.float32), sigmas)
    factors = [m / n for n, m in zip(array.shape, shape, strict=True)]
    return np.asarray(zoom(smooth, factors, order=1, grid_mode=True, mode="nearest"), np.float32)


def _likeness(searched: NDArray[np.float32], template: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normalised cross-correlation at each place of the template's centre: half of intensities, half of edges."""
    plain = _correlation(searched, template)
    edges = _correlation(gaussian_gradient_magnitude(searched, 1.0), gaussian_gradient_magnitude(template, 1.0))
    return np.asarray((plain + edges) / 2, np.float32)


def _correlation(searched: NDArray[np.float32], template: NDArray[np.float32]) -> NDArray[np.float64]:
    half = [(n // 2, n - n // 2 - 1) for n in template.shape]
    padded = np.pad(searched.astype(np.float64), half, mode="edge")
    pattern = template.astype(np.float64) - template.mean()
    window = np.ones(template.shape)
    sums = fftconvolve(padded, window, "valid")
    squares = fftconvolve(padded**2, window, "valid")
    spread = np.sqrt(np.clip(squares - sums**2 / window.size, 0, None))
    floor = 0.05 * float(searched.std()) * np.sqrt(window.size) + 1e-12
    matched = fftconvolve(padded, pattern[::-1, ::-1, ::-1], "valid")
    return np.asarray(matched / (np.maximum(spread, floor) * (np.linalg.norm(pattern) + 1e-12)), np.float64)


def _peaks(score: NDArray[np.float32], shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Local maxima, best first."""
    top = (maximum_filter(score, size=tuple(max(3, n // 2) for n in shape)) == score) & (score > 0)
    where = np.argwhere(top)
    best = sorted(where.tolist(), key=lambda index: -float(score[tuple(index)]))[:_PLACES]
    return [tuple(int(i) for i in index) for index in best]


def _apart(places: list[Place], distance: float) -> list[Place]:
    """The first ones that lie apart."""
    kept: list[Place] = []
    for place in places:
        steps = [np.subtract(place.target, other.target) for other in kept]
        if all(np.linalg.norm(step) >= distance for step in steps):
            kept.append(place)
    return kept[:_PLACES]
