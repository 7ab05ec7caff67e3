"""Structures without labels: supervoxels of an image, alone or a few neighbouring ones of like intensity.

SLIC (Achanta et al., PAMI 2012; in 3D by Lowekamp et al., Insight Journal 2018) as pseudo-labels for few-shot learning
(ALPNet, Ouyang et al., PAMI 2022; supervoxels in ADNet, Hansen et al., Medical Image Analysis 2022). Any volume gives
structures of every size whose borders follow the image, where people have labelled only a few organs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

# ITK's own pool of threads may crash the interpreter at exit.
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, label
from torch.nn.functional import interpolate

Random = np.random.Generator

_SMALLEST, _LARGEST = 9.0, 44.0
"""Diameter of a supervoxel, in voxels of the finest spacing."""
_REACH = 2.0
"""The part that is looked at goes so many diameters to each side of its centre."""
_LONGEST = 48
"""It is clustered with at most so many voxels along an axis; the structure's outline is on the full grid."""
_AIR = 0.05
"""Share of the image's range that counts as air."""
_ITERATIONS = 4
_MOST_NEIGHBOURS = 4


def supervoxel_structure(
    image: NDArray[Any], spacing: Sequence[float], random: Random
) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
    """A part of an image and a structure in it.

    Args:
        image: (K, J, I).
        spacing: mm in array order; supervoxels are about as wide in mm along every axis.

    Returns:
        The part (k, j, i) and the structure's mask in it, or None where there is nothing to see.
    """
    extent = min(n * mm for n, mm in zip(image.shape, spacing, strict=True))
    diameter = np.exp(random.uniform(np.log(_SMALLEST), np.log(_LARGEST))) * min(spacing)
    diameter = min(diameter, extent / 3)
    width = [max(diameter / mm, 2.0) for mm in spacing]
    centre, air = _somewhere(image, random)
    box = tuple(slice(max(int(c - _REACH * w), 0), int(c + _REACH * w) + 1) for c, w in zip(centre, width, strict=True))
    part = np.asarray(image[box], np.float32)
    steps = [max(1, -(-n // _LONGEST)) for n in part.shape]
    small = gaussian_filter(part, [random.uniform(0.4, 0.9) * s for s in steps], truncate=2)
    small = small[tuple(slice(None, None, s) for s in steps)]
    low, high = np.percentile(small, (1, 99))
    if high <= low or min(small.shape) < 4:
        return None
    small = np.clip((small - low) / (high - low), 0, 1)
    grid = [max(2, round(w / s)) for w, s in zip(width, steps, strict=True)]
    cut = [(b.start > 0, b.stop < n) for b, n in zip(box, image.shape, strict=True)]
    chosen = _chosen(_slic(small, grid, random), small, grid, cut, (air - low) / (high - low), random)
    if chosen is None:
        return None
    mask = _outline(chosen, part.shape)
    return (part, mask) if mask.any() else None


def _somewhere(image: NDArray[Any], random: Random) -> tuple[tuple[int, ...], float]:
    """A voxel that is brighter than a random quantile up to the middle, and the value below which there is air."""
    step = [max(1, n // 48) for n in image.shape]
    coarse = image[tuple(slice(None, None, s) for s in step)]
    bright = np.argwhere(coarse > np.quantile(coarse, random.uniform(0, 0.6)))
    low, high = (float(value) for value in np.percentile(coarse, (1, 99)))
    air = low + _AIR * (high - low)
    if not len(bright):
        return tuple(n // 2 for n in image.shape), air
    chosen = bright[int(random.integers(len(bright)))]
    return tuple(int(c) * s for c, s in zip(chosen, step, strict=True)), air


def _slic(image: NDArray[np.float32], grid: Sequence[int], random: Random) -> NDArray[np.uint32]:
    """Supervoxels of an image in [0, 1], begun on a grid of so many voxels (k, j, i)."""
    slic = sitk.SLICImageFilter()
    slic.SetNumberOfThreads(1)  # many processes make tasks at the same time
    slic.SetMaximumNumberOfIterations(_ITERATIONS)
    slic.SetSuperGridSize([int(n) for n in reversed(grid)])
    # Low weights let supervoxels follow the image at the price of ragged shapes.
    slic.SetSpatialProximityWeight(float(np.exp(random.uniform(np.log(0.05), np.log(0.3)))))
    slic.EnforceConnectivityOn()
    return sitk.GetArrayFromImage(slic.Execute(sitk.GetImageFromArray(image)))


def _chosen(
    labels: NDArray[np.uint32],
    image: NDArray[np.float32],
    grid: Sequence[int],
    cut: Sequence[tuple[bool, bool]],
    air: float,
    random: Random,
) -> NDArray[np.bool_] | None:
    """A whole supervoxel and, half of the time, one to four neighbours that are most like it.

    Those that stand out from what is around them are drawn more often, those below ``air`` never, nor those that go on
    beyond the part: ``cut`` holds by axis whether the image does so at the part's first and last face.
    """
    flat = labels.ravel()
    counts = np.maximum(np.bincount(flat), 1)
    means = np.bincount(flat, image.ravel()) / counts
    surroundings = gaussian_filter(image, [n / 2 for n in grid], truncate=2)
    contrast = np.abs(means - np.bincount(flat, surroundings.ravel()) / counts)
    contrast[means < air] = 0
    for axis in range(3):
        for face, open_ended in zip((0, -1), cut[axis], strict=True):
            if open_ended:
                contrast[np.unique(labels.take(face, axis))] = 0
    if contrast.sum() <= 0:
        return None
    first = int(random.choice(len(contrast), p=contrast / contrast.sum()))
    mask = np.asarray(labels == first)
    for _ in range(int(random.integers(1, _MOST_NEIGHBOURS + 1)) if random.random() < 0.5 else 0):
        around = np.unique(labels[binary_dilation(mask) & ~mask])
        around = around[contrast[around] > 0]
        if not len(around):
            break
        mask |= labels == around[int(np.abs(means[around] - image[mask].mean()).argmin())]
    return mask


def _outline(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The largest connected piece, smoothed as a person's outline is, on the full grid."""
    soft = gaussian_filter(mask.astype(np.float32), 0.7, truncate=2)
    soft = interpolate(torch.from_numpy(soft)[None, None], shape, mode="trilinear")[0, 0].numpy()
    pieces, count = label(soft > 0.5)
    if count == 0:
        return np.zeros(shape, bool)
    return np.asarray(pieces == 1 + np.bincount(pieces.ravel())[1:].argmax())
