"""The loop of training: it learns, whatever the stage, says how it goes, and keeps the best."""

from __future__ import annotations

import builtins
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from MetaSegmentLib.cli import main
from MetaSegmentLib.errors import InputError, SettingsError
from MetaSegmentLib.methods.gradient.inner_loop import RATE_PREFIX
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.architectures import slice_network
from MetaSegmentLib.networks.plan import CONTEXT_V1, SLICE_V1
from MetaSegmentLib.training.config import TrainingSettings
from MetaSegmentLib.training.distributed import Ranks
from MetaSegmentLib.training.drawing import stream
from MetaSegmentLib.training.meta import Trainer
from MetaSegmentLib.training.objectives import OBJECTIVES, Batch, QueryLoss

SMALL = ["--support", "2", "--queries", "2", "--tasks", "1", "--quiet"]


@pytest.fixture(scope="module")
def an_episode(episodes, tmp_path_factory):
    """A folder of one of the episodes, where it matters that there is any."""
    folder = tmp_path_factory.mktemp("one")
    first = min(episodes.iterdir())
    (folder / first.name).write_bytes(first.read_bytes())
    return folder


def log_of(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_command_trains_lowers_the_loss_and_keeps_the_best(episodes, tmp_path):
    command = ["train", "base", "--episodes", str(episodes), "--held-out-episodes", str(episodes)]
    options = ["--steps", "24", "--rate", "2e-2", "--validate-every", "8", *SMALL]
    assert main([*command, "--output", str(tmp_path), *options]) == 0
    losses = [line["held_out_loss"] for line in log_of(tmp_path) if "held_out_loss" in line]
    assert len(losses) == 3 and losses[1] < losses[0] and losses[2] < 0.97 * losses[0]
    assert set(weights.load("base", tmp_path / "best")) == set(weights.load("base", tmp_path))
    assert "rate = 0.02" in (tmp_path / "config.toml").read_text(encoding="utf-8")
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_maml_goes_on_from_base_and_learns_step_sizes(episodes, tmp_path):
    command = ["train", "maml", "--episodes", str(episodes), "--output", str(tmp_path), "--steps", "2", *SMALL]
    assert main(command) == 0
    learned = weights.load("maml", tmp_path)
    rates = {name: value for name, value in learned.items() if name.startswith(RATE_PREFIX)}
    assert rates and len({round(float(value), 6) for value in rates.values()}) > 1

    command[command.index(str(tmp_path))] = str(tmp_path / "on")
    assert main([*command, "--start", str(tmp_path), "--rate", "0"]) == 0
    for name, value in weights.load("maml", tmp_path / "on").items():
        torch.testing.assert_close(value, learned[name])


@pytest.mark.parametrize("stage", OBJECTIVES)
def test_every_stage_trains_in_half_precision_and_can_be_validated(episodes, an_episode, tmp_path, stage):
    settings = TrainingSettings(stage, steps=1, tasks=1, support=2, queries=2, precision="bf16", validate_every=1)
    trainer = Trainer(episodes, tmp_path, settings, held_out=an_episode)
    before = {name: value.detach().clone() for name, value in trainer.network.named_parameters()}
    found = trainer.train()
    assert all(torch.isfinite(value).all() for value in found.values())
    assert any(not torch.equal(before[name], value) for name, value in trainer.network.named_parameters())
    assert 0 <= log_of(tmp_path)[-1]["held_out_dice"] <= 1


def test_processes_that_read_ahead_draw_the_same(episodes):
    drawn = []
    for workers in (0, 2):
        settings = TrainingSettings(steps=2, tasks=2, support=2, queries=2, workers=workers)
        drawn.append(list(stream(episodes, settings, Ranks(), 0, torch.device("cpu"))))
    assert [number for number, _ in drawn[0]] == [number for number, _ in drawn[1]] == [0, 1, 2, 3]
    for (_, one), (_, two) in zip(*drawn, strict=True):
        assert torch.equal(one.support, two.support) and torch.equal(one.query_truth, two.query_truth)


def test_two_ranks_share_what_one_would_draw(episodes):
    def numbers(ranks, tasks):
        settings = TrainingSettings(steps=3, tasks=tasks, workers=0)
        return [number for number, _ in stream(episodes, settings, ranks, 1, torch.device("cpu"))]

    assert sorted(numbers(Ranks(0, 2), 1) + numbers(Ranks(1, 2), 1)) == numbers(Ranks(), 2) == [2, 3, 4, 5]


def test_a_checkpoint_of_the_first_release_goes_on(episodes, tmp_path):
    settings = TrainingSettings(steps=2, tasks=1, support=2, queries=2)
    trainer = Trainer(episodes, tmp_path, settings)
    trainer.advance()
    trainer.save()
    tensors = load_file(tmp_path / "state.safetensors")
    about = {"step": "1", "settings": json.dumps({"stage": "base", "inner_steps": 2, "first_order": False})}
    save_file({**tensors, "random": torch.Generator().get_state()}, tmp_path / "state.safetensors", metadata=about)
    again = Trainer(episodes, tmp_path, settings)
    assert again.step == 1
    assert all(
        torch.equal(one, two) for one, two in zip(trainer.network.parameters(), again.network.parameters(), strict=True)
    )
    again.train()


def test_a_run_of_another_stage_or_a_damaged_one_is_left_alone(episodes, tmp_path):
    settings = TrainingSettings(steps=1, tasks=1, support=2, queries=2)
    Trainer(episodes, tmp_path, settings).save()
    with pytest.raises(InputError, match="another stage"):
        Trainer(episodes, tmp_path, TrainingSettings("maml", steps=1))
    (tmp_path / "state.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="damaged"):
        Trainer(episodes, tmp_path, settings)


def test_unknown_precision_and_missing_episodes_are_told(episodes, tmp_path):
    with pytest.raises(SettingsError, match="bf16"):
        Trainer(episodes, tmp_path, TrainingSettings(precision="int8"))
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="metasegment train episodes"):
        Trainer(tmp_path / "none", tmp_path / "run", TrainingSettings()).advance()


def test_without_tensorboard_one_sentence_says_so(episodes, tmp_path, monkeypatch, capsys):
    real = builtins.__import__

    def missing(name, *rest):
        if name == "torch.utils.tensorboard":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    Trainer(episodes, tmp_path, TrainingSettings(steps=1, tasks=1, support=2, queries=2)).train()
    assert capsys.readouterr().err == "TensorBoard is not installed, so figures go to log.jsonl only.\n"
    assert np.isfinite(log_of(tmp_path)[-1]["loss"]) and not (tmp_path / "tensorboard").exists()


def test_another_plan_is_trained_from_weights_that_know_less(cohort, tmp_path):
    command = ["train", "episodes", "--data", str(cohort), "--episodes", str(tmp_path / "episodes"), "--count", "2"]
    kept = ["--keep-queries", "2", "--keep-painted", "2"]
    assert main([*command, "--plan", "context-v1", "--jobs", "1", "--painted", "4", "--quiet", *kept]) == 0
    options = ["--plan", "context-v1", "--episodes", str(tmp_path / "episodes"), *SMALL]
    train = ["train", "base", *options, "--steps", "2"]
    assert main([*train, "--output", str(tmp_path / "base"), "--start", str(weights.FOLDER)]) == 0
    plan = weights.load_plan("base", tmp_path / "base")
    assert plan.inputs == CONTEXT_V1.inputs and plan.architecture == CONTEXT_V1.architecture
    tensors = weights.load("base", tmp_path / "base")
    assert tensors["near.answer.weight"].any(), "what is new does not learn"
    maml = ["train", "maml", *options, "--steps", "1"]
    assert main([*maml, "--output", str(tmp_path / "maml"), "--start", str(tmp_path / "base")]) == 0
    assert main([*train, "--plan", "nothing", "--output", str(tmp_path / "none")]) == 1


def test_episodes_of_several_sizes_are_learned_from_together():
    """As one by one: larger windows have larger frames."""
    torch.manual_seed(0)
    network, loss = slice_network(SLICE_V1), QueryLoss()
    batches = []
    for size, queries in ((32, 2), (48, 3), (32, 1)):
        inputs = torch.randn(queries, len(SLICE_V1.inputs), size, size)
        batches.append(Batch(inputs[:0], inputs[:0, 0], inputs, (inputs[:, 1] > 0).float()))
    together = loss.backward_together(network, {}, batches)
    gradients = [part.grad.clone() for part in network.parameters() if part.grad is not None]
    network.zero_grad()
    one_by_one = sum(loss.backward(network, {}, batch, 1 / 3) for batch in batches) / 3
    others = [part.grad for part in network.parameters() if part.grad is not None]
    assert together == pytest.approx(one_by_one, abs=1e-5) and len(gradients) == len(others) > 20
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(gradients, others, strict=True))
