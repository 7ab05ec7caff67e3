"""Three lines for the first use, which go away for good."""

from __future__ import annotations

from typing import Any

from ..scene.i18n import tr as _

_SEEN = "MetaSegment/HintSeen"
"""The application setting that remembers it."""


class Hint:
    """Shown until it is closed, or a first result shows that it is not needed.

    Args:
        ui: the controls by name.
    """

    def __init__(self, ui: Any) -> None:
        import qt

        self._ui = ui
        self._settings = qt.QSettings()
        ui.hintLabel.text = _(
            "1. Add a segment; paint it wholly on three slices.\n"
            "2. Press Segment (Ctrl+Return) to fill the others.\n"
            "3. Correct the suggested slice; segment again."
        )
        ui.hintButton.connect("clicked(bool)", lambda _checked=False: self.done())
        self._show(not self._settings.contains(_SEEN))

    def done(self) -> None:
        """It was read; never show it again."""
        if self._ui.hintLabel.isVisibleTo(self._ui.hintLabel.parentWidget()):
            self._settings.setValue(_SEEN, "true")
            self._show(False)

    def _show(self, wanted: bool) -> None:
        self._ui.hintLabel.visible = self._ui.hintButton.visible = wanted
