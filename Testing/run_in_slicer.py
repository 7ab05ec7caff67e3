#!/usr/bin/env python3
"""Run the checks that need a real Slicer:

    python3 Testing/run_in_slicer.py /path/to/Slicer --install

They use the module of this checkout, without a window and with one: a scan is painted with the mouse, segmented,
corrected, saved and loaded, the scene is closed and Slicer left in the middle of a run. What came out is a table with
pictures in one file, slicer-checks.html. --install first puts what MetaSegment needs into that Slicer's Python: torch
through the PyTorch extension, or with --torch-by-pip or --wheels FOLDER where that is missing; nothing else in Slicer
is changed. The exit status is 0 when all pass. On Linux without a display, a virtual one (xvfb-run) is used.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from slicer_report import page

ROOT = Path(__file__).resolve().parents[1]
CHECKS = {
    "check_dependencies": False,
    "check_scene": False,
    "check_panel": True,
    "check_tour": True,
    "check_quit": True,
}
"""Whether a check needs the main window."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slicer", type=Path, help="the executable")
    parser.add_argument("--install", action="store_true", help="first install what MetaSegment needs")
    parser.add_argument("--no-window", action="store_true", help="leave out what needs the main window")
    parser.add_argument("--timeout", type=float, default=600, metavar="SECONDS", help="for each check (default 600)")
    parser.add_argument("--torch-by-pip", action="store_true", help="with --install: PyTorch from PyPI")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="with --install: from here, without a network")
    parser.add_argument(
        "--report", type=Path, default=Path("slicer-checks.html"), metavar="FILE", help="default: %(default)s"
    )
    options = parser.parse_args(arguments)
    if not options.slicer.is_file():
        parser.error(f"there is no file {options.slicer}")
    if (options.torch_by_pip or options.wheels) and not options.install:
        parser.error("--torch-by-pip and --wheels go with --install")
    with tempfile.TemporaryDirectory(prefix="metasegment-") as folder:
        results = run_checks(options, Path(folder))
        options.report.write_text(page(results, Path(folder)), encoding="utf-8")
    print("\n".join(f"{name}: {result}" for name, result in results.items()))
    print(f"With pictures: {options.report.resolve().as_uri()}")
    if set(results.values()) <= {"passed", "left out"}:
        return 0
    if not options.install:
        print("If the reason is a missing Python package, run this again with --install.")
    return 1


def run_checks(options: argparse.Namespace, folder: Path) -> dict[str, str]:
    """What each check came to; pictures and more go to ``folder``."""
    results = {}
    if options.install:
        # With the user's settings, which tell where the PyTorch extension is; it downloads, so it may take long.
        switches = ["--no-main-window", "--exit-after-startup"]
        how = ["--torch-by-pip"] if options.torch_by_pip else []
        how += ["--wheels", str(options.wheels.resolve())] if options.wheels else []
        results["install"] = run(options.slicer, switches, [ROOT / "setup_deps.py", *how], 3600, folder)
    for name, window in CHECKS.items():
        if window and options.no_window:
            results[name] = "left out"
            continue
        switches = ["--disable-settings", "--ignore-slicerrc", "--testing"]
        switches += [] if window else ["--no-main-window"]
        switches += ["--additional-module-paths", str(ROOT / "MetaSegment")]
        script = [ROOT / "Testing" / "slicer" / f"{name}.py"]
        results[name] = run(options.slicer, switches, script, options.timeout, folder, window)
    return results


def run(
    slicer: Path, switches: list[str], script: list[Path | str], timeout: float, folder: Path, window: bool = False
) -> str:
    """Run a script with its arguments in Slicer, which quits by itself when it is done."""
    command = [str(slicer), "--no-splash", *switches, "--python-script", *map(str, script)]
    if window and sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        screen = shutil.which("xvfb-run")
        if screen is None:
            return "failed (no display: install xvfb, or leave it out with --no-window)"
        command = [screen, "--auto-servernum", "--server-args=-screen 0 1600x1200x24", *command]
    print(f"== {Path(script[0]).stem}", flush=True)
    try:
        environment = {**os.environ, "METASEGMENT_CHECKS": str(folder)}
        status = subprocess.run(command, timeout=timeout, check=False, env=environment).returncode
    except subprocess.TimeoutExpired:
        return f"not done after {timeout:.0f} s"
    return "passed" if status == 0 else f"failed (exit status {status})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
