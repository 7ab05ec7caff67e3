"""The extension meets the rules of Slicer's Extensions Index, which ``extensions_index.toml`` sums up."""

from __future__ import annotations

import ast
import json
import re
import shutil
import struct
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

EXTENSION = "MetaSegment"
RAW = "https://raw.githubusercontent.com/MetaSegment/SlicerMetaSegment/main/"


@pytest.fixture(scope="module")
def rules() -> dict[str, Any]:
    """What the Index asks for, by section."""
    return tomllib.loads((Path(__file__).parent / "extensions_index.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def entry(repository: Path) -> dict[str, Any]:
    """What is handed in to the Index."""
    found: dict[str, Any] = json.loads((repository / "Resources" / f"{EXTENSION}.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def cmake(repository: Path) -> str:
    return (repository / "CMakeLists.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text(encoding="utf-8")


def variable(cmake: str, name: str) -> str:
    """The value of ``EXTENSION_name`` as the Index's own check reads it."""
    match = re.search(rf'set\(EXTENSION_{name} "([^"]+)"\)', cmake)
    assert match is not None, f"EXTENSION_{name} is missing"
    return match.group(1).replace("${CMAKE_CURRENT_SOURCE_DIR}/", "")


def sentences(text: str) -> list[str]:
    return re.findall(r"[^.!?]+[.!?](?=\s|$)", text)


def section(readme: str, heading: str) -> str:
    match = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    assert match is not None, f"the README has no section {heading}"
    return match.group(1)


def pictures(page: str) -> list[str]:
    return re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)", page)


def test_the_entry_is_what_the_schema_allows(rules: dict[str, Any], entry: dict[str, Any]) -> None:
    wanted = rules["entry"]
    assert entry["$schema"] == wanted["schema"]
    assert set(wanted["required"]) <= set(entry)
    kinds = {"strings": str, "lists": list, "booleans": bool, "integers": int}
    allowed = {name: kind for key, kind in kinds.items() for name in wanted[key]}
    assert {name: type(value) for name, value in entry.items()} == {name: allowed.get(name) for name in entry}
    assert all(isinstance(name, str) for name in entry["build_dependencies"])
    assert entry["category"] in wanted["categories"]


def test_the_entry_claims_the_tier_of_a_new_extension(rules: dict[str, Any], entry: dict[str, Any]) -> None:
    assert entry["tier"] == rules["tiers"]["new"] < rules["tiers"]["community"] < rules["tiers"]["core"]


def test_the_entry_agrees_with_the_extension(rules: dict[str, Any], entry: dict[str, Any], cmake: str) -> None:
    match = re.search(r"project\s*\(\s*([^\s)]+)", cmake)
    assert match is not None and match.group(1) == EXTENSION
    assert not EXTENSION.lower().startswith(rules["names"]["forbidden_start"])
    scheme, _, rest = entry["scm_url"].partition("://")
    repository = rest.rpartition("/")[2].removesuffix(".git")
    assert scheme in rules["entry"]["schemes"] and rules["names"]["repository_has"] in repository.lower()
    assert f"{repository}/{entry['scm_revision']}/" in RAW and not re.fullmatch("[0-9a-f]{7,}", entry["scm_revision"])
    assert variable(cmake, "HOMEPAGE") == entry["scm_url"].removesuffix(".git")
    assert variable(cmake, "DEPENDS").split() == entry["build_dependencies"]


def test_cmake_old_and_new_can_configure_it(rules: dict[str, Any], cmake: str) -> None:
    match = re.match(r"cmake_minimum_required\(VERSION ([\d.]+?)\.\.\.([\d.]+) FATAL_ERROR\)\n", cmake)
    assert match is not None, "the first line names the oldest CMake and the newest policies"
    least, most = Version(match.group(1)), Version(match.group(2))
    wanted = {name: Version(rules["cmake"][name]) for name in ("least", "policies", "broken_below")}
    assert wanted["broken_below"] < least == wanted["least"] and most == wanted["policies"]


def test_everything_that_the_catalogue_shows_is_there(rules: dict[str, Any], cmake: str, repository: Path) -> None:
    values = {name: variable(cmake, name) for name in rules["cmake"]["variables"]}
    assert (repository / values["LICENSE_FILE"]).is_file() and (repository / values["README_FILE"]).is_file()
    shots = values["SCREENSHOTURLS"].split()
    assert shots
    for url in (values["ICONURL"], *shots):
        assert url.startswith(RAW), "an address of the raw file, not of its page"
        assert (repository / url.removeprefix(RAW)).read_bytes().startswith(b"\x89PNG")
    icon = (repository / values["ICONURL"].removeprefix(RAW)).read_bytes()
    assert list(struct.unpack(">II", icon[16:24])) == rules["cmake"]["icon"]


def test_the_description_is_short_and_plain(rules: dict[str, Any], cmake: str) -> None:
    text = variable(cmake, "DESCRIPTION")
    what, _, licence = text.partition(" Licence: ")
    assert 1 <= len(sentences(what)) <= rules["cmake"]["description_sentences"] and len(what) < 300
    assert licence, "weights under another licence than the code are named"
    assert [word for word in rules["cmake"]["jargon"] if word.lower() in text.lower()] == []


def test_the_licence_is_permissive_and_named(rules: dict[str, Any], repository: Path, cmake: str, readme: str) -> None:
    assert [name for name in rules["licence"]["names"] if (repository / name).is_file()]
    metadata = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["license"] in rules["licence"]["permissive"]
    assert metadata["license"] in section(readme, "Licence and credits")
    assert metadata["license"] in variable(cmake, "DESCRIPTION")


def test_the_homepage_has_what_visitors_look_for(rules: dict[str, Any], readme: str) -> None:
    title, summary, *_ = readme.split("\n\n")
    assert title == f"# {EXTENSION}"
    assert 1 <= len(sentences(summary.strip("*"))) <= rules["homepage"]["summary_sentences"]
    assert len(pictures(readme)) >= rules["homepage"]["pictures"]
    for heading in rules["homepage"]["headings"]:
        assert section(readme, heading).strip()
    assert "CITATION.cff" in section(readme, "How to cite")


def test_the_homepage_has_one_sentence_for_each_module(repository: Path, readme: str) -> None:
    modules = {file.stem for file in (repository / EXTENSION).glob("*.py")}
    lines = re.findall(r"^- \*\*(\w+)\*\*: (.+?)(?=^- |\Z)", section(readme, "Modules"), re.MULTILINE | re.DOTALL)
    assert {name for name, _ in lines} == modules
    assert all(len(sentences(text)) == 1 for _, text in lines)


def test_the_tutorial_goes_step_by_step_with_pictures(rules: dict[str, Any], repository: Path, readme: str) -> None:
    assert "](docs/tutorial.md)" in section(readme, "Use")
    page = (repository / "docs" / "tutorial.md").read_text(encoding="utf-8")
    steps = [int(number) for number in re.findall(r"^## (\d+)\. ", page, re.MULTILINE)]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) >= 4
    shown = pictures(page)
    assert len(shown) >= rules["homepage"]["tutorial_pictures"]
    assert all((repository / "docs" / name).is_file() for name in shown)


def test_the_tutorial_uses_sample_data_that_slicer_lists(repository: Path) -> None:
    page = (repository / "docs" / "tutorial.md").read_text(encoding="utf-8")
    assert "Try it on a sample" in page and "Sample Data" in page
    source = (repository / EXTENSION / f"{EXTENSION}.py").read_text(encoding="utf-8")
    called = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    assert "registerCustomSampleDataSource" in called


def test_the_repository_is_small_with_its_history(rules: dict[str, Any], repository: Path) -> None:
    git = shutil.which("git")
    if git is None or not (repository / ".git").exists():
        pytest.skip("without git and its checkout there is no history to weigh")
    command = [git, "rev-list", "--disk-usage", "--objects", "HEAD"]
    history = int(subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout)
    listed = subprocess.run([git, "ls-files"], cwd=repository, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.splitlines() if (repository / name).exists()]
    files = sum((repository / name).stat().st_size for name in names)
    assert (history + files) / 1e6 < rules["repository"]["megabytes"]
