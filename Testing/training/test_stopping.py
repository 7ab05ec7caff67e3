"""Runs that are stopped, killed or shared among processes end with the weights of one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.slice_unet import SliceNetwork
from MetaSegmentLib.training.checkpoint import Checkpoint

STEPS = 16
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

# What each process ends with, beside what the run writes.
EACH_RANK = """
import sys
from pathlib import Path
from safetensors.torch import save_file
from MetaSegmentLib.training.config import TrainingSettings
from MetaSegmentLib.training.distributed import joined
from MetaSegmentLib.training.meta import Trainer
episodes, run, tasks = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
with joined("cpu") as (ranks, device):
    settings = TrainingSettings(steps=4, tasks=tasks, support=2, queries=2, device="cpu")
    trainer = Trainer(episodes, run, settings, ranks=ranks, device=device)
    trainer.train()
    save_file({n: p.detach().contiguous() for n, p in trainer.network.named_parameters()}, run / f"rank{ranks.rank}")
"""


def command(episodes: Path, run: Path) -> list[str]:
    options = ["--steps", STEPS, "--tasks", 1, "--support", 2, "--queries", 2, "--save-every", 0, "--device", "cpu"]
    words = ["train", "base", "--episodes", episodes, "--output", run, *options, "--quiet"]
    return [sys.executable, "-m", "MetaSegmentLib", *map(str, words)]


def test_a_run_that_was_stopped_and_killed_ends_with_the_same_weights(
    episodes: Path, tmp_path: Path, repository: Path
) -> None:
    start: dict[str, Any] = {"cwd": repository / "MetaSegment", "env": ENVIRONMENT, "stderr": subprocess.PIPE}
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    whole = subprocess.Popen(command(episodes, unbroken), **start)
    last = 0
    for number, status in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        process = subprocess.Popen(command(episodes, broken), **start)
        until = time.monotonic() + 240
        while _step(broken) <= last and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
        assert process.returncode == status, said
        last = _step(broken)
        assert 0 < last < STEPS
        if number == signal.SIGINT:
            assert f"Stopped after step {last}; the same command goes on from there.".encode() in said
    done = subprocess.run(command(episodes, broken), check=True, timeout=300, **start)
    assert b"Traceback" not in done.stderr
    assert whole.wait(300) == 0
    one, two = (load_file(run / "state.safetensors") for run in (unbroken, broken))
    assert set(one) == set(two) and all(torch.equal(one[name], two[name]) for name in one)
    assert (unbroken / "log.jsonl").read_text(encoding="utf-8") == (broken / "log.jsonl").read_text(encoding="utf-8")


def _step(run: Path) -> int:
    state = Checkpoint.read(run)
    return int(state.about["step"]) if state else 0


def test_two_processes_do_what_one_does_with_twice_the_episodes(
    episodes: Path, tmp_path: Path, repository: Path
) -> None:
    script = tmp_path / "each_rank.py"
    script.write_text(EACH_RANK, encoding="utf-8")
    environment = {**ENVIRONMENT, "PYTHONPATH": str(repository / "MetaSegment")}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for launch, run, tasks in (([sys.executable], "alone", 2), (torchrun, "shared", 1)):
        words = [*launch, str(script), str(episodes), str(tmp_path / run), str(tasks)]
        subprocess.run(words, env=environment, check=True, timeout=300, capture_output=True)
    first, second, alone = (load_file(tmp_path / name) for name in ("shared/rank0", "shared/rank1", "alone/rank0"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    torch.manual_seed(0)
    start = dict(SliceNetwork().named_parameters())
    moved = sum(float((alone[name] - start[name].detach()).pow(2).sum()) for name in alone)
    apart = sum(float((alone[name] - first[name]).pow(2).sum()) for name in alone)
    assert 0 < moved and apart < 1e-4 * moved
    assert set(weights.load("base", tmp_path / "shared")) == set(alone)
