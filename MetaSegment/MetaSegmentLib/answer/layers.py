"""One answer of several: segments that overlap are segmented in layers, one after the other.

Segments of one layer compete for voxels, those of different layers may share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pieces import Steps, slabs
from ..settings import Result

Report = dict[str, Any]


def merge_steps(results: Sequence[Result]) -> Steps[Result]:
    """One result of those of all layers of an image, made in pieces; that of a single layer as it is.

    ``labels`` has room for one segment a voxel: where several lie, one that is painted there comes before those that
    were filled, and a later layer before an earlier one. ``layers`` has them all.
    """
    first = results[0]
    if len(results) == 1:
        return first
    labels = np.zeros(first.labels.shape, np.result_type(*(result.labels for result in results)))
    uncertainty = np.empty_like(first.uncertainty)
    for slab in slabs(labels.shape):
        for result in results:
            np.copyto(labels[slab], result.labels[slab], where=result.labels[slab] > 0)
        for result in results:
            _paint(labels, result, slab)
        np.max([result.uncertainty[slab] for result in results], axis=0, out=uncertainty[slab])
        yield
    report = merge_reports([result.report for result in results])
    given = all(result.compute_probabilities is not None for result in results)
    return Result(
        labels,
        uncertainty,
        dict(sorted(one for result in results for one in result.estimated_dice.items())),
        report["suggested_slices"],
        report,
        (lambda: merge_probabilities(results)) if given else None,
        tuple(result.labels for result in results),
    )


def _paint(labels: NDArray[Any], result: Result, slab: slice) -> None:
    """Enter what is painted in one layer, in the slices ``slab`` across the first axis."""
    axis = int(result.report["axis"])
    here, layer = (np.moveaxis(array[slab], axis, 0) for array in (labels, result.labels))
    start = slab.start if axis == 0 else 0
    for value, found in result.report["segments"].items():
        own = [i - start for i in found["support_slices"] if start <= i < start + len(here)]
        here[own] = np.where(layer[own] == int(value), int(value), here[own])


def merge_probabilities(results: Sequence[Result]) -> NDArray[np.float16]:
    """(C, K, J, I), background first: the chance of no segment at all, layers taken for independent of each other."""
    if len(results) == 1:
        return results[0].probabilities
    background = np.prod([result.probabilities[0] for result in results], axis=0, dtype=np.float32)
    values = [value for result in results for value in result.estimated_dice]
    foreground = [planes for result in results for planes in result.probabilities[1:]]
    ascending = [foreground[place] for place in np.argsort(values)]
    return np.stack([background.astype(np.float16), *ascending])


def merge_reports(reports: Sequence[Report]) -> Report:
    """One report of several runs on one image, as when overlapping segments were done one layer after the other."""
    merged = dict(reports[0])
    segments = {value: found for report in reports for value, found in report["segments"].items()}
    merged["segments"] = dict(sorted(segments.items(), key=lambda one: int(one[0])))
    merged["peak_memory_mb"] = max(
        (peak for report in reports if (peak := report["peak_memory_mb"]) is not None), default=None
    )
    merged["support_slices"] = sorted({index for report in reports for index in report["support_slices"]})
    merged["warnings"] = list(dict.fromkeys(sentence for report in reports for sentence in report["warnings"]))
    if found := {value: sure for report in reports for value, sure in report.get("found", {}).items()}:
        merged["found"] = found
    merged["seconds"] = {}
    suggested: dict[tuple[int, int], Any] = {}
    for report in reports:
        for stage, seconds in report["seconds"].items():
            merged["seconds"][stage] = merged["seconds"].get(stage, 0.0) + seconds
        for suggestion in report["suggested_slices"]:
            place = suggestion["axis"], suggestion["index"]
            suggested[place] = max(suggestion, suggested.get(place, suggestion), key=lambda one: one["score"])
    merged["suggested_slices"] = sorted(suggested.values(), key=lambda one: -one["score"])
    return merged
