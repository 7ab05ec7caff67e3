"""The command that runs the checks inside a real Slicer, with a program in its place that notes its arguments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the program in Slicer's place is a shell script")


def run(repository: Path, folder: Path, status: int, *options: str) -> tuple[int, str, list[str]]:
    slicer, notes = folder / "Slicer", folder / "notes.txt"
    slicer.write_text(f'#!/bin/sh\necho "$@" >> "{notes}"\nexit {status}\n', encoding="utf-8")
    slicer.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(repository / "Testing" / "run_in_slicer.py"), str(slicer), *options],
        capture_output=True,
        text=True,
        check=False,
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
    assert status == 1 and "failed (exit status 1)" in text
