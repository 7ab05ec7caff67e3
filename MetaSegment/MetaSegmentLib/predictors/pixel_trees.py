"""A classifier of pixels, trained on the painted slices while the user waits.

Gradient-boosted trees (scikit-learn's histogram implementation) on intensities, their Gaussian scale space and the
position. Trees do not extrapolate, which is what makes position safe as a feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, sobel

from ..task.frame import GRID, Region, Stack

_TREES = 40
_RATE = 0.15
_SAMPLES = 8000
_LOGIT_LIMIT = 8.0
_SCALES = (1.0, 2.0, 4.0, 8.0)


class PixelClassifier:
    """Expert: boosted trees on the painted slices.

    Pixels are drawn near the outline more often than far from it. Features depend on the image alone and are kept.
    """

    def __init__(self, region: Region, seed: int = 0, before: PixelClassifier | None = None) -> None:
        self._region = region
        self._seed = seed
        self._features: dict[int, NDArray[np.float16]] = {}
        if before is not None:
            self._features = before._features

    def predict(self, support: Sequence[int], targets: Sequence[int]) -> Stack:
        """(T, GRID, GRID) logits for the slices ``targets``, within ±8, from the painted slices ``support``."""
        if not any(self._region.distances[i] is not None for i in support):
            return np.full((len(targets), GRID, GRID), -_LOGIT_LIMIT, np.float32)
        from sklearn.ensemble import HistGradientBoostingClassifier

        trees = HistGradientBoostingClassifier(
            max_iter=_TREES,
            learning_rate=_RATE,
            max_leaf_nodes=15,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=self._seed,
        )
        rows, truth = self._samples(sorted(support))
        trees.fit(rows, truth)
        logits = np.empty((len(targets), GRID, GRID), np.float32)
        for place, target in enumerate(targets):
            score = trees.decision_function(self._rows(target)).reshape(GRID, GRID)
            logits[place] = gaussian_filter(np.clip(score, -_LOGIT_LIMIT, _LOGIT_LIMIT), 1.0)
        return logits

    def _samples(self, support: Sequence[int]) -> tuple[Stack, np.ndarray]:
        each = min(2000, _SAMPLES // len(support))
        rows, truth = [], []
        for index in support:
            random = np.random.default_rng((self._seed, index))
            distance = self._region.distances[index]
            weight = np.ones(GRID * GRID) if distance is None else np.exp(-np.abs(distance.ravel()) / 6) + 0.08
            picked = random.choice(GRID * GRID, each, replace=False, p=weight / weight.sum())
            rows.append(self._rows(index)[picked])
            truth.append(self._region.mask(index).ravel()[picked])
        return np.concatenate(rows), np.concatenate(truth)

    def describe(self, index: int) -> NDArray[np.float16]:
        """(GRID * GRID, features) of a slice, without intensities and positions; half floats to save memory."""
        if index not in self._features:
            self._features[index] = _describe(*(self._region.image(index + d) for d in (-1, 0, 1))).astype(np.float16)
        return self._features[index]

    def _rows(self, index: int) -> Stack:
        """(GRID * GRID, features) of a slice, all of them."""
        intensities = np.stack([self._region.image(index + d).ravel() for d in (-1, 0, 1)], axis=1)
        halves = np.concatenate([intensities.astype(np.float16), self.describe(index), _in_plane()], axis=1)
        along = np.full((GRID * GRID, 1), index, np.float32)
        return np.concatenate([halves.astype(np.float32), along], axis=1)


@cache
def _in_plane() -> NDArray[np.float16]:
    """(GRID * GRID, 3): where a pixel lies in its slice."""
    y, x = (axis.ravel().astype(np.float32) / GRID - 0.5 for axis in np.indices((GRID, GRID)))
    return np.stack([x, y, x * x + y * y], axis=1).astype(np.float16)


def _describe(below: Stack, image: Stack, above: Stack) -> Stack:
    blurred = [gaussian_filter(image, s) for s in _SCALES]
    means = [gaussian_filter(image, s) for s in (1.5, 3.0)]
    spreads = [
        np.sqrt(np.maximum(gaussian_filter(image * image, s) - mean * mean, 0))
        for s, mean in zip((1.5, 3.0), means, strict=True)
    ]
    down, across = sobel(blurred[0], 0), sobel(blurred[0], 1)
    planes = [
        *blurred,
        np.hypot(down, across),
        np.hypot(sobel(blurred[1], 0), sobel(blurred[1], 1)),
        blurred[0] - blurred[1],
        blurred[1] - blurred[2],
        blurred[2] - blurred[3],
        *spreads,
        down,
        across,
        gaussian_filter(below, 2.0),
        gaussian_filter(above, 2.0),
    ]
    return np.stack([plane.ravel() for plane in planes], axis=1).astype(np.float32)
