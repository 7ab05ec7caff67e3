"""The script for Slicer without a window, with the slicer-core package in the place of the application."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_cohort import ENVIRONMENT, SHAPE_ONLY, SmallCohort, labels_in

from MetaSegmentLib import SettingsError


@pytest.mark.parametrize("core", [True, False], ids=["slicer-core", "plain Python"])
def test_the_script_segments_and_ends_with_its_status(
    tmp_path: Path, results: Path, repository: Path, core: bool
) -> None:
    if core:
        pytest.importorskip("slicer")
    cohort = SmallCohort(tmp_path / "data", 2)
    script = repository / "Resources" / "batch_in_slicer.py"
    lines = ["import runpy, sys", *(["import slicer"] if core else []), f"sys.argv = [{str(script)!r}, *sys.argv[1:]]"]
    starter = tmp_path / "starter.py"  # as an application runs a script: its file is not that of the process
    starter.write_text(
        "\n".join([*lines, "if __name__ == '__main__':", f"    runpy.run_path({str(script)!r}, run_name='__main__')"]),
        encoding="utf-8",
    )

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(starter), *words],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    words = ["--manifest", str(cohort.manifest()), "--output", str(results), "--method", "shape", "--workers", "1"]
    done = run(*words, "--no-dashboard", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(labels_in(results)) == ["case0.seg.nrrd", "case1.seg.nrrd"]
    assert run(*words, "--no-dashboard", "--quiet").returncode == 1  # a batch is there already
    assert run("--manifest").returncode == 2


def test_the_console_does_a_cohort_from_a_manifest_and_from_cases(tmp_path: Path, results: Path) -> None:
    pytest.importorskip("slicer")
    from MetaSegment import MetaSegmentLogic

    cohort = SmallCohort(tmp_path / "data", 2)
    logic, environment = MetaSegmentLogic(), dict(os.environ)
    done = logic.processCohort(cohort.manifest(), results, SHAPE_ONLY, workers=1)
    assert [row.state for row in done.rows] == ["done", "done"]
    again = logic.processCohort(cohort.painted(), results, SHAPE_ONLY, resume=True, workers=1)
    assert [row.state for row in again.rows] == ["done", "done"]
    assert sorted(labels_in(results)) == ["case0.seg.nrrd", "case1.seg.nrrd"]
    assert dict(os.environ) == environment
    with pytest.raises(SettingsError, match="There is no format 'stl'"):
        logic.processCohort(cohort.manifest(), results, format="stl")
