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
        """Make them for a window; nothing happens without a window, or when they are there already. Keys that the
        window has given to something else stay with it: two owners of a key, and Qt calls neither."""
        import qt

        if window is None or self._shortcuts:
            return
        taken = {action.shortcut.toString() for action in window.findChildren(qt.QAction)}
        taken |= {shortcut.key.toString() for shortcut in window.findChildren(qt.QShortcut) if shortcut.enabled}
        for keys, action in self._actions.items():
            if qt.QKeySequence(keys).toString() in taken:
                continue
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
