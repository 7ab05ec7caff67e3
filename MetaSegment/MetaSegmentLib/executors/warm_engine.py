"""The engine, with a memory: what was learned from a volume serves the next run on it."""

from __future__ import annotations

import importlib
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import dependencies
from ..errors import DependencyError
from ..progress import CancelCallback, ProgressCallback
from ..settings import Result
from .protocol import Request

if TYPE_CHECKING:
    from ..engine import Adapted

_LOADED_LATE = (
    "torch",
    "sklearn.ensemble",
    "..engine",
    "..methods.fusion",
    "..methods.gradient.unadapted",
    "..methods.metric.protonet",
    "vtk",
    "slicer",
)
"""What the engine imports in the middle of a first run, which takes longer than the run."""


class WarmEngine:
    """Runs the engine; when the same segments of the same volume were painted on, it learns only what is new."""

    def __init__(self) -> None:
        self._adapted: Adapted | None = None
        self._learned: tuple[Any, ...] | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is remembered."""
        return self._adapted is None

    def forget(self) -> None:
        """Let go of the last volume."""
        self._adapted = self._learned = None

    def warm_up(self) -> None:
        """Load what the engine needs; nothing while packages are missing, or an installation could not replace them."""
        importlib.invalidate_caches()
        if not dependencies.missing():
            for name in _LOADED_LATE:
                with suppress(ImportError):
                    importlib.import_module(name, __package__)

    def compute(
        self, request: Request, progress: ProgressCallback | None = None, cancel: CancelCallback | None = None
    ) -> Result:
        """Segment; may be called in any thread, one call at a time.

        Raises:
            MetaSegmentError: see :func:`MetaSegmentLib.segment`.
        """
        try:
            from ..engine import adapt
        except ImportError as error:
            raise DependencyError(
                f"The Python package {error.name} is not installed; install what MetaSegment needs and try again."
            ) from error
        settings = request.settings
        about = (request.origin, settings.device, settings.seed, settings.weights, request.names, request.spacing)
        before = self._adapted if self._learned == (*about, request.axis) else None
        if before is not None and before.volume.unchanged:  # scripts write into a volume without a word to Slicer
            slices = {} if request.slices is None else request.slices  # what an earlier request named counts no more
            more = (request.labels, slices, progress, cancel, settings.method, request.axis)
            adapted = before.update(*more)
        else:
            self.forget()
            given = (request.image, request.labels, request.spacing, request.slices, request.axis)
            adapted = adapt(*given, settings, progress, cancel, request.names)
        result = adapted.predict()
        self._adapted, self._learned = adapted, (*about, result.report["axis"])
        if not request.probabilities:
            result = replace(result, compute_probabilities=None)
        return result
