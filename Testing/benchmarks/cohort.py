"""Cohorts: workers against a loop over ``metasegment segment``, adapting once against each time, kills and resumes.

    python Testing/benchmarks/cohort.py --parts loop,once,killed

Ratios count; seconds are those of the machine. ``killed`` runs a cohort once undisturbed and once killed twice at
random moments (kill -9 of the whole batch) and resumed: same labels bit for bit, and no case done twice.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cohort"))

from small_cohort import ENVIRONMENT, SmallCohort, labels_in

from MetaSegmentLib.files.kept import Kept
from MetaSegmentLib.files.many import run_job
from MetaSegmentLib.files.run import Job
from MetaSegmentLib.settings import Settings

PARTS = ("loop", "once", "killed")
PROGRAM = [sys.executable, "-m", "MetaSegmentLib"]


def batch(manifest: Path, output: Path, workers: int, *more: str, method: str = "shape") -> subprocess.Popen[bytes]:
    words = ["--manifest", str(manifest), "--output", str(output), "--method", method, "--workers", str(workers)]
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    run = [*PROGRAM, "batch", *words, "--no-dashboard", "--quiet", *more]
    return subprocess.Popen(run, env=ENVIRONMENT, start_new_session=True, **nowhere)


def finish(process: subprocess.Popen[bytes]) -> None:
    if process.wait():
        raise RuntimeError(f"The batch ended with status {process.returncode}.")


def against_a_loop(folder: Path, count: int, counts: tuple[int, ...]) -> None:
    """Seconds of a cohort whose cases have paint of their own, by a loop over the command and by workers."""
    cohort = SmallCohort(folder / "loop", count)
    start = time.monotonic()
    for case in cohort.painted():
        words = ["--image", case.image, "--support", case.support[0], "--output", folder / "one.seg.nrrd"]
        subprocess.run(
            [*PROGRAM, "segment", *map(str, words), "--method", "shape", "--quiet"], env=ENVIRONMENT, check=True
        )
    loop = time.monotonic() - start
    print(f"{count} cases, shape: a loop over metasegment segment {loop:.1f} s", flush=True)
    for workers in counts:
        start = time.monotonic()
        finish(batch(cohort.manifest(), folder / f"workers{workers}", workers))
        seconds = time.monotonic() - start
        print(f"    {workers} workers {seconds:.1f} s, {loop / seconds:.1f} times as fast", flush=True)


def adapting_once(folder: Path, count: int, method: str) -> None:
    """Processor seconds a case, from the paint of one other patient, with the support kept and without, in turns."""
    cohort = SmallCohort(folder / "once", count + 1)
    keeping = Kept(1)
    seconds = {"per case": 0.0, "once": 0.0}
    run_job(_job(cohort, 1, folder, method))  # what is loaded once is loaded
    for number in range(1, count + 1):
        for name, kept in (("per case", None), ("once", keeping)):
            start = time.process_time()
            run_job(_job(cohort, number, folder, method), kept=kept)
            seconds[name] += (time.process_time() - start) / count
    ratio = seconds["per case"] / seconds["once"]
    print(
        f"{count} cases from one support, {method}: adapted per case {seconds['per case']:.2f} s a case, "
        f"once {seconds['once']:.2f} s, {ratio:.2f} times as fast",
        flush=True,
    )


def _job(cohort: SmallCohort, number: int, folder: Path, method: str) -> Job:
    output = folder / f"once{number}.seg.nrrd"
    return Job(cohort.image(number), cohort.paint(0), output, cohort.image(0), settings=Settings(method, "cpu"))


def killed_and_resumed(folder: Path, count: int, kills: int, workers: int, seed: int) -> bool:
    """A cohort killed at random moments and resumed against one that was left alone; whether they are the same."""
    cohort, chance = SmallCohort(folder / "killed", count), random.Random(seed)
    whole, broken = folder / "whole", folder / "broken"
    start = time.monotonic()
    finish(batch(cohort.manifest(), whole, workers))
    seconds = time.monotonic() - start
    print(
        f"{count} cases, {workers} workers, left alone: {seconds:.1f} s, {count / seconds * 60:.0f} a minute",
        flush=True,
    )
    times: dict[str, int] = {}
    touched = 0
    for kill in range(kills + 1):
        process = batch(cohort.manifest(), broken, workers, *(["--resume"] if kill else []))
        if kill == kills:
            finish(process)
        else:
            before = len(entries(broken))
            goal = chance.randint(1, max(1, count // (kills + 1)))
            while len(entries(broken)) - before < goal and process.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.random() / 2)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        found = {file.name: file.stat().st_mtime_ns for file in broken.glob("*.seg.nrrd")}
        touched += sum(found.get(name) != at for name, at in times.items())
        times = found
        print(
            f"    {'end' if kill == kills else 'killed'}: {len(found)} results, {len(entries(broken))} lines",
            flush=True,
        )
    same = labels_in(whole) == labels_in(broken)
    twice = sum(n > 1 for n in Counter(entry["id"] for entry in entries(broken)).values())
    taken_over = sum(bool(entry.get("found")) for entry in entries(broken))
    with (broken / "summary.csv").open(encoding="utf-8", newline="") as file:
        done = sum(row["state"] == "done" for row in csv.DictReader(file))
    print(
        f"    same bit for bit: {same}; {done} done; {twice} done twice, {touched} results written again, {taken_over} "
        "results taken over that were there before their line",
        flush=True,
    )
    return same and not twice and not touched and done == count


def entries(folder: Path) -> list[dict[str, object]]:
    """The whole lines of a journal."""
    journal = folder / "journal.jsonl"
    found = []
    for line in journal.read_bytes().splitlines() if journal.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--parts", default=",".join(PARTS), help="of loop, once, killed")
    add("--cases", type=int, default=12, help="of the comparisons")
    add("--workers", default="1,2,4", help="numbers of workers to compare")
    add("--methods", default="shape,experts", help="to adapt once and per case")
    add("--many", type=int, default=200, help="cases of the cohort that is killed")
    add("--kills", type=int, default=2)
    add("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    parts = given.parts.split(",")
    fine = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "loop" in parts:
            against_a_loop(folder, given.cases, tuple(int(n) for n in given.workers.split(",")))
        if "once" in parts:
            for method in given.methods.split(","):
                adapting_once(folder, given.cases, method)
        if "killed" in parts:
            fine = killed_and_resumed(folder, given.many, given.kills, 2, given.seed)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
