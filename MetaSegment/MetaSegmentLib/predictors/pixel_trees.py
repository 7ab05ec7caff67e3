"""A classifier of pixels, trained on the painted slices while the user waits.

Gradient-boosted trees (scikit-learn's histogram implementation) on intensities, their Gaussian scale space and the
position. Trees do not extrapolate, which is what makes position safe as a feature.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, sobel

from ..task.frame import Stack
from ..task.task import Task
from .context import Context
from .protocol import Piece

_TREES = 40
_RATE = 0.15
_SAMPLES = 8000
_MOST_IN_A_SLICE = 2000
_LOGIT_LIMIT = 8.0
_SCALES = (1.0, 2.0, 4.0, 8.0)


class PixelTrees:
    """Predictor of one structure: boosted trees on the painted slices.

    Pixels are drawn near the outline more often than far from it, and evenly where something else is painted on other
    slices.
    """

    def fit(self, task: Task, context: Context) -> FittedTrees:
        return FittedTrees(task, context)

    def pieces(self, task: Task, slices: Sequence[int], context: Context) -> dict[Hashable, Piece]:
        """The features of all slices."""
        structure = task.structure
        wanted = sorted({*slices, *structure.slices, *structure.others})
        return {_features_key(task, index): partial(_features, task, index, context) for index in wanted}


class FittedTrees:
    """The trees of one structure; without a filled slice there are none."""

    def __init__(self, task: Task, context: Context) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self._task = task
        self._context = context
        self._trees: Any = None
        if task.structure.filled:
            self._trees = HistGradientBoostingClassifier(
                max_iter=_TREES,
                learning_rate=_RATE,
                max_leaf_nodes=15,
                l2_regularization=1.0,
                early_stopping=False,
                random_state=context.seed,
            )
            self._trees.fit(*self._samples())

    def logits(self, slices: Sequence[int]) -> Stack:
        """(T, 1, H, W), within ±8, in the precision of half floats."""
        frame = self._task.frame
        logits = np.full((len(slices), 1, *frame.shape), -_LOGIT_LIMIT, np.float32)
        if self._trees is not None:
            for place, index in enumerate(slices):
                score = self._trees.decision_function(self._rows(index)).reshape(frame.shape)
                logits[place, 0] = gaussian_filter(np.clip(score, -_LOGIT_LIMIT, _LOGIT_LIMIT), 1.0)
        return logits.astype(np.float16).astype(np.float32)

    def _samples(self) -> tuple[Stack, NDArray[np.bool_]]:
        structure, seed = self._task.structure, self._context.seed
        each = min(_MOST_IN_A_SLICE, _SAMPLES // len(structure.slices))
        rows, truth = [], []
        for index in structure.slices:
            distance = structure.distances[index]
            pixels = self._task.frame.size**2
            weight = np.ones(pixels) if distance is None else np.exp(-np.abs(distance.ravel()) / 6) + 0.08
            random = np.random.default_rng((seed, index))
            picked = random.choice(pixels, each, replace=False, p=weight / weight.sum())
            rows.append(self._rows(index)[picked])
            truth.append(self._task.masks(index)[0].ravel()[picked])
        for index, other in sorted(structure.others.items()):
            found = np.flatnonzero(other)
            random = np.random.default_rng((seed, index))
            picked = random.permutation(found)[: each // 2]
            rows.append(self._rows(index)[picked])
            truth.append(np.zeros(len(picked), bool))
        return np.concatenate(rows), np.concatenate(truth)

    def _rows(self, index: int) -> Stack:
        """(H * W, features) of a slice, all of them."""
        task = self._task
        intensities = np.stack([task.slice_image(index + d).ravel() for d in (-1, 0, 1)], axis=1)
        described = _features(task, index, self._context)
        halves = np.concatenate([intensities.astype(np.float16), described, _in_plane(task.frame.size)], axis=1)
        along = np.full((len(halves), 1), index, np.float32)
        return np.concatenate([halves.astype(np.float32), along], axis=1)


def _features(task: Task, index: int, context: Context) -> NDArray[np.float16]:
    """(H * W, features) of a slice, without intensities and positions; half floats to save memory."""

    def describe() -> NDArray[np.float16]:
        return _describe(*(task.slice_image(index + step) for step in (-1, 0, 1))).astype(np.float16)

    return context.memo.get(_features_key(task, index), describe)


def _features_key(task: Task, index: int) -> Hashable:
    return ("pixel features", *(task.image_digest(index + step) for step in (-1, 0, 1)))


@cache
def _in_plane(size: int) -> NDArray[np.float16]:
    """(size * size, 3): where a pixel lies in its slice."""
    y, x = (axis.ravel().astype(np.float32) / size - 0.5 for axis in np.indices((size, size)))
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
