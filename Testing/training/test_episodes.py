"""Episodes: what is learned from is what the product meets, changed as other scanners and patients would change it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

from MetaSegmentLib.cli import main
from MetaSegmentLib.data.synthesis import lesion, random_shapes, render
from MetaSegmentLib.networks.encode import SCORE, encode, encode_left_out
from MetaSegmentLib.networks.plan import CONTEXT_V1, SLICE_V1
from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.ensemble import BASELINES, Ensemble
from MetaSegmentLib.task.task import make_task
from MetaSegmentLib.training import episodes
from MetaSegmentLib.training.augment import augment, upside_down
from MetaSegmentLib.training.config import Config, EpisodeSettings, TaskSettings
from MetaSegmentLib.training.episodes import make_episode
from MetaSegmentLib.training.scanner import Scanner
from MetaSegmentLib.training.sources import Source
from MetaSegmentLib.training.tasks import TaskMaker


@pytest.mark.parametrize("plan", [SLICE_V1, CONTEXT_V1], ids=lambda plan: plan.name)
def test_an_episode_holds_what_the_product_would_see(cohort, plan):
    maker = TaskMaker([Source(cohort, 1.0)])
    random = np.random.default_rng(1)
    drawn = maker.make(random)
    found = make_episode(drawn, random, EpisodeSettings(keep_painted=20), plan)
    task = make_task(drawn.volume, drawn.paint, (1,))
    seen = encode_left_out(Ensemble(task, Context()), plan)
    np.testing.assert_array_equal(found.support, seen.array().astype(np.float16))
    assert found.query.shape[1:] == (len(plan.inputs), *task.frame.shape)
    assert found.query_truth.shape[1:] == task.frame.shape


def test_a_shaky_hand_paints_beside_the_true_outline_but_not_far_from_it(cohort):
    source, settings = Source(cohort, 1.0), TaskSettings(painted=(4,), deformed=0.0, disturbed=0.0, empty=0.0)
    shares = []
    for seed in range(6):
        drawn = TaskMaker([source], settings=replace(settings, sloppy=1.0)).make(np.random.default_rng(seed))
        (painted,) = drawn.paint.stacks.values()
        truth, found = drawn.mask[list(painted.index)], painted.labels > 0
        shares.append(float((truth != found).sum() / truth.sum()))
        near = np.stack([binary_dilation(plane, iterations=4) for plane in drawn.mask.any(0)[None] | truth])
        assert found.any((1, 2)).all() and not (found & ~near).any()
    assert min(shares) > 0 and max(shares) < 0.6
    steady = TaskMaker([source], settings=settings).make(np.random.default_rng(0))
    (painted,) = steady.paint.stacks.values()
    assert np.array_equal(painted.labels > 0, steady.mask[list(painted.index)])


def test_slices_are_no_further_apart_than_asked_for(cohort):
    """Volumes of 1 mm cubes; every fourth slice is 4 mm from the next, unless that is too far."""
    settings = TaskSettings(painted=(2,), thickness=(4,), thickest=4.0, deformed=0.0, disturbed=0.0)
    for thickest, distance in ((4.0, 4.0), (3.9, 1.0)):
        drawn = TaskMaker([Source(cohort, 1.0)], settings=replace(settings, thickest=thickest)).make(
            np.random.default_rng(0)
        )
        assert drawn.volume.spacing[0] == distance and len(drawn.mask) == len(drawn.volume.array)
        assert len(drawn.mask) < 12 or distance == 1.0


def test_empty_slices_are_named_right_beside_the_structure_when_asked_for(cohort):
    settings = TaskSettings(painted=(2,), thickness=(1,), deformed=0.0, disturbed=0.0, empty=1.0)
    found: dict[float, set[int]] = {0.0: set(), 1.0: set()}
    for beside, distances in found.items():
        maker = TaskMaker([Source(cohort, 1.0)], settings=replace(settings, beside=beside))
        for seed in range(12):
            drawn = maker.make(np.random.default_rng(seed))
            there = np.flatnonzero(drawn.mask.any((1, 2)))
            named = [i for i in drawn.paint.slices[1] if not drawn.mask[i].any()]
            distances.update(max(there[0] - i, i - there[-1]) for i in named)
    assert found[1.0] == {1} and max(found[0.0]) > 1


def test_episodes_that_are_there_are_left_alone_and_tell_how_they_were_made(cohort, tmp_path):
    command = ["train", "episodes", "--data", str(cohort), "--episodes", str(tmp_path), "--count", "2", "--quiet"]
    assert main([*command, "--jobs", "1", "--painted", "3"]) == 0
    files = sorted(tmp_path.glob("*.safetensors"))
    before = {file: file.stat().st_mtime_ns for file in files}
    assert len(files) == 2 and "painted = [3]" in (tmp_path / "config.toml").read_text(encoding="utf-8")
    assert main([*command, "--config", str(tmp_path / "config.toml")]) == 0
    assert {file: file.stat().st_mtime_ns for file in files} == before


def test_an_episode_is_read_as_it_was_however_it_lay_in_memory(cohort, tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    parts = {name: random.random((2, 3, 4, 5)) > 0.5 for name in ("support", "query")}
    parts |= {f"{name}_truth": np.asfortranarray(random.random((2, 4, 5)) > 0.5) for name in ("support", "query")}
    monkeypatch.setattr(episodes, "make_episode", lambda *_: episodes.TrainingEpisode(**parts))
    order = episodes.EpisodeOrder(cohort, False, tmp_path, Config())
    found = episodes.read_episode(order.write(0))
    assert all(np.array_equal(part, getattr(found, name)) for name, part in parts.items())


@pytest.mark.parametrize("plan", [SLICE_V1, CONTEXT_V1], ids=lambda plan: plan.name)
def test_turning_an_episode_over_is_turning_its_volume_over(cohort, plan):
    """But for predictors that know which way is up, their scores, and the order of the paint, which means nothing."""
    drawn = TaskMaker([Source(cohort, 1.0)]).make(np.random.default_rng(1))
    task = make_task(drawn.volume, drawn.paint, (1,))
    depth, structure = task.frame.depth, task.structure
    turned_structure = replace(structure, distances={depth - 1 - i: one for i, one in structure.distances.items()})
    frame = replace(task.frame, start=depth - task.frame.stop, stop=depth - task.frame.start)
    turned_task = replace(task, frame=frame, image=task.image[::-1].copy(), structures=(turned_structure,))
    index = next(i for i in task.near if structure.slices[0] < i < structure.slices[-1])
    seen = torch.from_numpy(encode(Ensemble(task, Context()), (index,), plan).array())
    other = torch.from_numpy(encode(Ensemble(turned_task, Context()), (depth - 1 - index,), plan).array())
    turned = upside_down(seen, plan)
    assert torch.equal(upside_down(turned, plan), seen) and not torch.equal(turned, seen)
    supports = [one for one in plan.inputs if one.source.startswith("support ")]
    painted = len(structure.slices)
    for place, one in enumerate(plan.inputs):
        if one in supports and one.step <= painted:
            assert torch.equal(turned[0, place], other[0, plan.place(f"{one.source} {painted + 1 - one.step}")])
        elif one.source.removesuffix(SCORE) not in BASELINES:
            assert torch.equal(turned[0, place], other[0, place]), one.name


def test_augmentation_moves_truth_and_inputs_alike_and_can_be_repeated():
    truth = torch.zeros(2, 12, 12)
    truth[:, 2:5, 6:11] = 1
    inputs = truth[:, None].repeat(1, len(SLICE_V1.inputs), 1, 1)
    recoloured = 0
    for seed in range(8):
        changed, moved = augment(inputs, truth, SLICE_V1, torch.Generator().manual_seed(seed))
        known, image = SLICE_V1.place("painted shape 1"), SLICE_V1.place("image")
        assert torch.equal(changed[:, known], moved) and moved.sum() == truth.sum()
        assert torch.equal(changed, augment(inputs, truth, SLICE_V1, torch.Generator().manual_seed(seed))[0])
        recoloured += not torch.equal(changed[:, image], moved)
    assert recoloured > 4


def test_a_volume_is_deformed_with_its_structure():
    z, y, x = np.indices((40, 48, 44))
    mask = ((z - 18) / 12) ** 2 + ((y - 26) / 9) ** 2 + ((x - 20) / 11) ** 2 < 1
    image = 100.0 * mask
    for seed in range(4):
        changed, moved = Scanner(1.0, 0.0).deform(image, mask, np.random.default_rng(seed))
        assert changed.shape == moved.shape == mask.shape and not np.array_equal(moved, mask)
        inside = changed > 50
        assert 2 * (inside & moved).sum() / (inside.sum() + moved.sum()) > 0.95
    unchanged, _ = Scanner(0.0, 0.0).deform(image, mask, np.random.default_rng(0))
    assert unchanged is image


def test_another_scanner_shows_the_same_structure_and_can_be_repeated():
    image = np.random.default_rng(0).normal(0, 3, (20, 40, 40))
    image[5:15, 10:30, 10:30] += 100
    for seed in range(6):
        one, two = (Scanner(0.0, 1.0).disturb(image, np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(one, two) and one.dtype == np.float32 and np.isfinite(one).all()
        inside, outside = one[7:13, 14:26, 14:26], one[:, :6]
        assert abs(inside.mean() - outside.mean()) > 0.3


def test_synthetic_images_show_their_structures():
    random = np.random.default_rng(0)
    labels, image = random_shapes(random)
    assert labels.max() > 0 and image.shape == labels.shape and np.isfinite(image).all()
    assert render(labels, random).std() > 0
    scan = random.normal(100, 5, (60, 90, 90)).astype(np.float32)
    changed, mask = lesion(scan, random)
    assert mask.any() and changed.shape == mask.shape
    assert abs(changed[mask].mean() - changed[~mask].mean()) > 1
