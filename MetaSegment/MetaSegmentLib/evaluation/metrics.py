"""How good a prediction is on the slices that were not painted: overlap, surfaces, probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from ..data.protocol import Mask, query_slices

SURFACE_TOLERANCE_MM = 2.0
HAUSDORFF_PERCENTILE = 95

# Voxels are counted by the logit of their probability, in steps of 0.1: curves lose nothing near 0 and 1, many cases
# can be added up, and a case takes little room.
LOGIT_LIMIT = 8.0
LOGIT_BINS = 160
RELIABILITY_BINS = 10


class Surface(TypedDict):
    """``hausdorff_95_mm``, and the share of both surfaces within 2 mm of each other."""

    hausdorff_95_mm: float
    surface_dice_2mm: float


class Probabilities(TypedDict):
    """``histogram``, and the Brier score: mean squared difference of probability and truth (Brier, 1950)."""

    histogram: Histogram
    brier: float


class Histogram(TypedDict):
    """Voxels by probability.

    ``positives`` and ``negatives``: voxels in and out of the structure in each logit bin, ascending.
    ``reliability``: for each of ten equal parts of [0, 1] the voxels, the sum of their probabilities and how many of
    them are in the structure.
    """

    positives: list[int]
    negatives: list[int]
    reliability: list[list[float]]


def surface_scores(
    prediction: Mask, truth: Mask, painted: Sequence[int], axis: int, spacing: Sequence[float]
) -> Surface:
    """Surface distances in 3D, counted at the surface voxels of the slices that were not painted.

    On the painted slices the prediction is taken to be the truth, as a person has painted it there.

    Args:
        prediction: (K, J, I).
        truth: (K, J, I), with some of the structure on a painted slice.
        painted: indices along ``axis``.
        spacing: mm, in array order.
    """
    from monai.metrics.utils import get_mask_edges, get_surface_distance

    query = query_slices(truth.shape[axis], painted)
    shape = [1, 1, 1]
    shape[axis] = -1
    whole = np.where(query.reshape(shape), prediction, truth)
    box = tuple(slice(*extent) for extent in _extents(whole | truth))
    predicted, true = get_mask_edges(whole[box], truth[box], crop=False)

    counts = query[box[axis]]
    distances = []
    for here, there in ((predicted, true), (true, predicted)):
        counted = counts[np.nonzero(here)[axis]]
        distances.append(get_surface_distance(here, there, spacing=list(spacing))[counted])
    both = np.concatenate(distances)
    if not both.size:
        return {"hausdorff_95_mm": 0.0, "surface_dice_2mm": 1.0}
    return {
        "hausdorff_95_mm": max(float(np.percentile(part, HAUSDORFF_PERCENTILE)) for part in distances if part.size),
        "surface_dice_2mm": float((both <= SURFACE_TOLERANCE_MM).mean()),
    }


def probability_scores(
    probability: NDArray[np.floating[Any]], truth: Mask, painted: Sequence[int], axis: int
) -> Probabilities:
    """Judge the voxels of the slices that were not painted, in a box half as long again as the structure.

    All other voxels of a volume are easy, and would make any method look well calibrated.

    Args:
        probability: (K, J, I) of the structure, in [0, 1].
        truth: (K, J, I), not empty.
        painted: indices along ``axis``.
    """
    box = _neighbourhood(truth)
    query = query_slices(truth.shape[axis], painted)[box[axis]]
    where = (slice(None),) * axis + (query,)
    values = probability[box][where].astype(np.float64).ravel()
    inside = truth[box][where].ravel()

    with np.errstate(divide="ignore"):
        logit = np.clip(np.log(values) - np.log1p(-values), -LOGIT_LIMIT, LOGIT_LIMIT)
    bins = np.minimum(((logit + LOGIT_LIMIT) / (2 * LOGIT_LIMIT) * LOGIT_BINS).astype(int), LOGIT_BINS - 1)
    tenth = np.minimum((values * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    columns = [np.bincount(tenth, weights, RELIABILITY_BINS) for weights in (None, values, inside)]
    histogram: Histogram = {
        "positives": np.bincount(bins[inside], minlength=LOGIT_BINS).tolist(),
        "negatives": np.bincount(bins[~inside], minlength=LOGIT_BINS).tolist(),
        "reliability": [[int(n), round(float(p), 3), int(t)] for n, p, t in zip(*columns, strict=True)],
    }
    return {"histogram": histogram, "brier": float(np.mean((values - inside) ** 2)) if values.size else 0.0}


def _extents(mask: Mask) -> list[tuple[int, int]]:
    extents = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        extents.append((int(hit[0]), int(hit[-1]) + 1))
    return extents


def _neighbourhood(truth: Mask) -> tuple[slice, ...]:
    """The bounding box, longer by a quarter of its length on either side, within the volume."""
    box = []
    for (start, stop), size in zip(_extents(truth), truth.shape, strict=True):
        more = -(-(stop - start) // 4)
        box.append(slice(max(start - more, 0), min(stop + more, size)))
    return tuple(box)
