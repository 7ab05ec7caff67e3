"""Kill -9 at random moments of ``segment``, ``evaluate`` and ``train``: nothing lost, nothing half-written, goes on.

    python Testing/benchmarks/kill.py --count 200

Each command runs once undisturbed, then again and again in another folder, killed each time, and at last to its end:
the inputs are what they were, every file is whole after every kill, and the end is that of the undisturbed run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import write_image

LIBRARY = Path(__file__).resolve().parents[2] / "MetaSegment"
SHAPE = (24, 40, 36)
GRID = Grid(SHAPE[::-1], (0.0, 0.0, 0.0), (1.0, 1.0, 2.5), tuple(np.eye(3).ravel()))
COMMANDS = ("segment", "evaluate", "train")
VOLATILE = ("seconds", "peak_memory_mb")
MINUTE = re.compile(rb"(?<=/)\d{8}T\d{4}Z(?=/)")  # when a run ended, in the record of a segment


@dataclass
class Outcome:
    """Counts of kills, of those that hit a run before its end, and what was wrong."""

    kills: int = 0
    in_time: int = 0
    faults: tuple[str, ...] = ()

    def fault(self, text: str) -> None:
        self.faults += (text,)


def make_inputs(folder: Path) -> None:
    """A labelled volume as a data set, and three of its slices as paint."""
    index = np.indices(SHAPE)
    ball = sum(((index[n] - c) / r) ** 2 for n, (c, r) in enumerate(((11.5, 9), (20, 11), (17, 9)))) <= 1
    image = (100 + 60 * ball + np.random.default_rng(0).normal(0, 8, SHAPE)).astype(np.int16)
    painted = np.zeros(SHAPE, np.uint8)
    for k in (5, 11, 17):
        painted[k] = ball[k]
    for name, array in (("images", image), ("labels", ball.astype(np.uint8))):
        (folder / "set" / name).mkdir(parents=True)
        write_image(folder / "set" / name / "one.nii.gz", array, GRID)
    write_image(folder / "painted.nrrd", painted, GRID)


def words(command: str, inputs: Path, output: Path) -> list[str]:
    given: dict[str, list[object]] = {
        "segment": [
            *("--image", inputs / "set/images/one.nii.gz", "--support", inputs / "painted.nrrd", "--method", "shape"),
            *("--output", output / "o.seg.nrrd", "--uncertainty", output / "u.nhdr", "--report", output / "r.json"),
        ],
        "evaluate": [
            *("--data", inputs / "set", "--output", output, "--methods", "shape", "--k", "3,5"),
            *("--placement", "inside,ends", "--no-surface"),
        ],
        "train": [
            *("base", "--episodes", inputs / "episodes", "--output", output, "--steps", 12, "--tasks", 1),
            *("--support", 2, "--queries", 2, "--save-every", 0, "--device", "cpu"),
        ],
    }
    return [command, *map(str, given[command]), "--quiet"]


def start(command: str, inputs: Path, output: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    run = [sys.executable, "-m", "MetaSegmentLib", *words(command, inputs, output)]
    pipe = subprocess.PIPE
    return subprocess.Popen(run, env=environment, stdout=subprocess.DEVNULL, stderr=pipe, text=True)


def finish(command: str, inputs: Path, output: Path) -> float:
    """Seconds of a run that is left alone."""
    begin = time.monotonic()
    process = start(command, inputs, output)
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command} ended with status {process.returncode}: {said}")
    return time.monotonic() - begin


def content(folder: Path) -> dict[str, str]:
    """Name → hash of all files that are not waiting, without what is never the same twice."""
    found = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if not file.is_file() or name.endswith(".part") or any(part.startswith(".") for part in Path(name).parts):
            continue
        data = file.read_bytes()
        if file.suffix == ".json":
            data = json.dumps(_steady(json.loads(data)), sort_keys=True).encode()
        if name.endswith(".seg.nrrd"):
            data = MINUTE.sub(b"", data)
        found[name] = hashlib.sha256(data).hexdigest()
    return found


def _steady(value: object) -> object:
    if isinstance(value, dict):
        return {key: _steady(one) for key, one in value.items() if key not in VOLATILE}
    return [_steady(one) for one in value] if isinstance(value, list) else value


def results(command: str, folder: Path) -> dict[str, str]:
    """The files of a finished run that are the same each time."""
    kept = {"segment": ("",), "evaluate": ("cases/",), "train": ("base.safetensors",)}[command]
    return {name: data for name, data in content(folder).items() if name.startswith(kept)}


def kill_often(command: str, count: int, folder: Path, seed: int = 0) -> Outcome:
    """Kill a command ``count`` times and see what is there after each."""
    chance = random.Random(f"{command} {seed}")
    outcome = Outcome()
    inputs, whole, broken = folder / "inputs", folder / f"{command} whole", folder / f"{command} broken"
    for one in (whole, broken):
        one.mkdir()
    given = content(inputs)
    finish(command, inputs, whole)
    again = folder / f"{command} again"
    again.mkdir()
    seconds = finish(command, inputs, again)
    expected = results(command, whole)
    older = dict.fromkeys(expected, "")
    if command == "segment":
        for name in expected:
            (broken / name).write_text("older" if not name.endswith(".json") else '"older"', encoding="utf-8")
        older = content(broken)
    for _ in range(count):
        process = start(command, inputs, broken)
        try:
            process.wait(chance.uniform(0.3, 1) * seconds)
        except subprocess.TimeoutExpired:
            outcome.in_time += 1
        process.kill()
        process.communicate()
        outcome.kills += 1
        if process.returncode == 0 and command != "segment":  # it went on to its end: from the beginning
            if results(command, broken) != expected:
                outcome.fault(f"{command}: the end is not that of an undisturbed run")
            shutil.rmtree(broken)
            broken.mkdir()
        if process.returncode > 0:
            outcome.fault(f"{command}: it did not go on, status {process.returncode}")
        for name, data in results(command, broken).items():
            if command == "train":  # its weights are those of any step; the end is compared
                load_file(broken / name)
            elif data not in (expected.get(name), older.get(name)):
                outcome.fault(f"{command}: {name} is neither the older nor the new one")
        if command == "segment" and set(content(broken)) != set(expected):
            outcome.fault("segment: files are missing or new")
    finish(command, inputs, broken)
    if results(command, broken) != expected:
        outcome.fault(f"{command}: the end is not that of an undisturbed run")
    if left := [file.name for file in broken.rglob(".metasegment-*")]:
        outcome.fault(f"{command}: {len(left)} hidden folders are left")
    if content(inputs) != given:
        outcome.fault(f"{command}: an input was changed")
    return outcome


def make_episodes(folder: Path) -> None:
    """Two small episodes for ``train``."""
    from safetensors.numpy import save_file

    from MetaSegmentLib.networks.plan import SLICE_V1

    folder.mkdir()
    size = SLICE_V1.frame.size
    rows, columns = np.indices((size, size))
    for number in range(2):
        chance = np.random.default_rng(number)
        parts = {}
        for kind in ("support", "query"):
            truth = np.stack([(rows - y) ** 2 + (columns - x) ** 2 < 400 for y, x in chance.uniform(35, 60, (3, 2))])
            inputs = chance.normal(0, 0.1, (3, len(SLICE_V1.inputs), size, size))
            parts |= {kind: inputs.astype(np.float16), f"{kind}_truth": truth}
        save_file(parts, folder / f"{number:06d}.safetensors")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="kills of each command (%(default)s)")
    parser.add_argument("--commands", nargs="+", default=COMMANDS, choices=COMMANDS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    faults = 0
    with tempfile.TemporaryDirectory(prefix="kill-") as name:
        folder = Path(name)
        make_inputs(folder / "inputs")
        make_episodes(folder / "inputs" / "episodes")
        for command in arguments.commands:
            outcome = kill_often(command, arguments.count, folder, arguments.seed)
            faults += len(outcome.faults)
            print(f"{command}: {outcome.kills} kills, {outcome.in_time} of them before the end", flush=True)
            print(*(f"  {fault}" for fault in outcome.faults), sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
