#!/usr/bin/env python3
"""Run tests of the scene and the panel on several versions of Slicer, as far as PyPI has them (``slicer-core``):

    python3 Testing/benchmarks/slicer_versions.py --work scratch Testing/scene Testing/gui

Each version goes into a folder of its own with the VTK it asks for, and is put before the environment's own one; the
rest of the environment is the one that runs this. Slicer 5.10 has no such package: what differs in it, the way to run
pip, is tested with a made-up one (Testing/test_dependencies.py).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).resolve().parent / "results"
VERSIONS = ("5.11.0.2", "5.11.0.6", "5.12.4.0", "5.13.31053.0")
"""The oldest, the one of requirements.lock, the stable one, and main's."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="*", default=["Testing/scene", "Testing/gui"], help="as pytest takes them")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="the versions are kept here")
    parser.add_argument("--versions", nargs="+", default=VERSIONS, metavar="VERSION")
    parser.add_argument("--timeout", type=float, default=1800, metavar="SECONDS", help="for each version")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FOLDER")
    options = parser.parse_args(arguments)
    rows = []
    for version in options.versions:
        folder = options.work.resolve() / version
        print(f"== slicer-core {version}", flush=True)
        install(version, folder)
        rows.append(run(version, folder, options.tests, options.timeout))
        print(table(rows[-1:]).splitlines()[-1], flush=True)
        command = f"python3 Testing/benchmarks/slicer_versions.py --work scratch {' '.join(options.tests)}"
        write(options.output, rows, command)
    return 0 if all(row["passed"] and not row["failed"] and row["done"] for row in rows) else 1


def install(version: str, folder: Path) -> None:
    """Put that version and the VTK it is pinned to into ``folder``, unless they are there."""
    if not list(folder.glob("slicer_core-*.dist-info")):
        pip(folder, f"slicer-core=={version}")
    if not list(folder.glob("vtk-*.dist-info")):
        found = next(iter(metadata.distributions(name="slicer-core", path=[str(folder)])))
        pip(folder, next(text for text in found.requires or [] if text.startswith("vtk==")))


def pip(folder: Path, requirement: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps", "--target", str(folder)]
    subprocess.run([*command, requirement], check=True)


def run(version: str, folder: Path, tests: list[str], timeout: float) -> dict[str, Any]:
    """Counts of one version; ``done`` is False when it took too long or ended without a report."""
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    paths = (str(folder), str(ROOT / "MetaSegment"), os.environ.get("PYTHONPATH", ""))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "QT_QPA_PLATFORM": "offscreen"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    used = subprocess.run(
        [sys.executable, "-c", "import slicer, vtk; print(slicer.__file__, vtk.VTK_VERSION)"],
        capture_output=True, text=True, check=True, cwd=ROOT, env=environment,
    ).stdout.split()  # fmt: skip
    assert Path(used[0]).is_relative_to(folder), f"{used[0]} is not the version to be tested"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
    start = time.perf_counter()
    try:
        subprocess.run(command, cwd=ROOT, env=environment, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        print(f"not done after {timeout:.0f} s", flush=True)
    row = {"slicer_core": version, "vtk": used[1], "python": "{}.{}".format(*sys.version_info)}
    return {**row, **counts(report), "seconds": round(time.perf_counter() - start)}


def counts(report: Path) -> dict[str, Any]:
    """What a report of pytest in JUnit's form says."""
    if not report.is_file():
        return {"done": False, "passed": 0, "failed": [], "skipped": 0}
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    names = [f"{case.get('classname')}.{case.get('name')}" for case in bad]
    return {"done": True, "passed": len(cases) - len(bad) - len(skipped), "failed": names, "skipped": len(skipped)}


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| slicer-core | VTK | Python | passed | failed | skipped | |", "|---|---|---|---:|---:|---:|---|"]
    for row in rows:
        end = "" if row["done"] else "not done in time"
        figures = f"{row['passed']} | {len(row['failed'])} | {row['skipped']}"
        lines.append(f"| {row['slicer_core']} | {row['vtk']} | {row['python']} | {figures} | {end} |")
    return "\n".join(lines)


def write(output: Path, rows: list[dict[str, Any]], command: str) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / "slicer-versions.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    failed = "".join(f"\n- {row['slicer_core']}: `{name}`" for row in rows for name in row["failed"])
    text = f"# Tests on several versions of Slicer\n\n    {command}\n\n{table(rows)}\n"
    text += f"\nFailed:\n{failed}\n" if failed else ""
    (output / "slicer-versions.md").write_text(re.sub(r" +$", "", text, flags=re.MULTILINE), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
