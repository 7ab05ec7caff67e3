"""Who may import what: nothing heavy at import, no circles, and a file imports only from the floors below it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[1] / "MetaSegment" / "MetaSegmentLib"
HEAVY = ("torch", "monai", "dask", "distributed", "qt", "ctk", "PySide6", "vtk", "vtkmodules", "slicer")

# Who may import a toolkit; paths are those below MetaSegmentLib.
# A predictor without learned weights needs no torch, so it may answer while torch is still being installed.
ALLOWED = {
    "torch": ("networks/", "methods/", "training/", "device.py", "cli.py"),
    "monai": ("networks/", "methods/", "training/", "evaluation/metrics.py"),
    "SimpleITK": ("files/", "registration/", "training/supervoxels.py"),
    "pydicom": ("files/",),
    "vtk": ("scene/", "web/", "evaluation/peers.py", "predictors/grow_from_seeds.py"),
    "vtkmodules": ("scene/", "web/", "evaluation/peers.py", "predictors/grow_from_seeds.py"),
    "slicer": (
        "scene/",
        "web/",
        "evaluation/peers.py",
        "predictors/grow_from_seeds.py",
        "dependencies.py",
        "interpreter.py",
    ),
    "qt": ("gui/",),
    "ctk": ("gui/",),
    "dask": ("cohort/",),
    "distributed": ("cohort/",),
    "pickle": (),
}

# From the ground up; a package's own name stands for all its files.
FLOORS = (
    (
        "errors",
        "imports",
        "interpreter",
        "progress",
        "settings",
        "version",
        "dependencies",
        "terminal",
        "replacing",
        "device",
        "pieces",
    ),
    ("task",),
    ("registration",),
    ("predictors", "networks"),
    ("methods",),
    ("answer",),
    ("engine",),
    ("across",),
    ("library",),
    ("series",),
    ("executors",),
    ("files", "scene", "data", "jobs"),
    ("training", "evaluation", "calibrate", "cohort", "app"),
    ("gui", "web", "demo", "demo_figure"),
    ("cli", "__main__"),
)
# The public face resolves its names on first use, so it is above the engine and below nothing.
FACE = "__init__"


def modules() -> list[Path]:
    return sorted(LIBRARY.rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(LIBRARY))


def imports_of(path: Path) -> Iterator[tuple[str, bool]]:
    """All imported modules as ``(name, runs)``; names inside the library as ``MetaSegmentLib.x.y``.

    ``runs`` is False for what is imported for type checkers only.
    """
    package = ["MetaSegmentLib", *path.relative_to(LIBRARY).parts[:-1]]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_checkers = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        runs = id(node) not in for_checkers
        if isinstance(node, ast.Import):
            yield from ((alias.name, runs) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((f"{stem}.{alias.name}", runs) for alias in node.names)


def floor_of(name: str) -> int | None:
    return next((floor for floor, names in enumerate(FLOORS) if name in names), None)


@pytest.mark.parametrize(
    "statement",
    [
        "import MetaSegmentLib",
        "import MetaSegmentLib.cli",
        "import MetaSegmentLib.dependencies",
        "from MetaSegmentLib.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass",
        "from MetaSegmentLib.predictors.registry import METHODS\nassert METHODS",
    ],
    ids=["library", "cli", "dependencies", "help", "methods"],
)
def test_importing_loads_nothing_heavy(statement: str) -> None:
    code = f"import sys\nbefore = set(sys.modules)\n{statement}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=LIBRARY.parent, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & set(HEAVY)


def test_the_module_file_loads_nothing_heavy_at_file_scope() -> None:
    """Of Slicer and Qt it needs what every module needs, but no torch and no monai; read, as Slicer is not here."""
    tree = ast.parse((LIBRARY.parent / "MetaSegment.py").read_text(encoding="utf-8"))
    names = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert not {name.split(".")[0] for name in names} & {"torch", "monai", "SimpleITK", "scipy", "sklearn"}


def test_toolkits_are_imported_only_where_they_belong() -> None:
    wrong = [
        f"{name_of(path)} imports {name}"
        for path in modules()
        for name, _ in imports_of(path)
        if name.split(".")[0] in ALLOWED and not name_of(path).startswith(ALLOWED[name.split(".")[0]])
    ]
    assert wrong == []


def test_every_file_has_a_floor() -> None:
    names = {path.relative_to(LIBRARY).parts[0].removesuffix(".py") for path in modules()} - {FACE}
    assert {name for name in names if floor_of(name) is None} == set()


def test_a_file_imports_only_from_its_own_floor_and_those_below() -> None:
    wrong = []
    for path in modules():
        own = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
        for name, runs in imports_of(path):
            parts = name.split(".")
            if not runs or own == FACE or parts[0] != "MetaSegmentLib" or len(parts) < 2:
                continue
            floor, own_floor = floor_of(parts[1]), floor_of(own)
            if floor is not None and own_floor is not None and floor > own_floor:
                wrong.append(f"{name_of(path)} imports {name}")
    assert wrong == []


def graph_of_files() -> dict[str, set[str]]:
    """Which files of the library each one imports, by their dotted names."""
    files = {".".join(("MetaSegmentLib", *path.relative_to(LIBRARY).with_suffix("").parts)): path for path in modules()}
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}

    def needed(name: str) -> set[str]:
        found = set()
        for target, runs in imports_of(files[name]):
            inside = target if target in files else target.rpartition(".")[0]
            if runs and inside in files and inside != name and inside != "MetaSegmentLib":
                found.add(inside)
        return found

    return {name: needed(name) for name in files}


def test_scores_are_kept_with_the_checksum_of_all_code_that_an_answer_comes_from() -> None:
    from MetaSegmentLib.evaluation.origin import core_files

    graph, waiting, reached = graph_of_files(), ["MetaSegmentLib.engine"], set()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += graph[name]
    dotted = (".".join(path.relative_to(LIBRARY).with_suffix("").parts) for path in core_files())
    listed = {f"MetaSegmentLib.{name}".removesuffix(".__init__") for name in dotted}
    helpers = ("dependencies", "errors", "imports", "interpreter", "progress", "replacing", "version")
    assert {"MetaSegmentLib.answer.assemble", "MetaSegmentLib.predictors.registry"} <= reached
    assert {name.removeprefix("MetaSegmentLib.") for name in reached - listed} <= {*helpers}


def test_there_are_no_circles() -> None:
    """Walks what each file imports; a file that is met again on the way down closes a circle."""
    graph = graph_of_files()
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for target in sorted(graph[name]):
                walk(target, (*way, name))
            done.add(name)

    for name in sorted(graph):
        walk(name, ())


def test_imports_inside_the_library_are_relative() -> None:
    absolute = [
        name_of(path)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("MetaSegmentLib"))
        or (isinstance(node, ast.Import) and any(alias.name.startswith("MetaSegmentLib") for alias in node.names))
    ]
    assert absolute == []


def test_what_is_imported_from_the_library_is_there() -> None:
    """Also what a function imports when it is called; a type checker takes a missing module for one without types."""
    files = {".".join(("MetaSegmentLib", *path.relative_to(LIBRARY).with_suffix("").parts)): path for path in modules()}
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}
    missing = []
    for importer in [*modules(), LIBRARY.parent / "MetaSegment.py"]:
        outside = importer.parent == LIBRARY.parent
        for name, _ in _of_the_module(importer) if outside else imports_of(importer):
            module, _, attribute = name.rpartition(".")
            if not name.startswith("MetaSegmentLib.") or name in files:
                continue
            if module not in files or attribute not in _names_in(files[module]):
                missing.append(f"{importer.name} imports {name}")
    assert missing == []


def _of_the_module(path: Path) -> Iterator[tuple[str, bool]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((f"{node.module}.{alias.name}", True) for alias in node.names)


@cache
def _names_in(path: Path) -> set[str]:
    """The names that a file defines or imports at its top, and those it resolves on first use."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
    return found
