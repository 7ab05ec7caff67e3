"""The last result: its summary, its uncertainty, and where to paint next."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ..app import wording
from ..app.results import ResultHistory, ShownResult
from ..scene import views
from ..scene.i18n import tr as _
from ..settings import Result, SuggestedSlice
from .pieces import InPieces

if TYPE_CHECKING:
    from ..series import SeriesResult


class ResultView:
    """Shows a result in the panel and in the slice views.

    Attributes:
        result: what is shown; None when there is nothing.

    Args:
        ui: the controls by name.
    """

    def __init__(self, ui: Any) -> None:
        self.result: ShownResult | None = None
        self._ui = ui
        self._history = ResultHistory()
        self._volume: Any | None = None
        self._next = 0
        self._painted: Collection[tuple[int, int]] = ()
        self._overlaid: ShownResult | None = None
        self._overlaying = InPieces()

    @property
    def busy(self) -> bool:
        """Whether the uncertainty is still on its way into the views."""
        return self._overlaying.busy

    def stop(self) -> None:
        """Show nothing more."""
        self._overlaying.stop()

    @property
    def suggestions(self) -> list[SuggestedSlice]:
        """Suggested slices that were not painted since, beginning with the one that is next."""
        found = self.result.suggested_slices if self.result is not None else ()
        return [s for s in found[self._next :] + found[: self._next] if (s["axis"], s["index"]) not in self._painted]

    @property
    def has_uncertainty(self) -> bool:
        return self.result is not None and self.result.uncertainty is not None

    def show(self, result: Result, volume: Any, segmentation: Any, last: bool, seconds: float) -> None:
        """Show a new result; with the ``last`` one of a run the views go where painting helps most.

        Args:
            seconds: how long the user waited for it.
        """
        text = wording.summary(result.report, seconds)
        text = text if last else _("Preview\n{summary}").format(summary=text)
        shown = ShownResult(text, tuple(result.suggested_slices), result.uncertainty)
        self._history.add(volume, segmentation, shown)
        self._painted = ()
        self._put(shown, volume)
        if last:
            self._jump()

    def show_frames(self, series: SeriesResult, volume: Any, segmentation: Any, seconds: float) -> None:
        """Show what a run over all time points came to; the views stay where they are."""
        shown = ShownResult(wording.frames_summary(series, seconds), (), None)
        self._history.add(volume, segmentation, shown)
        self._painted = ()
        self._put(shown, volume)

    def follow(self, volume: Any | None, segmentation: Any | None, painted: Collection[tuple[int, int]]) -> None:
        """Show the result that belongs to the segments as they are now: undo and redo bring back others, or none.

        Args:
            painted: (axis, index) of slices that need not be suggested any more.
        """
        self._painted = painted
        found = self._history.find(volume, segmentation)
        if found is not self.result:
            self._put(found, volume)

    def carry_over(self, volume: Any, segmentation: Any) -> None:
        """What is shown still holds for the segments as they are now, though other slices count as painted."""
        if self.result is not None:
            self._history.add(volume, segmentation, self.result)

    def clear(self) -> None:
        """Show nothing, and forget all results."""
        self._history.clear()
        self._put(None, None)

    def show_uncertainty(self, wanted: bool) -> None:
        """Lay the uncertainty over the slice views, or take it off them."""
        if self.result is None or self._volume is None or self._volume.GetScene() is None:
            return
        scene = self._volume.GetScene()
        if not wanted or self.result.uncertainty is None:
            self._overlaying.stop()
            self._overlaid = None
            views.hide_uncertainty(scene)
        elif self._overlaid is not self.result or not (self.busy or views.overlay_of(scene) is not None):
            self._overlaid = self.result
            self._overlaying.begin(views.show_uncertainty_steps(self._volume, self.result.uncertainty))

    def next_suggestion(self) -> None:
        """Show the best suggested slice, with every press the next one."""
        if self.result is not None and self.suggestions:
            shown = self.suggestions[0]
            self._jump()
            self._next = (self.result.suggested_slices.index(shown) + 1) % len(self.result.suggested_slices)

    def label_button(self) -> None:
        """Say on the button where it goes."""
        self._ui.suggestButton.text = wording.suggestion_text(self.suggestions)

    def _put(self, result: ShownResult | None, volume: Any | None) -> None:
        before = self._volume
        self.result, self._volume, self._next = result, volume if result is not None else None, 0
        self._ui.summaryLabel.text = result.summary if result is not None else _("Nothing was segmented yet.")
        if result is None:
            self._overlaying.stop()
            self._overlaid = None
            if before is not None and before.GetScene() is not None:
                views.hide_uncertainty(before.GetScene())

    def _jump(self) -> None:
        if self.suggestions and self._volume is not None and self._volume.GetScene() is not None:
            best = self.suggestions[0]
            views.jump(self._volume, best["axis"], best["index"])
