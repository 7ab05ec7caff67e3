"""The first use: one question, then the missing packages are installed, with a log to look at."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

from .. import dependencies
from ..app.installing import SlicersInstaller
from ..errors import DependencyError
from ..scene.i18n import tr as _


class InstallationFailed(DependencyError):
    """What is missing could not be installed; a window says why."""


class LogWindow:
    """A window with the lines of an installation."""

    def __init__(self, parent: Any | None) -> None:
        import qt

        self.dialog = qt.QDialog(parent)
        self.dialog.setWindowTitle(_("Installing what MetaSegment needs"))
        self.dialog.setModal(True)  # Slicer's pip lets events through: nothing else may be pressed meanwhile
        self.dialog.resize(640, 320)
        layout = qt.QVBoxLayout(self.dialog)
        self.text = qt.QPlainTextEdit()
        self.text.setReadOnly(True)
        layout.addWidget(self.text)
        self.close_button = qt.QPushButton(_("Close"))
        self.close_button.setEnabled(False)
        self.close_button.connect("clicked(bool)", self._close)
        layout.addWidget(self.close_button)

    def open(self) -> None:
        self.dialog.show()
        self.dialog.raise_()

    def line(self, text: str) -> None:
        """Add a line and paint it at once: pip keeps the event loop busy."""
        self.text.appendPlainText(text)
        self.dialog.repaint()

    def end(self, text: str) -> None:
        self.line(text)
        self.close_button.setEnabled(True)

    def _close(self, _checked: bool = False) -> None:
        self.dialog.accept()


class Tee(io.TextIOBase):
    """Standard output that a log reads along: what pip prints reaches it there, whoever runs pip."""

    def __init__(self, original: Any, line: Callable[[str], None]) -> None:
        self._original = original
        self._line = line
        self._begun = ""

    def write(self, text: str) -> int:
        self._original.write(text)
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._line(line.rstrip())
        return len(text)

    def flush(self) -> None:
        self._original.flush()


class Installer(SlicersInstaller):
    """The same before Slicer has a window of its own for it; when a restart is due, the window says so.

    Args:
        ask, ensure, missing: as there; ``ensure`` takes the window's log.
        parent: the window in front of which the log is shown.
    """

    def __init__(
        self,
        ask: Callable[[str], bool],
        parent: Any | None = None,
        ensure: Callable[..., dependencies.Report] = dependencies.ensure,
        missing: Callable[[], list[str]] = dependencies.missing,
    ) -> None:
        super().__init__(ask, ensure, missing)
        self._parent = parent
        self.window: LogWindow | None = None

    def _install(self) -> bool:
        """As there.

        Raises:
            InstallationFailed: with what to do when it could not be installed; the window with the log says so already.
        """
        self.window = LogWindow(self._parent)
        self.window.open()
        try:
            with redirect_stdout(Tee(sys.stdout, self.window.line)):
                report = self._ensure(log=self.window.line)
        except Exception as error:
            logging.exception("MetaSegment: the installation failed")
            known = isinstance(error, DependencyError)
            text = str(error) if known else _("The installation failed; the details are in Slicer's log.")
            self.window.end(text)
            raise InstallationFailed(text) from error
        self.window.end(str(report))
        return not report.restart
