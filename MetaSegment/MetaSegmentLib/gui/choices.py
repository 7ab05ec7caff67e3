"""Combo boxes whose entries have a title for the user and a name for the program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def fill(box: Any, choices: Sequence[tuple[str, str]], chosen: str) -> None:
    """Show (title, name) pairs in a QComboBox and select the name ``chosen``, without telling anybody."""
    was_blocked = box.blockSignals(True)
    if [box.itemData(i) for i in range(box.count)] != [name for _, name in choices]:
        box.clear()
        for title, name in choices:
            box.addItem(title, name)
    box.setCurrentIndex(max(0, box.findData(chosen)))
    box.blockSignals(was_blocked)
