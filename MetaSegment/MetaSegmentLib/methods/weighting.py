"""Combining experts: a weighted sum of their logits, the weights fitted on each case where it can bear it.

With enough painted slices the weights are refitted by logistic regression on leave-one-out predictions of the inner
painted slices, held near the fixed weights by a ridge.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from ..networks.encode import lies_inside
from ..networks.episode import Episode
from ..task.frame import Stack

REFIT_FROM = 5
"""Painted slices from which weights are refitted."""
_RIDGE = 0.1
_NEAR = 20.0
"""Only pixels this near to the outline, in grid pixels, count for the fit."""
_EVERY = 3

Weights = dict[str, float]


def combine(logits: Mapping[str, Stack], weights: Weights) -> Stack:
    """Σ w · logits over the experts of ``weights``."""
    return np.sum([np.float32(w) * logits[name] for name, w in weights.items()], axis=0, dtype=np.float32)


def refit(weights: Weights, logits: Mapping[str, Stack], slices: tuple[int, ...], episode: Episode) -> Weights:
    """Weights for this case, from leave-one-out ``logits`` (S, GRID, GRID) of the painted ``slices``.

    Minimises mean cross-entropy + ridge · |w − w₀|² over w ≥ 0; w₀ are the given weights, returned as they are when
    fewer than REFIT_FROM slices are painted.
    """
    inner = np.flatnonzero(lies_inside(episode.left_out().inputs))
    if len(episode.region.filled) < REFIT_FROM or len(inner) < 2:
        return weights
    names = list(weights)
    start = np.array([weights[name] for name in names])
    columns, truth = [], []
    for n in inner:
        near = _near_outline(episode, slices[n])
        columns.append(np.stack([logits[name][n][near] for name in names], axis=1))
        truth.append(episode.region.mask(slices[n])[near])
    x = np.concatenate(columns)[::_EVERY].astype(float)
    y = np.concatenate(truth)[::_EVERY].astype(float)

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        score = x @ w
        value = np.mean(np.logaddexp(0, score) - y * score) + _RIDGE * np.sum((w - start) ** 2)
        slope = x.T @ (expit(score) - y) / len(y) + 2 * _RIDGE * (w - start)
        return float(value), slope

    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(names)).x
    return {name: float(w) for name, w in zip(names, fitted, strict=True)}


def _near_outline(episode: Episode, index: int) -> NDArray[np.bool_]:
    distance = episode.region.distances[index]
    shape = episode.region.images.shape[1:]
    return np.ones(shape, bool) if distance is None else np.asarray(np.abs(distance) < _NEAR)
