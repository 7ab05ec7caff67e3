"""Which names Slicer, CTK and Qt have, by the inventory beside the checkout; without it nothing is refused."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "slicer-api"

# What every QObject has in Python besides what its meta-object lists.
# fmt: off
_EVERY_OBJECT = frozenset((
    "connect", "disconnect", "name", "className", "inherits", "delete", "parent", "setParent", "children",
    "findChild", "findChildren", "setProperty", "property", "metaObject", "blockSignals", "signalsBlocked",
    "deleteLater", "installEventFilter", "removeEventFilter", "isWidgetType", "objectName", "setObjectName", "event",
    "eventFilter", "sender", "thread",
))
# fmt: on


def present() -> bool:
    return FOLDER.is_dir()


@cache
def _file(name: str) -> dict[str, Any]:
    if not present():
        return {}
    table: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return table


def knows_class(module: str, name: str) -> bool:
    """Whether ``qt``, ``ctk`` or ``slicer`` has a widget class of that name."""
    if not present():
        return True
    if module == "qt":
        return name in _file("qt")
    entry = _file("widgets").get(name, {})
    return bool(entry.get("exposed")) and entry["header"].startswith({"ctk": "CTK:", "slicer": "Slicer:"}[module])


def in_designer(name: str) -> bool:
    """Whether a .ui file that is loaded at run time can hold such a widget."""
    entry = _file("widgets").get(name)
    return True if entry is None else bool(entry["designer"])


@cache
def names(kind: str) -> frozenset[str] | None:
    """All attributes that an instance has in Python; None if the inventory does not say."""
    entries = list(_chain(kind))
    if not entries:
        return None
    found = set(_EVERY_OBJECT)
    for entry, is_qt in entries:
        found |= {str(name) for name in entry.get("properties", ())}
        if is_qt:
            found |= set(entry["methods"]) | set(entry.get("enum_keys", ()))
            found |= {signal.split("(")[0] for signal in entry.get("signals", ())}
            continue
        for group in ("slots", "invokables", "decorated", "signals"):
            found |= {_name(text) for text in entry.get(group, ())}
        found |= set(entry.get("child_names", ()))
    return frozenset(found)


@cache
def properties(kind: str) -> frozenset[str]:
    """Names of the Qt properties."""
    return frozenset(name for entry, _ in _chain(kind) for name in entry.get("properties", ()))


@cache
def signatures(kind: str, group: str) -> frozenset[str] | None:
    """Normalised signatures of the ``signals`` or ``slots``; None if the inventory does not say."""
    entries = list(_chain(kind))
    if not entries:
        return None
    return frozenset(_signature(text) for entry, _ in entries for text in entry.get(group, ()))


def _chain(kind: str) -> list[tuple[dict[str, Any], bool]]:
    found: list[tuple[dict[str, Any], bool]] = []
    name: str | None = kind
    while name:
        if name in _file("widgets"):
            entry, is_qt = _file("widgets")[name], False
        elif name in _file("qt"):
            entry, is_qt = _file("qt")[name], True
        else:
            break
        found.append((entry, is_qt))
        name = entry.get("base")
    return found


def _name(declaration: str) -> str:
    return declaration.split("(")[0].split()[-1].lstrip("*&")


def _signature(declaration: str) -> str:
    """``void a(const QString& b, int c=0)`` as ``a(QString,int)``."""
    arguments = declaration[declaration.index("(") + 1 : declaration.rindex(")")]
    kinds = []
    for argument in filter(None, (part.split("=")[0].strip() for part in arguments.split(","))):
        kind = argument.removeprefix("const ")
        if match := re.fullmatch(r"(.+?[\s*&])\w+", kind):
            kind = match.group(1)
        kinds.append(re.sub(r"[\s&]", "", kind))
    return f"{_name(declaration)}({','.join(kinds)})"
