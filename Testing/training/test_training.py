"""Episodes and training: what is learned is what the product meets, and a stop loses nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MetaSegmentLib import weights
from MetaSegmentLib.cli import main
from MetaSegmentLib.episode import CHANNELS, Episode
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import write_image
from MetaSegmentLib.methods.gradient import RATE_PREFIX
from MetaSegmentLib.region import GRID, make_region
from MetaSegmentLib.training.augment import augment, upside_down
from MetaSegmentLib.training.episodes import make_episode
from MetaSegmentLib.training.meta import Trainer, TrainingSettings
from MetaSegmentLib.training.sources import Source
from MetaSegmentLib.training.synthesis import lesion, random_shapes, render
from MetaSegmentLib.training.tasks import TaskMaker


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """A folder with two labelled volumes."""
    folder = tmp_path_factory.mktemp("cohort")
    grid = Grid((40, 40, 24), (0, 0, 0), (1, 1, 1), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for number in range(2):
        z, y, x = np.indices((24, 40, 40))
        labels = ((z - 12) / 10) ** 2 + ((y - 20) / 13) ** 2 + ((x - 18 - number) / 11) ** 2 < 1
        image = 100 * labels + np.random.default_rng(number).normal(0, 10, labels.shape)
        write_image(folder / "images" / f"{number}.nii.gz", image.astype(np.float32), grid)
        write_image(folder / "labels" / f"{number}.nii.gz", labels.astype(np.uint8), grid)
    return folder


@pytest.fixture(scope="module")
def episodes(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("episodes")
    command = ["train", "episodes", "--data", str(cohort), "--episodes", str(folder), "--count", "3", "--jobs", "1"]
    assert main(command) == 0
    return folder


def test_an_episode_holds_what_the_product_would_see(cohort):
    maker = TaskMaker([Source(cohort, 1.0)])
    random = np.random.default_rng(1)
    task = maker.make(random)
    found = make_episode(task, random)
    seen = Episode(make_region(task.volume, task.support, 1)).left_out()
    np.testing.assert_allclose(found.support, seen.inputs[: len(found.support)].astype(np.float16), atol=1e-2)
    assert found.query.shape[1:] == (len(CHANNELS), GRID, GRID) and found.query_truth.shape[1:] == (GRID, GRID)


def test_tasks_can_be_drawn_again(cohort):
    maker = TaskMaker([Source(cohort, 1.0), Source(cohort, 0.5, "shapes")])
    one, two = (maker.make(np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one.volume.array, two.volume.array) and one.support.slices == two.support.slices


def test_episodes_that_are_there_are_left_alone(cohort, episodes):
    files = sorted(episodes.glob("*.safetensors"))
    assert len(files) == 3
    before = {file: file.stat().st_mtime_ns for file in files}
    assert main(["train", "episodes", "--data", str(cohort), "--episodes", str(episodes), "--count", "3"]) == 0
    assert {file: file.stat().st_mtime_ns for file in files} == before


def test_a_run_that_was_stopped_gives_the_same_weights(episodes, tmp_path):
    whole = Trainer(episodes, tmp_path / "whole", TrainingSettings(steps=4, tasks=1, support=2, queries=2))
    expected = whole.train()
    for stop in (2, 4):
        trainer = Trainer(episodes, tmp_path / "parts", TrainingSettings(steps=4, tasks=1, support=2, queries=2))
        while trainer.step < stop:
            trainer.advance()
        trainer.save()
    found = weights.load("base", tmp_path / "parts")
    assert all(torch.allclose(found[name], value, atol=1e-6) for name, value in expected.items())


def test_training_lowers_the_loss_and_maml_learns_step_sizes(episodes, tmp_path):
    settings = TrainingSettings(steps=40, tasks=1, support=2, queries=2, rate=1e-2, seed=1)
    trainer = Trainer(episodes, tmp_path / "base", settings)
    losses = [trainer.advance() for _ in range(settings.steps)]
    trainer.save()
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])
    command = ["train", "maml", "--episodes", str(episodes), "--start", str(tmp_path / "base")]
    assert main([*command, "--output", str(tmp_path / "maml"), "--steps", "2"]) == 0
    learned = weights.load("maml", tmp_path / "maml")
    rates = {name: value for name, value in learned.items() if name.startswith(RATE_PREFIX)}
    assert rates and len({round(float(value), 6) for value in rates.values()}) > 1


def test_turning_an_episode_over_twice_changes_nothing():
    inputs = torch.randn(2, len(CHANNELS), 8, 8)
    assert torch.equal(upside_down(upside_down(inputs)), inputs)
    assert not torch.equal(upside_down(inputs), inputs)


def test_augmentation_moves_truth_and_inputs_alike():
    truth = torch.zeros(2, 12, 12)
    truth[:, 2:5, 6:11] = 1
    inputs = truth[:, None].repeat(1, len(CHANNELS), 1, 1)
    random = torch.Generator().manual_seed(0)
    for _ in range(8):
        changed, moved = augment(inputs, truth, random)
        known = CHANNELS.index("painted shape 1")
        assert torch.equal(changed[:, known], moved) and moved.sum() == truth.sum()


def test_synthetic_images_show_their_structures():
    random = np.random.default_rng(0)
    labels, image = random_shapes(random)
    assert labels.max() > 0 and image.shape == labels.shape and np.isfinite(image).all()
    assert render(labels, random).std() > 0
    scan = random.normal(100, 5, (60, 90, 90)).astype(np.float32)
    changed, mask = lesion(scan, random)
    assert mask.any() and changed.shape == mask.shape
    assert abs(changed[mask].mean() - changed[~mask].mean()) > 1
