"""Which names Slicer, CTK, MRML and Qt have, by slicer_names.json.xz; make_names.py made it and describes it."""

from __future__ import annotations

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

# What every QObject has in Python besides what its meta-object lists.
# fmt: off
_EVERY_OBJECT = frozenset((
    "connect", "disconnect", "name", "className", "inherits", "delete", "parent", "setParent", "children",
    "findChild", "findChildren", "setProperty", "property", "metaObject", "blockSignals", "signalsBlocked",
    "deleteLater", "installEventFilter", "removeEventFilter", "isWidgetType", "objectName", "setObjectName", "event",
    "eventFilter", "sender", "thread",
))
# fmt: on


@cache
def table(name: str) -> dict[str, Any]:
    """``qt``, ``vtk``, ``python`` or ``signatures``."""
    found: dict[str, Any] = _file()[name]
    return found


def knows_class(module: str, name: str) -> bool:
    """Whether ``qt``, ``ctk`` or ``slicer`` has a class of Qt's kind of that name."""
    return bool(table("qt").get(name, {}).get("module") == module)


def in_designer(name: str) -> bool:
    """Whether a .ui file that is loaded at run time can hold such a widget."""
    return bool(table("qt").get(name, {}).get("designer"))


@cache
def names(kind: str) -> frozenset[str] | None:
    """All attributes that an instance has in Python; None if that is not known."""
    chain = _chain(kind)
    if chain is None:
        return None
    signatures = [text for entry in chain for group in ("signals", "slots") for text in entry.get(group, ())]
    own = {name for entry in chain for group in ("names", "properties") for name in entry.get(group, ())}
    return _EVERY_OBJECT | own | {text.split("(")[0] for text in signatures}


@cache
def properties(kind: str) -> frozenset[str]:
    """Names of the Qt properties."""
    return _all(kind, "properties") or frozenset()


@cache
def constants(kind: str) -> frozenset[str]:
    """Names of the Qt properties that cannot be set."""
    return _all(kind, "constant") or frozenset()


@cache
def signatures(kind: str, group: str) -> frozenset[str] | None:
    """Normalised signatures of the ``signals`` or ``slots``; None if that is not known."""
    return _all(kind, group)


@cache
def all_signals() -> frozenset[str]:
    """Normalised signatures of the signals of all classes."""
    return frozenset(signal for entry in table("qt").values() for signal in entry.get("signals", ()))


@cache
def vtk_names(kind: str) -> frozenset[str] | None:
    """All attributes that a class of VTK's kind has in Python; None if that is not known."""
    own: dict[str, Any] = table("vtk").get(kind, {})
    chain = [table("vtk").get(name, {}) for name in (kind, *own.get("bases", ()))]
    return frozenset(name for entry in chain for name in entry["names"]) if all(chain) else None


@cache
def _file() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lzma.decompress(Path(__file__).with_name("slicer_names.json.xz").read_bytes()))
    return found


def _all(kind: str, group: str) -> frozenset[str] | None:
    chain = _chain(kind)
    return None if chain is None else frozenset(name for entry in chain for name in entry.get(group, ()))


def _chain(kind: str) -> list[dict[str, Any]] | None:
    """The class and all that it inherits from; None if one of them is not known."""
    if kind not in table("qt"):
        return None
    found = [table("qt")[kind]]
    for base in found[0].get("bases", ()):
        chain = _chain(base)
        if chain is None:
            return None
        found += chain
    return found
