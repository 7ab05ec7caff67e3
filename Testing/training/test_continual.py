"""A cohort is added to the shipped weights: they stay near where they were, and whole for use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from executors.requests import a_request
from MetaSegmentLib import Settings, segment
from MetaSegmentLib.cli import main
from MetaSegmentLib.networks import weights
from MetaSegmentLib.training.config import TrainingSettings
from MetaSegmentLib.training.meta import Trainer


def trained(episodes: Path, run: Path, anchor: float) -> Trainer:
    settings = TrainingSettings("maml", steps=3, tasks=1, support=2, queries=2, rate=1e-3, anchor=anchor, device="cpu")
    trainer = Trainer(episodes, run, settings, weights.load("maml"))
    trainer.train()
    return trainer


def test_the_pull_is_the_gradient_of_half_the_squared_distance(episodes: Path, tmp_path: Path) -> None:
    settings = TrainingSettings("maml", anchor=0.5, device="cpu")
    trainer = Trainer(episodes, tmp_path, settings, weights.load("maml"))
    head = trainer.network.head.weight
    with torch.no_grad():
        head += 3
    head.grad = torch.ones_like(head)
    trainer._pull_back()
    torch.testing.assert_close(head.grad, torch.full_like(head, 1 + 0.5 * 3))


def test_a_strong_pull_keeps_the_weights_nearer(episodes: Path, tmp_path: Path) -> None:
    start = weights.load("maml")

    def distance(anchor: float) -> float:
        network = trained(episodes, tmp_path / str(anchor), anchor).network
        return float(sum(((value.detach() - start[name]) ** 2).sum() for name, value in network.named_parameters()))

    assert distance(1000.0) < 0.7 * distance(0.0)


def test_the_command_adds_a_cohort_to_what_is_shipped(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "mine"
    words = ["train", "--continue", str(cohort), "--output", str(output), "--count", "2", "--steps", "2", "--jobs", "1"]
    assert main([*words, "--keep-queries", "3", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "new: none were before, none were now" in said and "old: 0." in said
    assert weights.names(output) == ["context"] and weights.checksum("context", output) != weights.checksum("context")
    plan, before = weights.load_plan("context", output), weights.load_plan("context")
    assert plan.calibration == before.calibration and "cohort of its users" in plan.data
    assert len(list((output / "episodes").glob("0*.safetensors"))) == 1
    assert len(list((output / "episodes").glob("5*.safetensors"))) == 1
    request = a_request("fusion")
    settings = Settings("fusion", "cpu", weights=str(output))
    result = segment(request.image, request.labels, request.spacing, settings=settings)
    used = {"context": weights.checksum("context", output), "maml": weights.checksum("maml")}
    assert result.report["weights_sha256"] == used


def test_a_stage_or_a_cohort_but_not_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["base", "--continue", str(tmp_path)]):
        with pytest.raises(SystemExit) as left:
            main(["train", *words])
        assert left.value.code == 2
    assert main(["train", "--continue", str(tmp_path), "--output", str(tmp_path / "o"), "--quiet"]) == 1
    assert "no volumes to train on" in capsys.readouterr().err
