"""Images without patients: label maps rendered with random intensities, random shapes, and lesions put into scans.

After SynthSeg (Billot et al., Medical Image Analysis 2023) and anatomix (Dey et al., 2024): every label gets a random
mean and spread. Bias field, noise and coarse resolution come later, as for every image: see :mod:`scanner`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

Random = np.random.Generator
_SHAPES_SIZE = (64, 96, 96)


def smooth_noise(shape: tuple[int, ...], scale: float, random: Random) -> NDArray[np.float32]:
    """A random field with about unit spread whose bumps measure ``scale`` voxels."""
    coarse = [max(int(np.ceil(n / scale)) + 3, 4) for n in shape]
    field = random.standard_normal(coarse).astype(np.float32)
    grown = zoom(field, [(n + 1) / (c - 2) for n, c in zip(shape, coarse, strict=True)], order=1)
    return grown[tuple(slice(0, n) for n in shape)]


def render(labels: NDArray[Any], random: Random) -> NDArray[np.float32]:
    """An image of a label map: (K, J, I) float32, roughly within [0, 1]."""
    count = int(labels.max()) + 1
    means = random.random(count, dtype=np.float32)
    spreads = 0.12 * random.random(count, dtype=np.float32)
    image, spread = means[labels], spreads[labels]
    image += spread * random.standard_normal(labels.shape, dtype=np.float32)
    if random.random() < 0.5:
        image += spread * 2 * smooth_noise(labels.shape, random.uniform(3, 10), random)
    return gaussian_filter(image, random.uniform(0.3, 1.3), truncate=3)


def random_shapes(random: Random) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Labels and image of a space full of bent ellipsoids and tubes, (64, 96, 96)."""
    shape = _SHAPES_SIZE
    bend = [random.uniform(2, 7) * smooth_noise(shape, random.uniform(14, 30), random) for _ in shape]
    grid = [axis + b for axis, b in zip(np.indices(shape, dtype=np.float32), bend, strict=True)]
    labels = np.zeros(shape, np.uint8)
    for value in range(1, int(random.integers(4, 10))):
        centre = [random.uniform(0.25, 0.75) * n for n in shape]
        rotation = np.linalg.qr(random.standard_normal((3, 3)))[0]
        radii = random.uniform(6, 22, 3)
        if random.random() < 0.25:
            radii[0] *= 3  # a tube
            radii[1:] *= 0.6
        offset = np.stack([g - c for g, c in zip(grid, centre, strict=True)], axis=-1) @ rotation
        distance = np.sqrt(((offset / radii) ** 2).sum(-1))
        labels[distance < 1] = value
        if random.random() < 0.25:
            labels[distance < random.uniform(0.4, 0.7)] = 0 if random.random() < 0.5 else max(value - 1, 1)
    if labels.max() == 0:
        return random_shapes(random)
    return labels, render(labels, random)


def lesion(image: NDArray[Any], random: Random) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A scan with a lesion put in, cropped around it, and the lesion's mask."""
    half = (28, 40, 40)
    inside = np.argwhere(image[::4, ::4, ::4] > np.percentile(image[::4, ::4, ::4], 60)) * 4
    centre = inside[int(random.integers(len(inside)))]
    box = tuple(slice(max(int(c) - h, 0), int(c) + h) for c, h in zip(centre, half, strict=True))
    part = image[box].astype(np.float32)
    place = [int(c) - b.start for c, b in zip(centre, box, strict=True)]
    radii = random.uniform(5, 18, 3)
    bent = [
        (axis - p + random.uniform(1, 6) * smooth_noise(part.shape, random.uniform(6, 16), random)) / r
        for axis, p, r in zip(np.indices(part.shape, dtype=np.float32), place, radii, strict=True)
    ]
    mask = np.asarray(sum(b * b for b in bent) < 1)
    spread = float(part.std()) + 1e-6
    shift = random.choice([-1, 1]) * random.uniform(0.4, 1.8) * spread
    texture = random.uniform(0, 0.4) * spread * smooth_noise(part.shape, random.uniform(2, 6), random)
    soft = gaussian_filter(mask.astype(np.float32), random.uniform(0.5, 1.2))
    return part + soft * (shift + texture), mask
