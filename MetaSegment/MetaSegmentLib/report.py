"""What a run did, as values ready for JSON; nothing in it tells whose image it was."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import weights
from .settings import Settings, SuggestedSlice
from .support import Support
from .version import __version__
from .volume import Volume

if TYPE_CHECKING:
    from .methods import MethodInfo
    from .runtime import Tools

_PACKAGES = ("torch", "monai", "numpy", "scipy", "SimpleITK", "scikit-learn", "slicer-core")


def versions() -> dict[str, str]:
    """Versions of MetaSegment and of the packages that decide on its results; absent ones are left out."""
    found = {"metasegment": __version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


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
    method: MethodInfo,
    settings: Settings,
    tools: Tools,
    volume: Volume,
    support: Support,
    labels: NDArray[Any],
    names: Mapping[int, str],
    estimated: Mapping[int, float | None],
    suggested: list[SuggestedSlice],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The report of ``Result.report``; volumes in millilitres."""
    voxel_ml = float(np.prod(volume.spacing)) / 1000
    # Slice by slice: bincount makes a copy of eight bytes a voxel.
    counts = sum(np.bincount(part.ravel(), minlength=max(estimated) + 1) for part in labels)
    assert isinstance(counts, np.ndarray)
    segments = {
        str(value): {
            "name": names.get(value, f"Segment {value}"),
            "voxels": int(counts[value]),
            "volume_ml": float(counts[value]) * voxel_ml,
            "estimated_dice": estimated[value],
        }
        for value in estimated
    }
    return {
        "method": method.name,
        "device": str(tools.device),
        "axis": support.axis,
        "support_slices": list(support.slices),
        "segments": segments,
        "suggested_slices": suggested,
        "seconds": {stage: round(s, 3) for stage, s in seconds.items()},
        "peak_memory_mb": peak_memory_mb(),
        "versions": versions(),
        "weights_sha256": {name: weights.checksum(name) for name in method.weights},
        "seed": settings.seed,
    }
