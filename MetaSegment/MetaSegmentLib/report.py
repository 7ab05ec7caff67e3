"""What a run did, as values ready for JSON; nothing in it tells whose image it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import weights
from .settings import SuggestedSlice
from .version import __version__

if TYPE_CHECKING:
    from .assignment import Assignment

PACKAGES = ("torch", "monai", "numpy", "scipy", "scikit-learn", "SimpleITK", "safetensors", "slicerio", "slicer-core")
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
    """Most memory this process has held so far, in MB; None where the system does not say."""
    try:
        import resource
        import sys
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1)


def make(
    assignment: Assignment,
    labels: NDArray[Any],
    painted: Sequence[int],
    estimated: Mapping[int, float | None],
    suggested: list[SuggestedSlice],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The report of ``Result.report``; volumes in millilitres, ``filled_voxels`` on slices that are not ``painted``."""
    method, support, names = assignment.method, assignment.support, assignment.names
    voxel_ml = float(np.prod(assignment.volume.spacing)) / 1000
    # Slice by slice: bincount makes a copy of eight bytes a voxel.
    counts, filled = np.zeros((2, max(estimated) + 1), np.int64)
    for index, part in enumerate(np.moveaxis(labels, support.axis, 0)):
        found = np.bincount(part.ravel(), minlength=len(counts))
        counts += found
        filled += found * (index not in painted)
    segments = {
        str(value): {
            "name": names.get(value, f"Segment {value}"),
            "voxels": int(counts[value]),
            "filled_voxels": int(filled[value]),
            "volume_ml": float(counts[value]) * voxel_ml,
            "estimated_dice": estimated[value],
        }
        for value in estimated
    }
    return {
        "method": method.name,
        "device": str(assignment.tools.device),
        "axis": support.axis,
        "support_slices": list(support.slices),
        "segments": segments,
        "suggested_slices": suggested,
        "seconds": {stage: round(s, 3) for stage, s in seconds.items()},
        "peak_memory_mb": peak_memory_mb(),
        "versions": {"metasegment": __version__, **{name: found for name, found in versions().items() if found}},
        "weights_sha256": {name: weights.checksum(name) for name in method.weights},
        "seed": assignment.settings.seed,
    }
