"""Ctrl-C and being killed, at the worst moment: half of the outputs are written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.workplace import Workplace
from MetaSegmentLib.cli import main

# Writes the segmentation, says so, and then takes its time before the files would be moved to their places.
SLOW = """
import sys, time
import MetaSegmentLib.files.run as run
from MetaSegmentLib.cli import main
write = run.write_report
def write_slowly(path, report):
    write(path, report)
    print("written", flush=True)
    time.sleep(60)
run.write_report = write_slowly
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_no_output_changes_when_a_run_is_stopped(
    workplace: Workplace, repository: Path, number: signal.Signals, status: int
) -> None:
    workplace.path("out.seg.nrrd").write_bytes(b"older")
    before = workplace.listing()
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *workplace.words(report="r.json")],
        cwd=repository / "MetaSegment",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n", process.communicate()
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == status
    after = {name: content for name, content in workplace.listing().items() if not name.startswith(".metasegment-")}
    assert after == before
    if number != signal.SIGKILL:
        assert said == "metasegment: Interrupted before it was done; nothing was written, run it again.\n"
        assert not list(workplace.folder.glob(".metasegment-*"))


# Stopped when Python looks for a module: of the program's own, of others, and of what the parser asks for its options;
# by code made from text, after which Python would end by the signal and not with a status.
STOPPED_AT = """
import runpy, sys
class Stopping:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            exec("raise KeyboardInterrupt")
sys.meta_path.insert(0, Stopping())
runpy.run_module("MetaSegmentLib", run_name="__main__")
"""


@pytest.mark.parametrize("module", ["MetaSegmentLib.cli", "numpy", "MetaSegmentLib.training.command"])
def test_a_run_that_is_stopped_while_modules_are_read_ends_without_a_traceback(repository: Path, module: str) -> None:
    words = [sys.executable, "-c", STOPPED_AT, module]
    done = subprocess.run(words, cwd=repository / "MetaSegment", capture_output=True, text=True, check=False)
    said = "metasegment: Interrupted before it began; nothing was written, run it again.\n"
    assert (done.returncode, done.stdout, done.stderr) == (130, "", said)


# A second Ctrl-C, or one that comes after the work: out of main(), with something printed that still waits in a pipe.
STOPPED_LATE = """
import sys
import MetaSegmentLib.cli as cli
from MetaSegmentLib.__main__ import start
def main():
    print("summary")
    raise KeyboardInterrupt
cli.main = main
sys.exit(start())
"""


def test_a_run_that_is_stopped_after_its_work_says_nothing_else_and_loses_nothing(repository: Path) -> None:
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    words = [sys.executable, "-c", STOPPED_LATE]
    about = {"cwd": repository / "MetaSegment", "env": surroundings, "capture_output": True, "text": True}
    done = subprocess.run(words, **about, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "summary\n", "")


def test_an_evaluation_says_that_its_cases_are_kept(monkeypatch, capsys) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("MetaSegmentLib.evaluation.command.run", interrupted)
    assert main(["evaluate", "--data", "nowhere", "--output", "nowhere"]) == 130
    said = "Interrupted before it was done; what is done is kept, run it again."
    assert capsys.readouterr().err == f"metasegment: {said}\n"
