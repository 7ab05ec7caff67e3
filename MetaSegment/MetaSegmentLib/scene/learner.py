"""The engine, with a memory: what was learned from a volume serves the next run on it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from ..errors import DependencyError
from ..progress import CancelCallback, ProgressCallback
from ..settings import Result, Settings
from .i18n import tr as _
from .reader import Painting

if TYPE_CHECKING:
    from ..engine import Adapted


class Learner:
    """Runs the engine; when the same segments of the same volume were painted on, it learns only what is new."""

    def __init__(self) -> None:
        self._adapted: Adapted | None = None
        self._learned: tuple[Any, ...] | None = None

    def forget(self) -> None:
        """Let go of the last volume."""
        self._adapted = self._learned = None

    def compute(
        self,
        painting: Painting,
        origin: Hashable,
        settings: Settings,
        progress: ProgressCallback | None,
        cancel: CancelCallback | None,
    ) -> Result:
        """Segment; may be called in any thread, one call at a time.

        Args:
            origin: tells one state of a volume from another.

        Raises:
            MetaSegmentError: see :func:`MetaSegmentLib.segment`.
        """
        try:
            from ..engine import adapt
        except ImportError as error:
            raise DependencyError(
                _("The Python package {name} is not installed; install what MetaSegment needs and try again.").format(
                    name=error.name
                )
            ) from error
        about = (origin, settings.device, settings.seed, painting.names, painting.spacing)
        if self._adapted is not None and self._learned == (*about, painting.axis):
            adapted = self._adapted.update(painting.labels, painting.slices, progress, cancel, settings.method)
        else:
            self.forget()
            given = (painting.image, painting.labels, painting.spacing, painting.slices, painting.axis)
            adapted = adapt(*given, settings, progress, cancel, painting.names)
        result = adapted.predict()
        self._adapted, self._learned = adapted, (*about, result.report["axis"])
        return result
