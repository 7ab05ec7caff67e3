"""Which names in a module's own source Slicer does not have: read without running it, and without Qt or Slicer.

    PYTHONPATH=Testing python3 -m host.source_check FOLDER

What an object is follows from where it was made, inside one function or one class; where that cannot be seen, nothing
is reported. ``ui`` is always the widgets of the .ui file, by their names.
"""

from __future__ import annotations

import ast
import inspect
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from host import inventory

_MODULES = ("qt", "ctk", "slicer", "SampleData", "sitkUtils")
_OBJECTS = {"slicer.app": "qSlicerApplication", "slicer.mrmlScene": "vtkMRMLScene"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_UNKNOWN = ast.Constant(...)  # a value of no kind


def problems(folder: Path) -> list[str]:
    """One line for each name in the .py and .ui files under ``folder`` that Slicer does not have."""
    forms = [Form(file) for file in sorted(folder.rglob("*.ui"))]
    widgets = {name: kind for form in forms for name, kind in form.objects.items()}
    sources = [Source(file, widgets) for file in sorted(folder.rglob("*.py"))]
    fields = {field for source in sources for field in source.parameters()}
    found = [line for form in forms for line in form.problems(fields)]
    return found + [line for source in sources for line in source.problems()]


@dataclass(frozen=True)
class Form:
    """A .ui file."""

    file: Path

    @cached_property
    def objects(self) -> dict[str, str]:
        """Class of each object, by name."""
        kinds = {"action": "QAction", "spacer": "QSpacerItem"}
        return {
            str(item.get("name")): kinds.get(item.tag, item.get("class", ""))
            for item in self._root.iter()
            if item.tag in ("widget", "layout", *kinds)
        }

    def problems(self, parameters: set[str]) -> list[str]:
        """Wrong names; ``parameters`` are the fields that a widget can be bound to."""
        found = [*self._classes(), *self._properties(parameters), *self._connections()]
        return [f"{self.file.name}: {text}" for text in found]

    @cached_property
    def _root(self) -> ElementTree.Element:
        return ElementTree.parse(self.file).getroot()

    def _classes(self) -> Iterator[str]:
        declared = {item.text or "" for item in self._root.iterfind("customwidgets/customwidget/class")}
        for kind in sorted(declared | set(self.objects.values())):
            if not inventory.in_designer(kind):
                yield f"a .ui file cannot hold a {kind}"

    def _properties(self, parameters: set[str]) -> Iterator[str]:
        for item in self._root.iter("widget"):
            kind = item.get("class", "")
            known = inventory.properties(kind)
            for entry in item.iterfind("property"):
                name = entry.get("name", "")
                if name == "SlicerParameterName":
                    if entry.findtext("string") not in parameters:
                        yield f"there is no parameter {entry.findtext('string')}"
                elif entry.get("stdset") != "0" and known and (name not in known or name in inventory.constants(kind)):
                    yield f"{kind} has no property {name} that can be set"

    def _connections(self) -> Iterator[str]:
        for entry in self._root.iterfind("connections/connection"):
            ends = []
            for who, group, what in (("sender", "signals", "signal"), ("receiver", "slots", "slot")):
                kind, text = self.objects.get(entry.findtext(who, "")), entry.findtext(what, "")
                if kind is None:
                    yield f"there is no {who} {entry.findtext(who)}"
                elif text not in (inventory.signatures(kind, group) or (text,)):
                    yield f"{kind} has no {what} {text}"
                ends.append(text.partition("(")[2].removesuffix(")"))
            if not f"{ends[0]},".startswith(f"{ends[1]},") and ends[1]:
                yield f"{entry.findtext('signal')} does not fit {entry.findtext('slot')}"


@dataclass(frozen=True)
class Kind:
    """What an expression is: the class itself, or an instance of it."""

    name: str
    instance: bool = True

    @property
    def is_vtk(self) -> bool:
        return self.name in inventory.table("vtk")

    @property
    def names(self) -> frozenset[str] | None:
        return inventory.vtk_names(self.name) if self.is_vtk else inventory.names(self.name)


class Source:
    """A .py file; ``widgets`` are the classes of the .ui file's objects, by name."""

    def __init__(self, file: Path, widgets: dict[str, str]) -> None:
        self._file = file
        self._widgets = widgets
        self._tree = ast.parse(file.read_text(encoding="utf-8"))
        self._parents = {child: node for node in ast.walk(self._tree) for child in ast.iter_child_nodes(node)}
        self._imports = dict(self._imported())
        self._values: dict[tuple[Any, str], list[ast.expr]] = {}
        for node in ast.walk(self._tree):
            for target, value in _assignments(node):
                self._values.setdefault(self._place(target), []).append(value)
        self._being_found: set[ast.expr] = set()

    def parameters(self) -> Iterator[str]:
        """Fields of the classes that are wrapped parameter nodes."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.ClassDef) and "parameterNodeWrapper" in map(ast.unparse, node.decorator_list):
                for line in node.body:
                    if isinstance(line, ast.AnnAssign):
                        yield ast.unparse(line.target)

    def problems(self) -> list[str]:
        """Wrong names, each with its line."""
        checks: dict[type[ast.AST], Callable[[Any], Iterable[str]]] = {
            ast.ImportFrom: self._import,
            ast.Import: self._modules,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
        }
        return [
            f"{self._file.name}:{getattr(node, 'lineno', 1)}: {text}"
            for node in ast.walk(self._tree)
            if type(node) in checks
            for text in checks[type(node)](node)
        ]

    # Where names come from.

    def _imported(self) -> Iterator[tuple[str, str]]:
        """Local names of Slicer's modules and what was taken from them, with their full names."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.split(".")[0] in _MODULES:
                        yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
            elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] in _MODULES:
                for alias in node.names:
                    yield alias.asname or alias.name, f"{node.module}.{alias.name}"

    def _full_name(self, node: ast.expr) -> str | None:
        """``slicer.util.loadUI`` for an expression that means it; also through ``self._qt = qt``."""
        if isinstance(node, ast.Name) and node.id in self._imports:
            return self._imports[node.id]
        if isinstance(node, ast.Attribute):
            owner = self._full_name(node.value)
            if owner is not None:
                return f"{owner}.{node.attr}"
            values = self._values.get(self._place(node), [])
            if len(values) == 1 and isinstance(values[0], ast.Name):
                return self._imports.get(values[0].id)
        return None

    def _place(self, target: ast.expr) -> tuple[Any, str]:
        """Where a variable lives: its function, or for ``self.x`` its class."""
        if isinstance(target, ast.Attribute):
            own = isinstance(target.value, ast.Name) and target.value.id == "self"
            return (self._above(target, ast.ClassDef) if own else target, f"self.{target.attr}")
        return (self._above(target, *_FUNCTIONS), getattr(target, "id", getattr(target, "arg", "")))

    def _above(self, node: ast.AST, *kinds: type[ast.AST]) -> ast.AST | None:
        above = self._parents.get(node)
        while above is not None and not isinstance(above, kinds):
            above = self._parents.get(above)
        return above

    def _kind(self, node: ast.expr) -> Kind | None:
        if node in self._being_found:
            return None
        self._being_found.add(node)
        try:
            return self._find_kind(node)
        finally:
            self._being_found.discard(node)

    def _find_kind(self, node: ast.expr) -> Kind | None:
        full = self._full_name(node)
        if full in _OBJECTS:
            return Kind(_OBJECTS[full])
        if full is not None:
            module, _, name = full.rpartition(".")
            known = inventory.knows_class(module, name) or (module == "slicer" and name in inventory.table("vtk"))
            return Kind(name, instance=False) if known else None
        if isinstance(node, ast.Call):
            return self._result(node)
        if isinstance(node, ast.Attribute) and _is_ui(node.value):
            return Kind(self._widgets[node.attr]) if node.attr in self._widgets else None
        if isinstance(node, ast.IfExp):
            return self._common([node.body, node.orelse])
        if isinstance(node, ast.Name):
            place = self._place(node)
            while place not in self._values and place[0] is not None:  # a variable of an outer function, or the file's
                place = (self._above(place[0], *_FUNCTIONS), place[1])
            return self._common(self._values.get(place, []))
        return self._common(self._values.get(self._place(node), [])) if isinstance(node, ast.Attribute) else None

    def _result(self, call: ast.Call) -> Kind | None:
        """What a call makes: an instance of a class, a node of the scene, or a child of a widget."""
        made = self._kind(call.func)
        if made is not None:
            return None if made.instance else Kind(made.name)
        if isinstance(call.func, ast.Attribute) and call.args:
            first = call.args[0]
            if call.func.attr == "AddNewNodeByClass" and isinstance(first, ast.Constant):
                return Kind(str(first.value))
            if call.func.attr == "findChild" and (child := self._kind(first)):
                return Kind(child.name)
        return None

    def _common(self, values: list[ast.expr]) -> Kind | None:
        """What a variable is that takes all these values, besides None."""
        kinds = {self._kind(value) for value in values if not _is_none(value)}
        return kinds.pop() if len(kinds) == 1 else None

    # What is wrong with them.

    def _modules(self, node: ast.Import) -> Iterator[str]:
        for alias in node.names:
            if alias.name.startswith("slicer."):
                yield from self._named(alias.name)

    def _import(self, node: ast.ImportFrom) -> Iterator[str]:
        if not node.level and (node.module or "").split(".")[0] in _MODULES:
            for name in {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}:
                yield from self._named(name)

    def _named(self, full: str) -> Iterator[str]:
        """The last part of a full name."""
        module, _, name = full.rpartition(".")
        scopes, vtk = inventory.table("python"), inventory.table("vtk")
        if module in ("qt", "ctk", "slicer"):
            in_python = module == "slicer" and (name in scopes["slicer"] or name in vtk)
            if not in_python and not inventory.knows_class(module, name):
                yield f"there is no {full}"
        elif module in scopes and name not in scopes[module] and full not in inventory.table("signatures"):
            yield f"{module} has no name {name}"

    def _attribute(self, node: ast.Attribute) -> Iterator[str]:
        if node.attr.startswith("__"):
            return
        full = self._full_name(node)
        if full is not None and isinstance(node.ctx, ast.Load):
            yield from self._named(full)
        if _is_ui(node.value) and node.attr not in self._widgets:
            yield f"the .ui file has no object {node.attr}"
        owner = self._kind(node.value)
        if owner is None or owner.names is None:
            return
        if node.attr not in owner.names:
            yield f"{owner.name} has no attribute {node.attr}"
        elif owner.instance and not owner.is_vtk:
            yield from self._use(node, owner.name)

    def _use(self, node: ast.Attribute, kind: str) -> Iterator[str]:
        """Properties are read and set, methods are called or handed on."""
        above = self._parents[node]
        is_property = node.attr in inventory.properties(kind) or node.attr in ("name", "objectName")
        is_called = isinstance(above, ast.Call) and above.func is node
        is_both = (kind, node.attr) == ("QTimer", "singleShot")
        if isinstance(node.ctx, ast.Store):
            if not is_property or node.attr in inventory.constants(kind):
                yield f"{node.attr} of {kind} cannot be set"
        elif is_property and is_called and not is_both:
            yield f"{node.attr} of {kind} is a property, not a method"
        elif not is_property and not is_called and _is_value(node, above):
            yield f"{node.attr} of {kind} is a method that is not called"

    def _call(self, node: ast.Call) -> Iterator[str]:
        full = self._full_name(node.func)
        if full in inventory.table("signatures"):
            yield from _misfit(node, full)
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("connect", "disconnect") and node.args:
            owner, signal = self._kind(node.func.value), node.args[0]
            text = signal.value if isinstance(signal, ast.Constant) else None
            if owner is None and isinstance(text, str) and "(" in text and text not in inventory.all_signals():
                yield f"nothing has a signal {text}"
            elif owner is not None and not owner.is_vtk and isinstance(text, str):
                known = inventory.signatures(owner.name, "signals")
                if known is not None and text.replace(" ", "") not in known:
                    yield f"{owner.name} has no signal {text}"


def _assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Variables that a statement sets, each with its value; with one of no kind where that cannot be followed."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _pairs(target, node.value)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, ast.AugAssign):
        yield node.target, _UNKNOWN
    elif isinstance(node, ast.For | ast.comprehension):
        yield from _pairs(node.target, _UNKNOWN)
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield from _pairs(node.optional_vars, _UNKNOWN)
    elif isinstance(node, ast.arg):
        yield node, _UNKNOWN  # type: ignore[misc]


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    if not isinstance(target, ast.Tuple | ast.List):
        yield target.value if isinstance(target, ast.Starred) else target, value
        return
    values = value.elts if isinstance(value, ast.Tuple) else []
    fits = len(values) == len(target.elts) and not any(
        isinstance(part, ast.Starred) for part in (*target.elts, *values)
    )
    for part, own in zip(target.elts, values if fits else [_UNKNOWN] * len(target.elts), strict=True):
        yield from _pairs(part, own)


def _misfit(call: ast.Call, full: str) -> Iterator[str]:
    """Why a call's arguments do not fit the function of that full name."""
    if any(isinstance(argument, ast.Starred) for argument in call.args) or any(k.arg is None for k in call.keywords):
        return
    made: dict[str, Any] = {}
    exec(f"def function({inventory.table('signatures')[full]}): pass", made)
    try:
        inspect.signature(made["function"]).bind(*call.args, **{str(k.arg): k.value for k in call.keywords})
    except TypeError as error:
        yield f"{full}: {error}"


def _is_ui(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id == "ui") or (
        isinstance(node, ast.Attribute) and node.attr in ("ui", "_ui")
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_value(node: ast.expr, above: ast.AST) -> bool:
    """Whether an expression is compared, tested, calculated with, or left as it is."""
    if isinstance(above, ast.If | ast.While | ast.IfExp | ast.Assert):
        return above.test is node
    if isinstance(above, ast.Call):
        return isinstance(above.func, ast.Name) and above.func.id in ("bool", "float", "int", "len", "round", "str")
    kinds = (ast.Compare, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.FormattedValue, ast.Expr, ast.Attribute)
    return isinstance(above, kinds) and not (isinstance(above, ast.Attribute) and above.attr in ("connect", "emit"))


if __name__ == "__main__":
    found = problems(Path(sys.argv[1]))
    print("\n".join(found))
    sys.exit(bool(found))
