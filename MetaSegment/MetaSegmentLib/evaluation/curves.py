"""ROC, precision-recall and reliability of voxel probabilities, pooled over cases; every case weighs the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from scipy.special import expit

from .metrics import LOGIT_BINS, LOGIT_LIMIT, RELIABILITY_BINS, Histogram

SURE = 0.02
"""Below this, and as near to 1, a probability is as good as certain."""


class Curves(TypedDict):
    """Points of the curves, in the order of a falling threshold, and what they come to.

    ``reliability`` holds, for each part of [0, 1] with voxels in it, their mean probability, the share of them in the
    structure, and their share of all voxels. ``calibration_error`` is the expected one (Guo et al., 2017):
    Σ share · |mean probability − share in the structure|; ``calibration_error_unsure`` that of the voxels alone whose
    probability lies within [.02, .98].
    """

    false_positive_rate: list[float]
    true_positive_rate: list[float]
    precision: list[float]
    roc_area: float
    pr_area: float
    reliability: list[list[float]]
    calibration_error: float
    calibration_error_unsure: float | None


def pool(histograms: Sequence[Histogram]) -> Curves:
    """The curves of at least one histogram; recall is the true positive rate."""
    inside_by_logit = np.sum([_share(h["positives"], h) for h in histograms], axis=0)
    outside_by_logit = np.sum([_share(h["negatives"], h) for h in histograms], axis=0)
    positives = inside_by_logit[::-1].cumsum()
    negatives = outside_by_logit[::-1].cumsum()
    recall = np.concatenate([[0.0], positives / positives[-1]])
    fallout = np.concatenate([[0.0], negatives / max(negatives[-1], np.finfo(float).tiny)])
    found = positives + negatives
    precision = np.divide(positives, found, out=np.ones_like(found), where=found > 0)

    voxels, probability, inside = np.sum([_share(h["reliability"], h) for h in histograms], axis=0).T
    filled = voxels > 0
    voxels, probability, inside = voxels[filled], probability[filled], inside[filled]
    share = voxels / voxels.sum()
    return {
        "false_positive_rate": _rounded(fallout),
        "true_positive_rate": _rounded(recall),
        "precision": _rounded(np.concatenate([precision[:1], precision])),
        "roc_area": float(np.trapezoid(recall, fallout)),
        "pr_area": float((np.diff(recall) * precision).sum()),
        "reliability": [
            [float(p), float(t), float(s)] for p, t, s in zip(probability / voxels, inside / voxels, share, strict=True)
        ],
        "calibration_error": float(np.abs(probability - inside).sum() / voxels.sum()),
        "calibration_error_unsure": _error_where_unsure(inside_by_logit, outside_by_logit),
    }


def _error_where_unsure(inside: np.ndarray, outside: np.ndarray) -> float | None:
    step = 2 * LOGIT_LIMIT / LOGIT_BINS
    probability = expit(np.arange(LOGIT_BINS) * step - LOGIT_LIMIT + step / 2)
    unsure = (probability > SURE) & (probability < 1 - SURE)
    voxels = (inside + outside) * unsure
    if not voxels.any():
        return None
    tenth = (probability * RELIABILITY_BINS).astype(int)
    gap = np.bincount(tenth, probability * voxels - inside * unsure)
    return float(np.abs(gap).sum() / voxels.sum())


def _share(counts: Sequence[object], histogram: Histogram) -> np.ndarray:
    return np.asarray(counts, float) / (sum(histogram["positives"]) + sum(histogram["negatives"]))


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 6) for value in values]
