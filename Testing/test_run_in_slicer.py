"""The command that runs the checks inside a real Slicer, with a program in its place that notes its arguments."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from host.source_check import problems
from slicer_report import page

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the program in Slicer's place is a shell script")


def run(repository: Path, folder: Path, status: int, *options: str, display: str = ":0") -> tuple[int, str, list[str]]:
    slicer, notes = folder / "Slicer", folder / "notes.txt"
    slicer.write_text(f'#!/bin/sh\necho "$@" >> "{notes}"\nexit {status}\n', encoding="utf-8")
    slicer.chmod(0o755)
    others = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [sys.executable, str(repository / "Testing" / "run_in_slicer.py"), str(slicer), *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**others, "DISPLAY": display, "PATH": str(folder)},
    )
    return done.returncode, done.stdout + done.stderr, notes.read_text(encoding="utf-8").splitlines()


def test_every_check_is_run_on_this_checkout(repository: Path, tmp_path: Path) -> None:
    status, text, calls = run(repository, tmp_path, 0)
    assert status == 0 and text.count("passed") == 5
    scripts = {Path(call.split()[-1]) for call in calls}
    assert scripts == set((repository / "Testing" / "slicer").glob("check_*.py"))
    assert all(str(repository / "MetaSegment") in call for call in calls)
    assert sum("--no-main-window" in call for call in calls) == 2


def test_without_a_window_the_panel_is_left_out(repository: Path, tmp_path: Path) -> None:
    status, text, calls = run(repository, tmp_path, 0, "--no-window")
    assert status == 0 and "check_panel: left out" in text and len(calls) == 2
    assert "check_tour: left out" in text and "check_quit: left out" in text


def test_a_failure_is_told(repository: Path, tmp_path: Path) -> None:
    status, text, _calls = run(repository, tmp_path, 1)
    assert status == 1 and "failed (exit status 1)" in text and "--install" in text


def test_what_is_missing_is_installed_first(repository: Path, tmp_path: Path) -> None:
    status, text, calls = run(repository, tmp_path, 0, "--install")
    assert status == 0 and text.count("passed") == 6
    assert calls[0].endswith("setup_deps.py") and "--exit-after-startup" in calls[0]
    assert "--disable-settings" not in calls[0], "the settings tell where the PyTorch extension is"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_without_a_display_a_virtual_one_is_used(repository: Path, tmp_path: Path) -> None:
    status, text, calls = run(repository, tmp_path, 0, display="")
    assert status == 1 and "check_panel: failed (no display" in text and len(calls) == 2
    screen = tmp_path / "xvfb-run"
    screen.write_text(f'#!/bin/sh\necho virtual >> "{tmp_path}/notes.txt"\nshift 2\nexec "$@"\n', encoding="utf-8")
    screen.chmod(0o755)
    status, text, calls = run(repository, tmp_path, 0, display="")
    assert status == 0 and calls.count("virtual") == 3
    assert all("check_" in after for before, after in pairwise(calls) if before == "virtual")


@pytest.mark.parametrize("how", [["--torch-by-pip"], ["--wheels", "the wheels"]], ids=str)
def test_the_way_to_install_is_handed_on(repository: Path, tmp_path: Path, how: list[str]) -> None:
    (tmp_path / "the wheels").mkdir()
    status, _text, calls = run(repository, tmp_path, 0, "--install", *how)
    assert status == 0 and f"setup_deps.py {how[0]}" in calls[0] and calls[0].endswith(how[-1])
    assert not any(how[0] in call for call in calls[1:])


def test_a_way_to_install_without_an_installation_is_wrong_usage(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    assert run(repository, tmp_path, 0, "--torch-by-pip")[0] == 2


def test_the_report_has_all_checks_even_when_they_fail(repository: Path, tmp_path: Path) -> None:
    _status, text, _calls = run(repository, tmp_path, 3, "--report", "seen.html")
    report = (tmp_path / "seen.html").read_text(encoding="utf-8")
    assert "seen.html" in text and "Not passed: check_dependencies, check_scene, check_panel" in report
    assert report.count("failed (exit status 3)") == 5


def test_the_steps_of_the_tour_are_in_the_report_with_their_pictures(tmp_path: Path) -> None:
    (tmp_path / "01-paint.png").write_bytes(b"\x89PNG")
    steps = [
        {"name": "paint", "about": "With a <mouse>.", "passed": True, "seconds": 1.26, "picture": "01-paint.png"},
        {"name": "undo", "about": "", "passed": False, "problem": "AssertionError: [3]", "seconds": 0.0},
    ]
    (tmp_path / "tour.json").write_text(json.dumps(steps), encoding="utf-8")
    text = page({"check_scene": "passed", "check_tour": "failed (exit status 1)"}, tmp_path)
    assert "<td>With a &lt;mouse&gt;.</td><td>passed</td><td>1.3 s</td>" in text
    assert "failed: AssertionError: [3]" in text and "Not passed: check_tour." in text
    assert text.count("<figure>") == 1 and "data:image/png;base64,iVBORw==" in text


def test_a_report_without_a_tour_says_what_there_is(tmp_path: Path) -> None:
    assert "All passed." in page({"check_scene": "passed"}, tmp_path)


def test_the_checks_use_only_names_that_slicer_has(repository: Path, tmp_path: Path) -> None:
    """The controls by their names in the .ui file, too."""
    shutil.copytree(repository / "Testing" / "slicer", tmp_path / "checks")
    for name in ("MetaSegment.py", "Resources/UI/MetaSegment.ui"):
        shutil.copy(repository / "MetaSegment" / name, tmp_path / "checks")
    assert problems(tmp_path / "checks") == []
    tour = tmp_path / "checks" / "check_tour.py"
    text = tour.read_text(encoding="utf-8")
    for right, wrong in (("ui.suggestButton.click", "ui.suggestBtn.click"), ("util.clickAndDrag", "util.clickDrag")):
        assert right in text
        tour.write_text(text.replace(right, wrong), encoding="utf-8")
        assert problems(tmp_path / "checks"), wrong
