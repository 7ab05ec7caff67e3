"""MetaSegment: paint a structure on a few slices, get it on all of them.

    from MetaSegmentLib import segment, Settings
    result = segment(image, painted, spacing=(3.0, 0.8, 0.8), settings=Settings(method="maml"))

Importing this package loads neither torch nor monai nor Qt: the names that need them are resolved on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import (
    Cancelled,
    DependencyError,
    InputError,
    MetaSegmentError,
    OutputError,
    SettingsError,
    WeightsError,
)
from .version import __version__

if TYPE_CHECKING:
    from .across import AdaptedMany, adapt_many
    from .cohort.cases import Case
    from .cohort.engine import Workers
    from .cohort.run import Cohort, run_cohort
    from .engine import Adapted, adapt, segment
    from .library import Library
    from .series import SeriesResult, segment_series
    from .settings import Result, Settings

_LAZY = {
    "segment": "engine",
    "adapt": "engine",
    "Adapted": "engine",
    "Case": "cohort.cases",
    "Cohort": "cohort.run",
    "Workers": "cohort.engine",
    "run_cohort": "cohort.run",
    "adapt_many": "across",
    "AdaptedMany": "across",
    "Library": "library",
    "segment_series": "series",
    "SeriesResult": "series",
    "Settings": "settings",
    "Result": "settings",
}

__all__ = [
    "Adapted",
    "AdaptedMany",
    "Cancelled",
    "Case",
    "Cohort",
    "DependencyError",
    "InputError",
    "Library",
    "MetaSegmentError",
    "OutputError",
    "Result",
    "SeriesResult",
    "Settings",
    "SettingsError",
    "WeightsError",
    "Workers",
    "__version__",
    "adapt",
    "adapt_many",
    "run_cohort",
    "segment",
    "segment_series",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        from .imports import explained_imports

        with explained_imports():
            return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
