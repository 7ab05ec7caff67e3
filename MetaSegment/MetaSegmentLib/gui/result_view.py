"""The last result: its summary, its uncertainty, and where to paint next."""

from __future__ import annotations

from typing import Any

from ..scene import views, wording
from ..scene.i18n import tr as _
from ..settings import Result


class ResultView:
    """Shows a result in the panel and in the slice views.

    Attributes:
        result: what is shown; None when there is nothing.

    Args:
        ui: the controls by name.
    """

    def __init__(self, ui: Any) -> None:
        self.result: Result | None = None
        self._ui = ui
        self._volume: Any | None = None
        self._segmentation: Any | None = None
        self._next = 0
        self._overlaid: Result | None = None

    @property
    def suggestions(self) -> list[Any]:
        return list(self.result.suggested_slices) if self.result is not None else []

    def show(self, result: Result, volume: Any, segmentation: Any, last: bool) -> None:
        """Show a result; with the ``last`` one of a run the views go where painting helps most."""
        self.result, self._volume, self._segmentation, self._next = result, volume, segmentation, 0
        text = wording.summary(result.report)
        self._ui.summaryLabel.text = text if last else _("Preview\n{summary}").format(summary=text)
        if last:
            self._jump()

    def keep(self, volume: Any | None, segmentation: Any | None, filled: bool) -> None:
        """Clear what belongs to another volume or segmentation, or was taken back (nothing is ``filled`` any more)."""
        if self.result is not None and not (filled and volume is self._volume and segmentation is self._segmentation):
            self.clear()

    def clear(self) -> None:
        """Show nothing."""
        volume = self._volume
        self.result = self._overlaid = self._volume = self._segmentation = None
        self._ui.summaryLabel.text = _("Nothing was segmented yet.")
        if volume is not None and volume.GetScene() is not None:
            views.hide_uncertainty(volume.GetScene())

    def show_uncertainty(self, wanted: bool) -> None:
        """Lay the uncertainty over the slice views, or take it off them."""
        if self.result is None or self._volume is None or self._volume.GetScene() is None:
            return
        scene = self._volume.GetScene()
        if not wanted:
            views.hide_uncertainty(scene)
        elif self._overlaid is not self.result or views.overlay_of(scene) is None:
            self._overlaid = self.result
            views.show_uncertainty(self._volume, self.result.uncertainty)

    def next_suggestion(self) -> None:
        """Show the best suggested slice, with every press the next one."""
        if self.suggestions:
            self._jump()
            self._next = (self._next + 1) % len(self.suggestions)

    def label_button(self) -> None:
        """Say on the button where it goes."""
        self._ui.suggestButton.text = wording.suggestion_text(self.suggestions[self._next :])

    def _jump(self) -> None:
        if self.suggestions and self._volume is not None and self._volume.GetScene() is not None:
            best = self.suggestions[self._next]
            views.jump(self._volume, best["axis"], best["index"])
