"""``metasegment calibrate``: the plan in the output folder changes, tensors and installed weights do not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from MetaSegmentLib.calibrate import fit
from MetaSegmentLib.calibrate.fit import combined
from MetaSegmentLib.calibrate.samples import Sampling, StoredSamples
from MetaSegmentLib.cli import main
from MetaSegmentLib.data.datasets import choose, find_cases, load
from MetaSegmentLib.data.protocol import paint, painted_slices
from MetaSegmentLib.evaluation.records import make_tasks
from MetaSegmentLib.networks import weights
from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.registry import METHODS
from MetaSegmentLib.task.paint import read_paint
from MetaSegmentLib.task.task import make_task
from MetaSegmentLib.task.volume import check_volume

pytest.importorskip("slicer", reason="slicer-core is not installed")


def command(data, output, *more):
    return ["calibrate", "--data", str(data), "--output", str(output), "--methods", "shape", "--all-volumes", *more]


def test_the_plan_changes_and_nothing_else(a_data_set, tmp_path, capsys):
    from safetensors.numpy import load_file

    output = tmp_path / "calibrated"
    installed = {file.name: file.read_bytes() for file in weights.FOLDER.iterdir()}
    assert main([*command(a_data_set, output), "--quiet"]) == 0
    assert {file.name: file.read_bytes() for file in weights.FOLDER.iterdir()} == installed
    printed = capsys.readouterr().out
    assert "shape, 24 cases" in printed and "negative log-likelihood" in printed

    before, after = weights.load_plan("baselines"), weights.load_plan("baselines", output)
    assert after.calibration["shape"] != before.calibration["shape"]
    others = {name: one for name, one in before.calibration.items() if name != "shape"}
    assert {name: one for name, one in after.calibration.items() if name != "shape"} == others
    assert after.inputs == before.inputs and after.frame == before.frame
    old, new = (load_file(folder / "baselines.safetensors") for folder in (weights.FOLDER, output))
    assert set(old) == set(new) and all(np.array_equal(old[name], new[name]) for name in old)
    about = json.loads((output / "calibration.json").read_text(encoding="utf-8"))["shape"]
    assert about["after"]["likelihood"] < about["before"]["likelihood"]
    assert about["calibration"]["temperature"] == after.calibration["shape"].temperature

    files = {file: file.stat().st_mtime_ns for file in output.rglob("*.npz")}
    assert len(files) == 24 and not any("patient" in file.name for file in files)
    assert main([*command(a_data_set, output), "--quiet"]) == 0
    assert {file: file.stat().st_mtime_ns for file in output.rglob("*.npz")} == files, "run again"
    assert capsys.readouterr().out == printed


def test_own_weights_are_calibrated_where_they_lie_and_never_replaced_by_others(a_data_set, tmp_path, capsys):
    own = {name: 1.001 * tensor for name, tensor in weights.load("context").items()}
    weights.store("context", own, replace(weights.load_plan("context"), calibration={}), tmp_path)
    words = [*command(a_data_set, tmp_path, "--limit", "2", "--quiet"), "--methods", "context"]
    before = (tmp_path / "context.safetensors").read_bytes()
    assert main(words) == 1 and "holds other weights 'context'" in capsys.readouterr().err
    assert (tmp_path / "context.safetensors").read_bytes() == before and not list(tmp_path.rglob("*.npz"))
    assert main([*words, "--weights", str(tmp_path), "--write"]) == 1
    assert "leave it or '--weights' out" in capsys.readouterr().err
    assert main([*words, "--weights", str(tmp_path)]) == 0
    after = weights.load("context", tmp_path)
    assert all(torch.equal(own[name], after[name]) for name in own)
    fitted = weights.load_plan("context", tmp_path).calibration["context"]
    assert fitted != weights.load_plan("context").calibration["context"]


def test_a_dry_run_writes_no_weights(a_data_set, tmp_path, capsys):
    assert main([*command(a_data_set, tmp_path), "--quiet", "--dry-run"]) == 0
    assert "expected Dice" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.safetensors")) and not (tmp_path / "checksums.json").exists()


def test_the_weights_of_a_sum_stay_where_that_is_asked_for(a_data_set, tmp_path, monkeypatch):
    kept = []

    def nothing(samples, before, keep_weights):
        kept.append(keep_weights)
        return before

    monkeypatch.setattr(fit, "fit", nothing)
    for more in ([], ["--keep-weights"]):
        assert main([*command(a_data_set, tmp_path), "--quiet", "--dry-run", *more]) == 0
    assert kept == [False, True]


def test_data_for_scoring_and_too_few_persons_are_refused(a_data_set, tmp_path, capsys):
    words = command(a_data_set, tmp_path)
    words.remove("--all-volumes")
    assert main(words) == 1
    assert "too few volumes" in capsys.readouterr().err
    (a_data_set / "dataset.json").write_text(json.dumps({"use": "evaluate"}), encoding="utf-8")
    assert main(command(a_data_set, tmp_path)) == 1
    assert "for scoring only" in capsys.readouterr().err


def test_a_method_without_a_calibration_of_its_own_is_refused(a_data_set, tmp_path, capsys):
    assert main([*command(a_data_set, tmp_path), "--methods", "shape,fusion-without-grow"]) == 1
    assert "has no calibration of its own" in capsys.readouterr().err


def test_samples_are_what_the_adapted_method_predicts(a_data_set, tmp_path):
    (task,) = make_tasks(choose(find_cases(a_data_set), (5,), 1), ["inside"], tmp_path)
    task.file.parent.mkdir(exist_ok=True)
    sampling = Sampling(("experts", "shape"))
    assert sampling.find(task) is None
    file = sampling.collect(task)
    assert sampling.find(task) == file and Sampling(("experts",)).find(task) is None
    (sample,) = StoredSamples([file], "experts")
    (alone,) = StoredSamples([file], "shape")

    image, spacing, labels = load(task.case.volume)
    truth = labels == task.case.value
    volume = check_volume(image, spacing)
    slices = painted_slices(truth, 5)
    asked = make_task(volume, read_paint(paint(truth, slices), truth.shape, slices, 0), (1,))
    fitted = METHODS["experts"].make().fit(asked, Context())
    expected = fitted.logits(asked.queries)[:, 0].ravel()
    assert sample.evidence is not None and fitted.weights != fitted.calibrated
    np.testing.assert_allclose(
        combined(sample, weights.load_plan("baselines").calibration["experts"]), expected, atol=0.05
    )
    shape = METHODS["shape"].make().fit(asked, Context()).logits(asked.queries)[:, 0].ravel()
    np.testing.assert_allclose(alone.logits[0], shape, atol=0.05)
    assert np.array_equal(sample.truth, asked.frame.cut_mask(truth[list(asked.queries)]).ravel())
    assert sample.painted == 5 and sample.parts == ("shape", "propagation", "grow", "pixels")
