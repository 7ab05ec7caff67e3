"""Makes slicer_names.json.xz, the names of Slicer, CTK, MRML and Qt that the tests know, from a full inventory.

    python3 Testing/host/make_names.py FOLDER

FOLDER holds the inventory of one Slicer version, one JSON object in each file: ``widgets.json`` (Qt classes of Slicer
and CTK), ``qt.json``, ``mrml.json`` and ``python.json``. Only names and kinds of arguments are taken over:

* ``qt``: classes of Slicer, CTK and the main parts of Qt, each with its ``bases``, the ``module`` that has it in Python
  (``qt``, ``ctk``, ``slicer``, or none), whether a ``designer`` file can hold it, ``properties`` and those that are
  ``constant``, ``signals`` and ``slots`` by normalised signature, and the ``names`` that are in none of these nor in a
  base;
* ``vtk``: by class its ``bases`` and ``names``; nothing of a class of which only the name is known;
* ``python``: by module or class the names in it;
* ``signatures``: arguments of functions and constructors, by full name, without types and defaults;
* ``versions``: of what the names were taken from.
"""

from __future__ import annotations

import ast
import json
import lzma
import re
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("slicer_names.json.xz")

# Of Qt's parts those that a panel is made of.
_QT_MODULES = ("QtCore", "QtGui", "QtWidgets", "QtUiTools")

# What moc lists for every QObject, and the inventory leaves out.
_QOBJECT = {"signals": {"destroyed()", "destroyed(QObject*)", "objectNameChanged(QString)"}, "slots": {"deleteLater()"}}

# Decorators that leave a function's arguments as they are.
_TRANSPARENT = {"contextmanager", "staticmethod", "lru_cache", "cache"}


def compact(folder: Path) -> dict[str, Any]:
    """The names in the inventory of ``folder``, as described above."""
    widgets, qt, mrml, python = (_read(folder / f"{name}.json") for name in ("widgets", "qt", "mrml", "python"))
    meta = widgets.pop("_meta")
    classes = {name: _qt_class(name, entry) for name, entry in qt.items() if entry.get("module") in _QT_MODULES}
    classes |= {name: _widget_class(entry) for name, entry in widgets.items()}
    for module in ("ctk", "slicer"):
        classes |= {name: {"module": module} for name in meta[f"other_{module}_names"]}
    known = mrml.pop("_meta")
    inherited = {name: _inherited(name, classes) for name in classes}
    return {
        "versions": {
            "Slicer": meta["slicer"],
            "CTK": meta["ctk"],
            "slicer-core": known["slicer_core_wheel"],
            "Qt": qt["_meta"]["qt"],
        },
        "qt": {
            name: entry | {"names": sorted({*entry.get("names", ())} - inherited[name])}
            for name, entry in classes.items()
        },
        "vtk": {name: {} for group in ("all_wheel_classes", "all_header_classes") for name in known[group]}
        | {name: _vtk_class(entry) for name, entry in mrml.items()},
        "python": _scopes(python),
        "signatures": _signatures(python),
    }


def _read(file: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return table


def _qt_class(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    own = _QOBJECT if name == "QObject" else {}
    properties = entry.get("properties", {})
    return _without_empty(
        module="qt",
        designer=True,
        bases=_bases(entry),
        properties=list(properties),
        constant=[name for name, kind in properties.items() if kind.endswith(" [read-only]")],
        signals={_forms(text)[-1] for text in entry.get("signals", ())} | own.get("signals", set()),
        slots={_forms(text)[-1] for text in entry.get("slots", ())} | own.get("slots", set()),
        names={*entry["methods"], *entry.get("enum_keys", ())} - {"staticMetaObject"},
    )


def _widget_class(entry: dict[str, Any]) -> dict[str, Any]:
    properties = entry.get("properties", {})
    callable_ = [text for group in ("slots", "invokables", "decorated") for text in entry.get(group, ())]
    enums = [enum for enum in entry.get("enums", {}).items() if enum[1].get("registered")]
    return _without_empty(
        module={"CTK": "ctk", "Slicer": "slicer"}[entry["header"].split(":")[0]] if entry.get("exposed") else "",
        designer=bool(entry.get("designer")),
        bases=_bases(entry),
        properties=list(properties),
        constant=[name for name, kind in properties.items() if not (kind.get("write") or kind.get("member"))],
        signals={form for text in entry.get("signals", ()) for form in _forms(text)},
        slots={form for text in entry.get("slots", ()) for form in _forms(text)},
        names={_name(text) for text in callable_ if "[constructor]" not in text}
        | {key for name, enum in enums for key in (name, *enum["keys"])}
        | set(entry.get("child_names", ())),
    )


def _inherited(name: str, classes: dict[str, Any]) -> set[str]:
    """Names that the class has in another group already, or from its bases."""
    entry = classes.get(name, {})
    found = {*entry.get("properties", ())}
    found |= {text.split("(")[0] for group in ("signals", "slots") for text in entry.get(group, ())}
    for base in entry.get("bases", ()):
        found |= _inherited(base, classes) | {*classes.get(base, {}).get("names", ())}
    return found


def _vtk_class(entry: dict[str, Any]) -> dict[str, Any]:
    groups = ("methods", "events", "constants", "attributes")
    return _without_empty(bases=entry["bases"], names={name for group in groups for name in entry.get(group, ())})


def _scopes(python: dict[str, Any]) -> dict[str, list[str]]:
    """Names by module, and by class if all its bases are known."""
    found = {name: set(entry["names"]) for name, entry in python.items() if entry.get("kind") == "module"}
    meta = python["_meta"]
    found["slicer"] = {*meta["slicer_submodules"], *meta["slicer_runtime_names"]}
    groups = ("methods", "attributes", "instance_attributes")
    for name, entry in python.items():
        if entry.get("kind") == "class" and not entry.get("bases"):
            found[name] = {member for group in groups for member in entry.get(group, ())}
    return {name: sorted(names) for name, names in found.items()}


def _signatures(python: dict[str, Any]) -> dict[str, str]:
    """Arguments by dotted name; of a class those of its constructor."""
    found = {}
    for name, entry in python.items():
        if not all(text.split("(")[0].split(".")[-1] in _TRANSPARENT for text in entry.get("decorators", ())):
            continue
        if entry.get("kind") == "function":
            found[name] = _arguments(entry["sig"])
        elif entry.get("kind") == "class":
            for method, text in entry.get("methods", {}).items():
                kind, _, signature = text.rpartition(" (") if text.startswith(("static ", "class ")) else ("", "", "")
                if kind and method not in entry.get("decorated", {}):
                    found[f"{name}.{method}"] = _arguments(f"({signature}", skip=kind == "class")
            if "__init__" in entry.get("methods", {}):
                found[name] = _arguments(entry["methods"]["__init__"], skip=True)
    for name, entry in python.items():
        for alias, target in entry.get("reexports", {}).items():
            if target in found:
                found[f"{name}.{alias}"] = found[target]
    return found


def _arguments(signature: str, skip: bool = False) -> str:
    """``(self, path: str, size=3)`` as ``path, size=0``."""
    function = ast.parse(f"def f{signature}: pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    arguments = function.args
    for argument in (node for node in ast.walk(arguments) if isinstance(node, ast.arg)):
        argument.annotation = None
    arguments.defaults = [ast.Constant(0) for _ in arguments.defaults]
    arguments.kw_defaults = [value and ast.Constant(0) for value in arguments.kw_defaults]
    if skip:
        del (arguments.posonlyargs or arguments.args)[0]
        arguments.defaults = arguments.defaults[-len(arguments.args) :] if arguments.args else []
    return ast.unparse(arguments)


def _bases(entry: dict[str, Any]) -> list[str]:
    return [base for base in (entry.get("base"), *entry.get("other_bases", ())) if base]


def _name(declaration: str) -> str:
    return declaration.split("(")[0].split()[-1].lstrip("*&")


def _forms(declaration: str) -> list[str]:
    """``void a(const QString& b, int c=0)`` as ``a(QString)`` and ``a(QString,int)``: Qt makes one for each default."""
    arguments = _split(declaration[declaration.index("(") + 1 : declaration.rindex(")")])
    kinds = [_kind(argument) for argument in arguments]
    least = len(kinds) - sum("=" in argument for argument in arguments)
    return [f"{_name(declaration)}({','.join(kinds[:count])})" for count in range(least, len(kinds) + 1)]


def _split(arguments: str) -> list[str]:
    """At the commas outside of brackets."""
    parts, depth = [""], 0
    for letter in arguments:
        depth += (letter in "(<") - (letter in ")>")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _kind(argument: str) -> str:
    """Type of an argument without its name, ``const`` and ``&``."""
    kind = argument.split("=")[0].strip().removeprefix("const ")
    if match := re.fullmatch(r"(.+?[\s*&])\w+", kind):
        kind = match.group(1)
    return re.sub(r"\bunsigned int\b", "uint", kind).replace(" ", "").replace("&", "")


def _without_empty(**entries: Any) -> dict[str, Any]:
    return {name: sorted(value) if isinstance(value, set) else value for name, value in entries.items() if value}


if __name__ == "__main__":
    text = json.dumps(compact(Path(sys.argv[1])), sort_keys=True, separators=(",", ":"))
    FILE.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{FILE.name}: {FILE.stat().st_size / 1000:.0f} kB")
