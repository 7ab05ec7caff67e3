"""The extension, installed by CMake into a temporary tree as Slicer would, works from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MODULES = Path("lib/Slicer-5.12/qt-scripted-modules")


@pytest.fixture(scope="module")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the installed module, and what CMake said."""
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("cmake is not installed")
    folder = tmp_path_factory.mktemp("extension")
    configure = [cmake, "-S", str(repository), "-B", str(folder / "build"), "-DBUILD_TESTING=ON"]
    configure += [f"-DSlicer_DIR={repository / 'Testing' / 'host' / 'cmake'}"]
    install = [cmake, "--install", str(folder / "build"), "--prefix", str(folder / "tree")]
    text = ""
    for command in (configure, install):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        text += done.stdout + done.stderr
        assert done.returncode == 0, text
    return folder / "tree" / MODULES, text


def test_what_is_installed_is_what_is_here(installed: tuple[Path, str], repository: Path) -> None:
    tree, text = installed
    found = {str(file.relative_to(tree)) for file in tree.rglob("*") if file.is_file()}
    source = repository / "MetaSegment"
    here = {str(file.relative_to(source)) for file in source.rglob("*") if file.is_file() and file.suffix != ".pyc"}
    assert found == here - {"CMakeLists.txt"}
    for script in ("check_scene.py", "check_panel.py", "check_dependencies.py", "MetaSegment.py"):
        assert f"test {script}" in text or f"test slicer/{script}" in text


def test_the_installed_module_segments(installed: tuple[Path, str], repository: Path) -> None:
    """With nothing of the checkout in reach but the checks themselves."""
    tree, _ = installed
    code = f"""
import sys
sys.path[:] = [p for p in sys.path if {str(repository)!r} not in p or "site-packages" in p]
sys.path.insert(0, {str(tree)!r})
import runpy
import MetaSegment, MetaSegmentLib
assert MetaSegment.__file__.startswith({str(tree)!r}) and MetaSegmentLib.__file__.startswith({str(tree)!r})
from MetaSegmentLib.networks import weights
from MetaSegmentLib.scene.runtime import current_scene
checks = runpy.run_path({str(repository / "Testing" / "slicer" / "check_scene.py")!r})
checks["run_all"](current_scene())
assert MetaSegment.__file__.startswith({str(tree)!r})
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tree, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_installed_panel_opens(installed: tuple[Path, str], repository: Path) -> None:
    """Under the stand-in for Slicer's Qt half: the .ui file and the icon came along."""
    why = "PySide6-Essentials, or a system library that Qt needs (libegl1, libgl1, libxkbcommon0), is not installed"
    pytest.importorskip("PySide6.QtWidgets", reason=why, exc_type=ImportError)
    tree, _ = installed
    code = f"""
import sys
sys.path.insert(0, {str(tree)!r})
import slicer  # before Testing is in reach: slicer-core imports whatever lies in a folder called slicer
sys.path.append({str(repository / "Testing")!r})
from host import application
from pathlib import Path
application.MODULE = Path({str(tree)!r})
with application.application() as module:
    assert module.__file__.startswith({str(tree)!r})
    widget = module.MetaSegmentWidget()
    widget.setup()
    widget.enter()
    assert widget.ui.applyButton.toolTip
    widget.cleanup()
"""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tree, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
