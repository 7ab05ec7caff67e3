"""Bursts: by the clock, with episodes that are made meanwhile, and nothing lost by a kill."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.plan import CONTEXT_V1, SLICE_V1
from MetaSegmentLib.training.augment import augment, recoloured_there
from MetaSegmentLib.training.burst import SUMMARY
from MetaSegmentLib.training.checkpoint import Checkpoint
from MetaSegmentLib.training.config import TrainingSettings
from MetaSegmentLib.training.meta import Trainer
from MetaSegmentLib.training.pack import write_pack
from MetaSegmentLib.training.resident import Resident

CPU = torch.device("cpu")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


class Clock:
    """Seconds that pass only when a test has them pass."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def settings_by_clock(seconds: float) -> TrainingSettings:
    return TrainingSettings(steps=1000, seconds=seconds, tasks=1, support=2, queries=2, rate=1.0)


def test_the_rate_follows_the_clock_and_a_run_ends_by_it(episodes, tmp_path):
    clock, rates = Clock(), []
    trainer = Trainer(episodes, tmp_path, settings_by_clock(10), clock=clock)

    def on_step(step: int, loss: float) -> None:
        warm = step / 100
        rates.append(trainer._optimiser.param_groups[0]["lr"] / warm)
        clock.now += 2.5

    trainer.train(on_step)
    assert rates == pytest.approx([0.5 * (1 + math.cos(math.pi * share)) for share in (0, 0.25, 0.5, 0.75)])
    assert trainer.step == 4 and trainer.done == 1

    again = Trainer(episodes, tmp_path, settings_by_clock(20), clock=clock)
    clock.now += 5
    assert again.step == 4 and again.done == pytest.approx(0.75), "what was spent before the stop counts"


def test_updates_end_a_run_before_the_clock(episodes, tmp_path):
    settings = TrainingSettings(steps=2, seconds=1e6, tasks=1, support=2, queries=2)
    trainer = Trainer(episodes, tmp_path, settings)
    trainer.train()
    assert trainer.step == 2


def test_together_gives_the_gradient_of_one_after_the_other(episodes, tmp_path):
    settings = TrainingSettings("context", steps=1, tasks=3, support=0, queries=3, precision="float32")
    moved = []
    for together in (False, True):
        trainer = Trainer(episodes, tmp_path / str(together), settings, together=together)
        trainer._optimiser = torch.optim.SGD([{"params": list(trainer.network.parameters()), "base": 1.0}], lr=1.0)
        before = {name: value.detach().clone() for name, value in trainer.network.named_parameters()}
        loss = trainer.advance()
        moved.append((loss, {n: v.detach() - before[n] for n, v in trainer.network.named_parameters()}))
    (loss, one), (loss_together, two) = moved
    assert loss == pytest.approx(loss_together, rel=1e-4)
    for name, change in one.items():
        torch.testing.assert_close(two[name], change, rtol=1e-2, atol=1e-6)


def test_episodes_stay_in_memory_and_new_ones_are_met(episodes, tmp_path, monkeypatch):
    for file in sorted(episodes.iterdir())[:2]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = TrainingSettings(tasks=2, support=2, queries=2)
    resident = Resident(tmp_path, CPU)
    draws = resident.draws(settings, 0)
    assert [next(draws)[0] for _ in range(3)] == [0, 1, 2] and len(resident) == 2
    for file in tmp_path.iterdir():
        file.write_bytes(b"")
    last = sorted(episodes.iterdir())[2]
    (tmp_path / last.name).write_bytes(last.read_bytes())
    numbers = [next(draws)[0] for _ in range(200)]
    assert numbers[-1] == 202 and len(resident) == 3

    (size,) = {sum(part.nbytes for part in vars(one).values()) for one in resident._held}
    monkeypatch.setattr("MetaSegmentLib.training.resident._CPU_BYTES", 2 * size)
    full = Resident(episodes, CPU)
    next(full.draws(settings, 0))
    assert len(full) == 2


def test_on_a_gpu_images_are_recoloured_alike_and_nothing_else_is(monkeypatch):
    random = torch.Generator().manual_seed(0)
    shown = torch.rand((3, 4, 16, 16), generator=random)
    changed = [recoloured_there(shown, torch.Generator().manual_seed(seed)) for seed in range(40)]
    again = [recoloured_there(shown, torch.Generator().manual_seed(seed)) for seed in range(40)]
    assert all(torch.equal(one, two) for one, two in zip(changed, again, strict=True))
    assert all(torch.isfinite(one).all() for one in changed)
    assert sum(not torch.equal(one, shown) for one in changed) > 30
    flat = torch.full((3, 4, 16, 16), 0.5)
    for seed in range(40):
        spread = recoloured_there(flat, torch.Generator().manual_seed(seed))
        assert spread.std() < 0.3, "noise and bias stay small"

    monkeypatch.setattr("MetaSegmentLib.training.augment._recoloured", recoloured_there)
    inputs = torch.rand((3, len(SLICE_V1.inputs), 96, 96), generator=random)
    truth = (inputs[:, 0] > 0.5).float()
    for seed in range(5):
        found, labels = augment(inputs, truth, SLICE_V1, torch.Generator().manual_seed(seed))
        assert found.shape == inputs.shape and labels.sum() == truth.sum()
        image = list(SLICE_V1.image_places)
        others = [place for place in range(len(SLICE_V1.inputs)) if place not in image]
        kept = {round(float(plane.sum()), 2) for plane in inputs[0, others].abs()} | {0.0}
        assert {round(float(plane.sum()), 2) for plane in found[0, others].abs()} <= kept


def words(data: Path, output: Path, steps: int) -> list[str]:
    options: list[object] = [
        "--steps",
        steps,
        "--together",
        2,
        "--count",
        2,
        "--kept-out",
        1,
        "--jobs",
        1,
        "--save-every",
        0,
    ]
    small: list[object] = ["--painted", "3", "--keep-queries", 2, "--keep-painted", 2, "--device", "cpu"]
    return list(map(str, ["train", "burst", "--data", data, "--output", output, *options, *small]))


def test_three_updates_from_a_pack_and_on_after_a_kill(cohort, tmp_path, repository):
    pack, output = tmp_path / "pack.zip", tmp_path / "out"
    write_pack(cohort, (), pack)
    start = {
        "cwd": repository / "MetaSegment",
        "env": ENVIRONMENT,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    run = [sys.executable, "-m", "MetaSegmentLib"]
    process = subprocess.Popen([*run, *words(pack, output, 100_000)], **start)
    until = time.monotonic() + 600
    while steps_of(output) < 2 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    reached = steps_of(output)
    assert reached >= 2 and weights.load("context", output), "weights are there before the end"

    done = subprocess.run([*run, *words(pack, output, reached + 3)], timeout=900, check=False, **start)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.decode().splitlines()
    summary = json.loads((output / SUMMARY).read_text(encoding="utf-8"))
    assert summary["updates"] == reached + 3
    assert summary["segment_seconds"] > 0 and f"segment {summary['segment_seconds']:.2f} s" in line
    assert weights.load_plan("context", output).inputs == CONTEXT_V1.inputs
    assert (output / "context.jsonl").stat().st_size
    files = [file for file in output.iterdir() if file.is_file()]
    assert len(files) <= 8 and sum(file.stat().st_size for file in files) <= 16e6
    assert (output / "curves.png").read_bytes()[:4] == b"\x89PNG"


def steps_of(output: Path) -> int:
    state = Checkpoint.read(output / "work" / "context") if (output / "work" / "context").is_dir() else None
    return int(state.about["step"]) if state else 0
