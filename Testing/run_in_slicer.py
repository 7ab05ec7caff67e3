#!/usr/bin/env python3
"""Run the checks that need a real Slicer:

    python3 Testing/run_in_slicer.py /path/to/Slicer

They use the module of this checkout, and change nothing in Slicer. The exit status is 0 when all pass.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

TESTING = Path(__file__).resolve().parent
CHECKS = {"check_dependencies": False, "check_scene": False, "check_panel": True}
"""Whether a check needs the main window."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slicer", type=Path, help="the executable")
    parser.add_argument("--no-window", action="store_true", help="leave out what needs the main window")
    parser.add_argument("--timeout", type=float, default=600, metavar="SECONDS", help="for each check (default 600)")
    options = parser.parse_args(arguments)
    if not options.slicer.is_file():
        parser.error(f"there is no file {options.slicer}")
    results = {}
    for name, window in CHECKS.items():
        left_out = window and options.no_window
        results[name] = "left out" if left_out else run(options.slicer, name, window, options.timeout)
    print("\n".join(f"{name}: {result}" for name, result in results.items()))
    return 0 if set(results.values()) <= {"passed", "left out"} else 1


def run(slicer: Path, name: str, window: bool, timeout: float) -> str:
    command = [str(slicer), "--no-splash", "--disable-settings", "--testing"]
    command += [] if window else ["--no-main-window"]
    command += ["--additional-module-paths", str(TESTING.parent / "MetaSegment")]
    command += ["--python-script", str(TESTING / "slicer" / f"{name}.py")]
    print(f"== {name}", flush=True)
    try:
        status = subprocess.run(command, timeout=timeout, check=False).returncode
    except subprocess.TimeoutExpired:
        return f"not done after {timeout:.0f} s"
    return "passed" if status == 0 else f"failed (exit status {status})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
