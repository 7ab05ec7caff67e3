"""What a run did, as values ready for JSON; without anything that identifies the patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..networks.weights import Weights
from ..settings import Result, SuggestedSlice
from ..version import __version__

if TYPE_CHECKING:
    from ..predictors.registry import MethodInfo
    from ..task.paint import Paint
    from ..task.volume import Volume

PACKAGES = (
    "torch",
    "monai",
    "numpy",
    "scipy",
    "scikit-learn",
    "SimpleITK",
    "pydicom",
    "safetensors",
    "slicer-core",
)
"""The packages that decide on the results."""


def versions() -> dict[str, str | None]:
    """Versions of PACKAGES; None for an absent one."""
    return {package: _version(package) for package in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def peak_memory_mb() -> float | None:
    """Most memory this process has held so far, in MB; None where the system does not provide it."""
    try:
        import resource
        import sys
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1)


def with_voxel_volume(result: Result, voxel_ml: float) -> Result:
    """The result with its volumes by a voxel's millilitres, which on sheared axes are not those of its spacing."""
    segments = {
        value: {**segment, "volume_ml": float(segment["voxels"]) * voxel_ml}
        for value, segment in result.report["segments"].items()
    }
    return replace(result, report={**result.report, "segments": segments})


def filled_elsewhere(report: Mapping[str, Any], paints: Sequence[Paint]) -> dict[str, Any]:
    """The report of a volume on which nothing is painted, with the slices that are painted on others.

    They are those of the first one, and of a segment those of the first that has it, with an ``axis`` where that is
    another one than the report's.
    """
    first = paints[0]
    segments = {}
    for value, segment in report["segments"].items():
        paint = next((one for one in paints if int(value) in one.slices), first)
        slices = list(paint.slices.get(int(value), ()))
        across = {} if paint.axis == first.axis else {"axis": paint.axis}
        segments[value] = {**segment, **across, "filled_voxels": segment["voxels"], "support_slices": slices}
    return {**report, "axis": first.axis, "support_slices": list(first.index), "segments": segments}


def make_report(
    method: MethodInfo,
    device: str,
    paint: Paint,
    volume: Volume,
    names: Mapping[int, str],
    labels: NDArray[Any],
    expected: Mapping[int, float | None],
    suggested: list[SuggestedSlice],
    warnings: Sequence[str],
    seconds: Mapping[str, float],
    seed: int,
    weights: Weights,
) -> dict[str, Any]:
    """The report of ``Result.report``; volumes in millilitres, ``filled_voxels`` on slices that were not painted.

    Args:
        labels: (K, J, I).
        expected: expected Dice by label.
        warnings: one sentence each.
        seconds: by stage.
        weights: those that were used.
    """
    voxel_ml = float(np.prod(volume.spacing)) / 1000
    axis = paint.axis
    # Slice by slice: bincount makes a copy of eight bytes a voxel.
    counts, filled = np.zeros((2, max(expected) + 1), np.int64)
    for index, part in enumerate(np.moveaxis(labels, axis, 0)):
        found = np.bincount(part.ravel(), minlength=len(counts))
        counts += found
        for value in expected:
            filled[value] += found[value] * (index not in paint.slices.get(value, ()))
    segments = {
        str(value): {
            "name": names.get(value, f"Segment {value}"),
            "voxels": int(counts[value]),
            "filled_voxels": int(filled[value]),
            "volume_ml": float(counts[value]) * voxel_ml,
            "estimated_dice": expected[value],
            "support_slices": list(paint.slices.get(value, ())),
        }
        for value in expected
    }
    return {
        "method": method.name,
        "device": device,
        "axis": axis,
        "support_slices": list(paint.index),
        "segments": segments,
        "suggested_slices": suggested,
        "warnings": list(warnings),
        "seconds": {stage: round(s, 3) for stage, s in seconds.items()},
        "peak_memory_mb": peak_memory_mb(),
        "versions": {"metasegment": __version__, **{name: found for name, found in versions().items() if found}},
        "weights_sha256": {name: weights.checksum(name) for name in method.weights},
        "seed": seed,
    }
