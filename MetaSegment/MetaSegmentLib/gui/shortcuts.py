"""Keyboard shortcuts that exist only while the panel is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class Shortcuts:
    """Shortcuts of a window.

    Args:
        actions: what to call, by key sequence such as ``Ctrl+Return``.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        self._actions = dict(actions)
        self._shortcuts: list[tuple[Any, Callable[[], None]]] = []

    @property
    def installed(self) -> bool:
        return bool(self._shortcuts)

    def install(self, window: Any | None) -> None:
        """Make them for a window; nothing happens without a window, or when they are there already."""
        import qt

        if window is None or self._shortcuts:
            return
        for keys, action in self._actions.items():
            shortcut = qt.QShortcut(qt.QKeySequence(keys), window)
            shortcut.connect("activated()", action)
            self._shortcuts.append((shortcut, action))

    def remove(self) -> None:
        """Take them away."""
        for shortcut, action in self._shortcuts:
            shortcut.enabled = False
            shortcut.disconnect("activated()", action)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []
