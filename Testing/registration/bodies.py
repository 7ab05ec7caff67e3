"""Small made-up patients: a body with two organs in it, each of another size and place, under another contrast."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

SHAPE = (20, 36, 40)
SPACING = (2.0, 1.0, 1.0)


def a_patient(seed: int, shift=(0, 0, 0), size: float = 1.0, gain: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(K, J, I) image and labels 1 and 2."""
    k, j, i = np.indices(SHAPE).astype(np.float32)
    k, j, i = k - 10 - shift[0], j - 18 - shift[1], i - 20 - shift[2]
    body = ((k / 10) ** 2 + (j / 16) ** 2 + (i / 18) ** 2) < 1
    labels = np.zeros(SHAPE, np.uint8)
    labels[((k / (5 * size)) ** 2 + (j / (8 * size)) ** 2 + ((i + 7) / (6 * size)) ** 2) < 1] = 1
    labels[((k / (4 * size)) ** 2 + (j / (5 * size)) ** 2 + ((i - 9) / (5 * size)) ** 2) < 1] = 2
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), 1)
    image = 40.0 * body + 60 * (labels == 1) - 30 * (labels == 2) + 20 * noise
    return (gain * image + 100).astype(np.float32), labels


def painted(labels: np.ndarray, slices=(7, 10, 13)) -> np.ndarray:
    paint = np.zeros_like(labels)
    paint[list(slices)] = labels[list(slices)]
    return paint


def something_else(seed: int) -> np.ndarray:
    """(K, J, I) an image of nothing of that kind."""
    rng = np.random.default_rng(seed)
    return np.asarray(100 * gaussian_filter(rng.standard_normal(SHAPE), 3) + rng.standard_normal(SHAPE), np.float32)
