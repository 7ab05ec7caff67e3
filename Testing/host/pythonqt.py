"""Qt as Slicer's Python sees it: properties are attributes, signals are connected by their signature."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

from host import inventory


class Refused(AttributeError):
    """The real application has no such name."""


_being_read: set[tuple[int, str]] = set()


class Wrapped:
    """A QObject with PythonQt's manners. Names that the real class does not have are refused."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_"):
            return super().__getattribute__(name)
        kind = type(self).__name__
        _check(kind, name)
        if name == "name":
            name = "objectName"
        if name == "className":
            return lambda: kind
        if name in ("connect", "disconnect"):  # PySide looks these up on the instance's own terms
            return object.__getattribute__(self, name)
        getter = getattr(type(self), f"_get_{name}", None)
        if getter is not None:
            return getter(self)
        # Qt asks the instance for overrides of virtual getters while it reads a property: those get the method.
        if (id(self), name) not in _being_read and _is_property(self, name):
            _being_read.add((id(self), name))
            try:
                return QtCore.QObject.property(self, name)  # type: ignore[arg-type]
            finally:
                _being_read.discard((id(self), name))
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
            return
        if isinstance(value, QtWidgets.QWidget) and value.objectName == name:
            return  # PySide's loader hangs the children on the widget it has made; PythonQt does not
        _check(type(self).__name__, name)
        name = "objectName" if name == "name" else name
        setter = getattr(type(self), f"_set_{name}", None)
        if setter is not None:
            setter(self, value)
        elif _is_property(self, name):
            QtCore.QObject.setProperty(self, name, value)  # type: ignore[arg-type]
        else:
            raise Refused(f"PythonQt cannot make the attribute {name} on a {type(self).__name__}.")

    def connect(self, signal: str, slot: Callable[..., Any]) -> bool:
        _signal(self, signal).connect(slot)
        return True

    def disconnect(self, signal: str, slot: Callable[..., Any] | None = None) -> bool:
        bound = _signal(self, signal)
        bound.disconnect() if slot is None else bound.disconnect(slot)
        return True


def _check(kind: str, name: str) -> None:
    known = inventory.names(kind)
    if known is not None and name not in known:
        raise Refused(f"{kind} has no attribute {name} in Slicer.")


def _is_property(thing: Any, name: str) -> bool:
    known = QtCore.QObject.metaObject(thing).indexOfProperty(name) >= 0
    return known or name in inventory.properties(type(thing).__name__)


def _signal(thing: Any, signature: str) -> Any:
    signature = signature.replace(" ", "")
    kind = type(thing).__name__
    known = inventory.signatures(kind, "signals")
    if known is not None and signature not in known:
        raise Refused(f"{kind} has no signal {signature} in Slicer.")
    return super(Wrapped, thing).__getattribute__(signature.split("(")[0])


_wrapped: dict[str, Any] = {}


def qt_class(name: str) -> Any:
    """A class of Qt, wrapped if it is a QObject; the same one every time."""
    if name not in _wrapped:
        source = next((m for m in (QtWidgets, QtGui, QtCore, QtUiTools) if hasattr(m, name)), None)
        if source is None or not inventory.knows_class("qt", name):
            raise Refused(f"There is no qt.{name}.")
        found = getattr(source, name)
        is_object = isinstance(found, type) and issubclass(found, QtCore.QObject)
        _wrapped[name] = type(name, (Wrapped, found), {}) if is_object else found
    return _wrapped[name]


class QtModule(ModuleType):
    """``import qt``"""

    def __init__(self, *classes: type) -> None:
        super().__init__("qt")
        for own in classes:
            setattr(self, own.__name__, own)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return QtCore.Qt if name == "Qt" else qt_class(name)
