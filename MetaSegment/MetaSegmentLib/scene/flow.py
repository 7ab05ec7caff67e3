"""What pressing Segment does: an instant preview, then the accurate result in its place, as one undo step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import MetaSegmentError
from ..settings import Result
from .session import Run, Session

PREVIEW_METHOD = "protonet"

Shown = Callable[[Result, bool], None]
Ended = Callable[[Exception | None], None]


class Flow:
    """Runs a session in the background, once or with a preview first.

    Attributes:
        save_state: begins an undo step in the panel's segment editor; None leaves that to the session.

    Args:
        session: not running.
    """

    def __init__(self, session: Session) -> None:
        self.save_state: Callable[[], None] | None = None
        self._session = session
        self._learned: tuple[Any, ...] | None = None
        self._written: tuple[int, ...] = ()

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._session.running

    def start(
        self,
        volume: Any,
        segmentation: Any,
        method: str,
        device: str,
        preview: bool,
        progress: Callable[[str, int, int, float | None], None],
        shown: Shown,
        ended: Ended,
    ) -> None:
        """Begin.

        Args:
            preview: first show what the instant method makes of it; not done again on segments that ``method`` has
                learned before, since that it goes on from there is quick.
            progress: called as ``progress(stage, done, total, eta_s)``.
            shown: called with each result that was written, and whether it is the last one.
            ended: called at the end, with the error if there was one.

        Raises:
            MetaSegmentError: what was given cannot be used; nothing is changed.
        """
        about = (id(volume), id(segmentation), method, device)
        methods = [method]
        if preview and method != PREVIEW_METHOD and self._learned != about:
            methods.insert(0, PREVIEW_METHOD)

        def begin(name: str, after_preview: bool) -> None:
            self._session.save_state = self._step(segmentation, after_preview)
            self._session.process(
                volume,
                segmentation,
                method=name,
                device=device,
                wait=False,
                progress=progress,
                finished=on_finished,
            )

        def on_finished(run: Run) -> None:
            name = methods.pop(0)
            if run.error is not None or run.result is None:
                end(run.error)
                return
            self._written = _stamp(segmentation)
            shown(run.result, not methods)
            if not methods:
                self._learned = (*about[:2], name, device)
                end(None)
                return
            try:
                begin(methods[0], after_preview=True)
            except MetaSegmentError as error:
                end(error)

        def end(error: Exception | None) -> None:
            self._session.save_state = None  # what scripts do is undone by scripts
            ended(error)

        begin(methods[0], after_preview=False)

    def cancel(self) -> None:
        """Stop within one batch; a preview that was written stays."""
        self._session.cancel()

    def forget(self) -> None:
        """Let go of the last volume."""
        self._learned = None
        self._session.forget()

    def _step(self, segmentation: Any, after_preview: bool) -> Callable[[], None] | None:
        save_state = self.save_state
        if save_state is None or not after_preview:
            return save_state

        def unless_it_is_the_previews() -> None:
            # Paint put on since then is a step of its own, and so must be what comes after it.
            if _stamp(segmentation) != self._written:
                save_state()

        return unless_it_is_the_previews


def _stamp(segmentation: Any) -> tuple[int, ...]:
    """Changes with every stroke."""
    segments = segmentation.GetSegmentation()
    layers = [segments.GetSegment(i).GetRepresentation("Binary labelmap") for i in segments.GetSegmentIDs()]
    return tuple(layer.GetMTime() for layer in layers if layer is not None)
