"""What pressing Segment does: an instant preview, then the accurate result in its place, as one undo step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ..errors import MetaSegmentError
from ..progress import ProgressCallback
from ..scene.presence import watched
from ..scene.run import Run
from ..scene.session import Session
from ..scene.time_point import check_time_points, time_points
from ..settings import Result

if TYPE_CHECKING:
    from ..series import SeriesResult

PREVIEW_METHOD = "shape"
"""Instant, and needs nothing that Slicer does not have."""

Shown = Callable[[Result, bool], None]
Ended = Callable[[Exception | None], None]


@dataclass(frozen=True)
class RunRequest:
    """What is to be segmented, and how.

    Attributes:
        volume: vtkMRMLScalarVolumeNode.
        segmentation: vtkMRMLSegmentationNode.
        method: a name of ``metasegment methods``.
        device: as in :class:`MetaSegmentLib.Settings`.
        weights: as in :class:`MetaSegmentLib.Settings`.
        preview: first show what the instant method makes of it; not done again on segments that ``method`` has
            learned before, since that it goes on from there is quick.
    """

    volume: Any
    segmentation: Any
    method: str
    device: str
    preview: bool
    weights: str = ""

    @property
    def about(self) -> tuple[Any, ...]:
        return (id(self.volume), id(self.segmentation), self.method, self.device, self.weights)


class Flow:
    """Runs a session in the background, once or with a preview first.

    Attributes:
        seconds: how long the user waited for the result that was shown last, from the press of the button.

    Args:
        session: not running.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._learned: tuple[Any, ...] | None = None
        self.seconds = 0.0

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._session.running

    def start(
        self,
        request: RunRequest,
        progress: ProgressCallback,
        shown: Shown,
        ended: Ended,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        """Begin.

        Args:
            progress: called as ``progress(stage, done, total, eta_s)``.
            shown: called with each result that was written, and whether it is the last one.
            ended: called at the end, with the error if there was one.
            ready: called after a preview; False leaves it at that, and so does a node that was removed.

        Raises:
            MetaSegmentError: what was given cannot be used; nothing is changed.
        """
        start = time.monotonic()
        nodes = (request.volume, request.segmentation)
        shown_first, are_there = time_points(*nodes), watched(nodes)
        methods = [request.method]
        if request.preview and request.method != PREVIEW_METHOD and self._learned != request.about:
            methods.insert(0, PREVIEW_METHOD)

        def begin(after_preview: bool) -> None:
            self._session.process(
                request.volume,
                request.segmentation,
                method=methods[0],
                device=request.device,
                wait=False,
                progress=progress,
                finished=on_finished,
                same_step=after_preview,
                probabilities=False,
                started=start,
                weights=request.weights,
            )

        def on_finished(run: Run) -> None:
            methods.pop(0)
            if run.error is not None or run.result is None:
                ended(run.error)
                return
            self.seconds = time.monotonic() - start
            shown(run.result, not methods)
            if not methods:
                self._learned = request.about
                ended(None)
                return
            try:
                if ready() and are_there():
                    check_time_points(shown_first, *nodes)
                    begin(after_preview=True)
                else:
                    ended(None)
            except MetaSegmentError as error:
                ended(error)

        begin(after_preview=False)

    def start_frames(
        self,
        request: RunRequest,
        progress: ProgressCallback,
        shown: Callable[[SeriesResult], None],
        ended: Ended,
    ) -> None:
        """Begin with all time points of the sequence that the volume belongs to; the arguments as of :meth:`start`.

        Args:
            shown: called with the :class:`~MetaSegmentLib.SeriesResult` when all are written.

        Raises:
            MetaSegmentError: what was given cannot be used; nothing is changed.
        """
        start = time.monotonic()

        def on_finished(run: Run) -> None:
            self.seconds = time.monotonic() - start
            if run.result is not None:
                shown(cast("SeriesResult", run.result))
            ended(run.error)

        self._session.process_sequence(
            request.volume,
            request.segmentation,
            method=request.method,
            device=request.device,
            wait=False,
            progress=progress,
            finished=on_finished,
            weights=request.weights,
        )

    def cancel(self) -> None:
        """Stop; a preview that was written stays."""
        self._session.cancel()

    def abandon(self) -> None:
        """Stop, and call nobody back any more."""
        self._session.abandon()

    def undo(self) -> bool:
        """Take the last step back, be it paint or a result; False when there is none."""
        return self._session.undo()

    def redo(self) -> bool:
        """Bring back the step that was taken back last; False when there is none."""
        return self._session.redo()

    def close(self) -> None:
        """Stop at once, end the process that computes, and let go of the last volume."""
        self._learned = None
        self._session.close()
