"""The command that runs the checks inside a real Slicer, with a program in its place that notes its arguments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the program in Slicer's place is a shell script")


def run(repository: Path, folder: Path, status: int, *options: str, display: str = ":0") -> tuple[int, str, list[str]]:
    slicer, notes = folder / "Slicer", folder / "notes.txt"
    slicer.write_text(f'#!/bin/sh\necho "$@" >> "{notes}"\nexit {status}\n', encoding="utf-8")
    slicer.chmod(0o755)
    others = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [sys.executable, str(repository / "Testing" / "run_in_slicer.py"), str(slicer), *options],
        capture_output=True,
        text=True,
        check=False,
        env={**others, "DISPLAY": display, "PATH": str(folder)},
    )
    return done.returncode, done.stdout + done.stderr, notes.read_text(encoding="utf-8").splitlines()


def test_every_check_is_run_on_this_checkout(repository: Path, tmp_path: Path) -> None:
    status, text, calls = run(repository, tmp_path, 0)
    assert status == 0 and text.count("passed") == 3
    scripts = {Path(call.split()[-1]) for call in calls}
    assert scripts == set((repository / "Testing" / "slicer").glob("check_*.py"))
    assert all(str(repository / "MetaSegment") in call for call in calls)
    assert sum("--no-main-window" in call for call in calls) == 2


def test_without_a_window_the_panel_is_left_out(repository: Path, tmp_path: Path) -> None:
    status, text, calls = run(repository, tmp_path, 0, "--no-window")
    assert status == 0 and "check_panel: left out" in text and len(calls) == 2


def test_a_failure_is_told(repository: Path, tmp_path: Path) -> None:
    status, text, _calls = run(repository, tmp_path, 1)
    assert status == 1 and "failed (exit status 1)" in text and "--install" in text


def test_what_is_missing_is_installed_first(repository: Path, tmp_path: Path) -> None:
    status, text, calls = run(repository, tmp_path, 0, "--install")
    assert status == 0 and text.count("passed") == 4
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
    assert status == 0 and calls[-2] == "virtual" and "check_panel.py" in calls[-1]
