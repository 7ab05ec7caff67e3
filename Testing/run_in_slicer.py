#!/usr/bin/env python3
"""Run the checks that need a real Slicer:

    python3 Testing/run_in_slicer.py /path/to/Slicer --install

They use the module of this checkout, without a window and with one. --install first puts what MetaSegment needs into
that Slicer's Python (torch through the PyTorch extension if that is there); nothing else in Slicer is changed. The
exit status is 0 when all pass. On Linux without a display, a virtual one (xvfb-run) is used for the window.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKS = {"check_dependencies": False, "check_scene": False, "check_panel": True}
"""Whether a check needs the main window."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slicer", type=Path, help="the executable")
    parser.add_argument("--install", action="store_true", help="first install what MetaSegment needs")
    parser.add_argument("--no-window", action="store_true", help="leave out what needs the main window")
    parser.add_argument("--timeout", type=float, default=600, metavar="SECONDS", help="for each check (default 600)")
    options = parser.parse_args(arguments)
    if not options.slicer.is_file():
        parser.error(f"there is no file {options.slicer}")
    results = {}
    if options.install:
        # With the user's settings, which tell where the PyTorch extension is; it downloads, so it may take long.
        switches = ["--no-main-window", "--exit-after-startup"]
        results["install"] = run(options.slicer, switches, ROOT / "setup_deps.py", 3600)
    for name, window in CHECKS.items():
        if window and options.no_window:
            results[name] = "left out"
            continue
        switches = ["--disable-settings", "--ignore-slicerrc", "--testing"]
        switches += [] if window else ["--no-main-window"]
        switches += ["--additional-module-paths", str(ROOT / "MetaSegment")]
        results[name] = run(
            options.slicer, switches, ROOT / "Testing" / "slicer" / f"{name}.py", options.timeout, window
        )
    print("\n".join(f"{name}: {result}" for name, result in results.items()))
    if set(results.values()) <= {"passed", "left out"}:
        return 0
    if not options.install:
        print("If the reason is a missing Python package, run this again with --install.")
    return 1


def run(slicer: Path, switches: list[str], script: Path, timeout: float, window: bool = False) -> str:
    """Run a script in Slicer, which quits by itself when it is done."""
    command = [str(slicer), "--no-splash", *switches, "--python-script", str(script)]
    if window and sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        screen = shutil.which("xvfb-run")
        if screen is None:
            return "failed (no display: install xvfb, or leave it out with --no-window)"
        command = [screen, "--auto-servernum", "--server-args=-screen 0 1600x1200x24", *command]
    print(f"== {script.stem}", flush=True)
    try:
        status = subprocess.run(command, timeout=timeout, check=False).returncode
    except subprocess.TimeoutExpired:
        return f"not done after {timeout:.0f} s"
    return "passed" if status == 0 else f"failed (exit status {status})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
