"""Observers of MRML nodes that come and go together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Watch:
    """Calls back when one of its nodes is modified, or a slice view comes into the scene.

    Args:
        changed: called without arguments, from within MRML: it should only make a note of it.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._tags: list[tuple[Any, int]] = []

    @property
    def active(self) -> bool:
        return bool(self._tags)

    def nodes(self, *nodes: Any, events: tuple[Any, ...] = ("ModifiedEvent",)) -> None:
        """Watch some nodes more."""
        for node in nodes:
            self._tags += [(node, node.AddObserver(event, lambda *_: self._changed())) for event in events]

    def stop(self) -> None:
        """Watch nothing more."""
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags = []
