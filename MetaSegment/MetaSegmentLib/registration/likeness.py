"""How alike two images are, voxel by voxel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter

Field = NDArray[np.float32]


def local_correlation(first: Field, second: Field, sigmas: Sequence[float]) -> Field:
    """(K, J, I) squared correlation of two images in a Gaussian window around each voxel, in [0, 1].

    0 where both are even, and where one is light as the other is dark.
    """

    def smooth(values: Field) -> Field:
        return np.asarray(gaussian_filter(values, sigmas, truncate=2.5), np.float32)

    means = smooth(first), smooth(second)
    spreads = [
        np.clip(smooth(one * one) - mean * mean, 0, None) for one, mean in zip((first, second), means, strict=True)
    ]
    shared = smooth(first * second) - means[0] * means[1]
    floor = 1e-3 * float(first.std()) * float(second.std()) + 1e-12
    return np.asarray(np.clip(shared * np.abs(shared) / (spreads[0] * spreads[1] + floor**2), 0, 1), np.float32)


def standing_out(image: Field, sigmas: Sequence[float]) -> Field:
    """(K, J, I) intensities over their mean and spread in a Gaussian window around each voxel, within ±3."""
    mean = gaussian_filter(image, sigmas)
    spread = np.sqrt(np.clip(gaussian_filter(image * image, sigmas) - mean * mean, 0, None))
    return np.asarray(np.clip((image - mean) / (spread + 0.05 * image.std() + 1e-6), -3, 3), np.float32)


def around(region: NDArray[np.bool_], steps: Sequence[int]) -> NDArray[np.bool_]:
    """A region and what lies within so many voxels of it along each axis."""
    wide = region
    for axis, count in enumerate(steps):
        if count:
            shape = [1, 1, 1]
            shape[axis] = 2 * count + 1
            wide = np.asarray(binary_dilation(wide, np.ones(shape, bool)))
    return wide
