"""What is installed, published and promised agrees with what is in the repository."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import MetaSegmentLib
from MetaSegmentLib import dependencies

MODULE = "MetaSegment"
SLICERS_OWN = {canonicalize_name(name) for name in dependencies.SLICERS_OWN}


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    """The table [project] of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


@pytest.fixture(scope="module")
def lock(repository: Path) -> dict[str, str]:
    """The pinned versions by name."""
    lines = (repository / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all(str(pin.specifier).startswith("==") for pin in pins)
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}


def cmake_list(repository: Path, name: str) -> list[str]:
    text = (repository / MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    match = re.search(rf"set\({name}\s+(.*?)\s*\)", text, re.DOTALL)
    assert match is not None
    return [word.replace("${MODULE_NAME}", MODULE) for word in match.group(1).split()]


def files_of_the_module(repository: Path) -> set[str]:
    """Everything in MetaSegment/ that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", MODULE]
    no_checkout = not shutil.which("git") or not (repository / ".git").exists()
    if no_checkout:
        pytest.skip("without git and its checkout it is not known which files belong to the project")
    listed = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    names = {name for name in listed.stdout.splitlines() if (repository / name).is_file()}
    return {name.removeprefix(f"{MODULE}/") for name in names} - {"CMakeLists.txt"}


@pytest.mark.parametrize(
    ("name", "python"),
    [("MODULE_PYTHON_SCRIPTS", True), ("MODULE_PYTHON_RESOURCES", False)],
    ids=["scripts", "resources"],
)
def test_cmake_names_every_file(repository: Path, name: str, python: bool) -> None:
    listed = cmake_list(repository, name)
    present = {file for file in files_of_the_module(repository) if file.endswith(".py") == python}
    assert len(listed) == len(set(listed))
    assert not present - set(listed), "Slicer would not install these: add them to MetaSegment/CMakeLists.txt"
    assert not set(listed) - present, "these are gone: take them out of MetaSegment/CMakeLists.txt"


def test_slicer_sees_one_module(repository: Path) -> None:
    assert [file.name for file in (repository / MODULE).glob("*.py")] == [f"{MODULE}.py"]


def test_every_folder_of_code_is_a_package(repository: Path) -> None:
    """Or else setuptools leaves it out."""
    folders = {file.parent for file in (repository / MODULE / "MetaSegmentLib").rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_the_extension_asks_for_pytorch(repository: Path) -> None:
    text = (repository / "CMakeLists.txt").read_text(encoding="utf-8")
    assert "project(MetaSegment)" in text and 'EXTENSION_DEPENDS "PyTorch"' in text
    for name in re.findall(r'set\(EXTENSION_(?:LICENSE|README)_FILE "\$\{CMAKE_CURRENT_SOURCE_DIR\}/(.+?)"\)', text):
        assert (repository / name).is_file()
    pictures = re.findall(r"raw\.githubusercontent\.com/MetaSegment/SlicerMetaSegment/main/([^\s\"]+)", text)
    assert "Resources/MetaSegment.png" in pictures
    for name in pictures:
        assert (repository / name).read_bytes().startswith(b"\x89PNG"), name


def test_the_licence_is_apache_2(repository: Path, project: dict[str, Any]) -> None:
    text = (repository / "LICENSE.txt").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
    assert project["license"] == "Apache-2.0"


def test_the_version_stands_in_one_place(project: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", MetaSegmentLib.__version__)
    assert "version" in project["dynamic"] and "version" not in project


def test_slicers_own_packages_are_not_asked_for_in_slicer() -> None:
    lines = [Requirement(package.requirement) for package in dependencies.packages()]
    names = {canonicalize_name(line.name) for line in lines}
    assert not names & SLICERS_OWN
    assert all(spec.operator == ">=" for line in lines for spec in line.specifier)


def test_slicer_gets_the_packages_that_everybody_gets(project: dict[str, Any]) -> None:
    everybody = {str(Requirement(text)) for text in project["dependencies"]}
    slicer = {str(Requirement(package.requirement)) for package in dependencies.packages()}
    assert slicer <= everybody
    left = {canonicalize_name(Requirement(text).name) for text in everybody - slicer}
    assert left <= SLICERS_OWN | {"packaging"}  # which Slicer has


def test_the_pinned_versions_meet_what_the_package_asks_for(project: dict[str, Any], lock: dict[str, str]) -> None:
    extras = project["optional-dependencies"]
    asked = ("headless", "evaluate", "demo", "train", "test")
    texts = [*project["dependencies"], *(text for name in asked for text in extras[name])]
    for requirement in map(Requirement, texts):
        if requirement.name != project["name"]:
            assert lock[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_the_pinned_versions_are_the_tested_ones(lock: dict[str, str], repository: Path) -> None:
    if Path(sys.prefix) != repository / ".venv":
        pytest.skip("these tests run in an environment that setup_deps.py did not make")
    from importlib.metadata import distributions

    installed = {canonicalize_name(found.metadata["Name"]): found.version.split("+")[0] for found in distributions()}
    unpinned = set(installed) - set(lock) - {"pip", "metasegment"}
    cuda = {name for name in unpinned if name.startswith(("nvidia-", "cuda-", "triton"))}  # PyTorch's own choice
    assert unpinned == cuda
    assert {name: version for name, version in installed.items() if name in lock} == {
        name: version for name, version in lock.items() if name in installed
    }


def test_every_package_that_is_imported_is_asked_for(repository: Path, project: dict[str, Any]) -> None:
    """Slicer's own modules aside; what an import is called is not always what the package is called."""
    slicers = dict.fromkeys(("slicer", "vtk", "vtkmodules"), "slicer-core")
    package_of = {"PIL": "pillow", "sklearn": "scikit-learn", "skimage": "scikit-image", **slicers}
    slicers_own = {"qt", "ctk", "PyTorchUtils", "MetaSegmentLib", "pip"}
    imported = set()
    for file in (repository / MODULE / "MetaSegmentLib").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                imported.add(node.module.split(".")[0])
    texts = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    declared = {canonicalize_name(Requirement(text).name) for text in texts}
    needed = imported - sys.stdlib_module_names - slicers_own
    assert {name for name in needed if canonicalize_name(package_of.get(name, name)) not in declared} == set()


def test_every_check_inside_slicer_is_registered(repository: Path) -> None:
    listed = (repository / "Testing" / "CMakeLists.txt").read_text(encoding="utf-8")
    scripts = {file.stem for file in (repository / "Testing" / "slicer").glob("*.py")}
    assert scripts == set(re.findall(r"\bcheck_\w+", listed))


def pages(repository: Path) -> list[Path]:
    return [
        repository / "README.md",
        *sorted((repository / "docs").glob("*.md")),
        *repository.glob("MetaSegment/**/README.md"),
    ]


def headings(page: Path) -> set[str]:
    """What GitHub makes of a page's headings, to link to."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_links_of_the_documentation_lead_somewhere(repository: Path) -> None:
    lost = []
    for page in pages(repository):
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            file, _, heading = link.partition("#")
            target = page.parent / file if file else page
            if not link.startswith("https://") and not (
                target.exists() and (not heading or heading in headings(target))
            ):
                lost.append(f"{page.name}: {link}")
    assert lost == []


def test_the_documentation_describes_every_method(repository: Path) -> None:
    from MetaSegmentLib.predictors.registry import METHODS

    text = (repository / "docs" / "methods.md").read_text(encoding="utf-8")
    lists, families = text.split("## Fusion")
    offered, baselines = lists.split("Baselines:")
    for name, method in METHODS.items():
        assert f"`{name}`" in (baselines if method.baseline else offered), name
        assert f"`{name}`" in families, name


def test_commands_of_the_documentation_exist(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``metasegment COMMAND --option`` and scripts of the repository."""
    from MetaSegmentLib.cli import main

    for page in pages(repository):
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        commands = "segment|batch|train|evaluate|calibrate|methods|info|demo"
        for line in re.findall(rf"(?:metasegment|-m MetaSegmentLib) ((?:{commands})\b[^`\n]*)", text):
            command, *words = line.split()
            with pytest.raises(SystemExit):
                main([command, "--help"])
            known = capsys.readouterr().out
            assert [word for word in words if word.startswith("--") and word not in known] == [], (page.name, line)
        for script in re.findall(r"(?:python3?|python-script) ((?:Testing/)?[\w/]+\.py)", text):
            assert (repository / script).is_file(), (page.name, script)


def test_the_citation_is_that_of_this_version(repository: Path) -> None:
    lines = (repository / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {MetaSegmentLib.__version__}" in lines and "license: Apache-2.0" in lines
    assert f"version {MetaSegmentLib.__version__}*" in (repository / "README.md").read_text(encoding="utf-8")
