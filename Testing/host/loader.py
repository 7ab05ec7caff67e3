"""Loads .ui files as Slicer does, with the stand-in widgets, and makes their connections."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from PySide6 import QtCore, QtUiTools

from host import inventory
from host.pythonqt import Refused
from host.widgets import widget_class


class QUiLoader(QtUiTools.QUiLoader):
    """``qt.QUiLoader``"""

    def createWidget(self, kind: str, parent: Any = None, name: str = "") -> Any:
        widget = widget_class(kind)(parent)
        widget.setObjectName(name)
        self._made.append(widget)
        return widget

    def load(self, file: Any, _parent: Any = None) -> Any:
        root = ElementTree.fromstring(bytes(file.readAll()))
        _check_names(root)
        connections = root.find("connections")
        wanted = [] if connections is None else [[child.text for child in c] for c in connections]
        if connections is not None:
            root.remove(connections)
        # With the class declared, Qt would ask for a plugin; without, it asks createWidget.
        custom = root.find("customwidgets")
        if custom is not None:
            root.remove(custom)
        self._made: list[Any] = []
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        widget = super().load(buffer)
        by_name = {made.objectName: made for made in self._made}
        for made in self._made:
            if hasattr(type(made), "_loaded"):
                made._loaded()
        for sender, signal, receiver, slot in wanted:
            _connect(by_name[sender], signal, by_name[receiver], slot)
        return widget


def _connect(sender: Any, signal: str, receiver: Any, slot: str) -> None:
    known = inventory.signatures(type(receiver).__name__, "slots")
    if known is not None and slot not in known:
        raise Refused(f"{type(receiver).__name__} has no slot {slot} in Slicer.")
    sender.connect(signal, getattr(receiver, slot.split("(")[0]))


def _check_names(root: Any) -> None:
    """Refuse classes that there are not, and properties that their classes do not have; only dynamic ones
    (stdset="0") may be anything."""
    for widget in root.iter("widget"):
        kind = widget.get("class")
        widget_class(kind)
        known = inventory.properties(kind)
        for item in widget.findall("property"):
            if known and item.get("stdset") != "0" and item.get("name") not in known:
                raise Refused(f"{kind} has no property {item.get('name')} in Slicer.")
