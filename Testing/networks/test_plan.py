"""A weights file says how it is to be used: its plan goes with it, whole, and can be read without any package."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load as parse
from safetensors.torch import save

from absent import run_without
from MetaSegmentLib import WeightsError
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.architectures import ARCHITECTURES, make_network
from MetaSegmentLib.networks.plan import HEADER, SLICE_V1, Calibration, Input, Plan
from MetaSegmentLib.predictors.registry import METHODS
from MetaSegmentLib.task.frame import FrameSettings

FULL = Plan(
    "full",
    FrameSettings(size=64, largest=80, finest=96, growth=2.0, smallest=16),
    "slice-unet",
    {"widths": [8, 8, 8, 8, 8, 8], "embedding": 4},
    (Input("image", "image"), Input("shape", "shape", 0, 5.0), Input("past", "painted shape", 2, 10.0, 1.0)),
    structures=0,
    calibration={"maml": Calibration(1.5, 0.25, 0.9, 0.1, {"shape": 0.1, "maml": 0.9}), "other": Calibration()},
    data="sets × 7",
    commit="abc123",
)
TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "rate/a": torch.tensor(-3.5),
    "odd": torch.arange(5, dtype=torch.uint8),
}


@pytest.mark.parametrize("plan", [FULL, SLICE_V1, Plan("bare")], ids=lambda plan: plan.name)
def test_a_plan_goes_through_the_header_of_its_weights_and_comes_back_whole(plan, tmp_path):
    weights.store("mine", TENSORS, plan, tmp_path)
    assert weights.load_plan("mine", tmp_path) == plan
    loaded = weights.load("mine", tmp_path)
    assert set(loaded) == set(TENSORS) and all(torch.equal(loaded[name], TENSORS[name]) for name in TENSORS)


def test_the_text_of_a_plan_is_plain_json():
    about = json.loads(FULL.to_text())
    assert about["frame"] == {"size": 64, "largest": 80, "finest": 96, "growth": 2.0, "smallest": 16}
    assert about["calibration"]["maml"]
    assert Plan.from_text(FULL.to_text()) == FULL
    assert Plan.from_text(FULL.to_text()).to_text() == FULL.to_text()


def without(part: str) -> str:
    about = json.loads(FULL.to_text())
    del about[part]
    return json.dumps(about)


def changed(**parts: object) -> str:
    return json.dumps({**json.loads(FULL.to_text()), **parts})


WRONG = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "null": "null",
    "no frame": without("frame"),
    "no inputs": without("inputs"),
    "no name": without("name"),
    "of a later version": changed(later=1),
    "frame of a later version": changed(frame={"size": 64, "depth": 3}),
    "input of a later version": changed(inputs=[{"name": "a", "source": "image", "wide": True}]),
    "calibration as a list": changed(calibration=[1]),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_what_is_no_plan_is_told_in_one_sentence(text, tmp_path):
    with pytest.raises(WeightsError, match="another version") as caught:
        Plan.from_text(text)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
    weights.store("mine", TENSORS, FULL, tmp_path)
    content = save(TENSORS, metadata={HEADER: text})
    weights._write("mine", content, tmp_path)
    with pytest.raises(WeightsError, match="another version"):
        weights.load_plan("mine", tmp_path)


def test_weights_without_a_plan_are_told(tmp_path):
    weights.store("mine", TENSORS, FULL, tmp_path)
    weights._write("mine", save(TENSORS), tmp_path)
    with pytest.raises(WeightsError, match="another version"):
        weights.load_plan("mine", tmp_path)


def test_an_unknown_architecture_is_told():
    with pytest.raises(WeightsError, match="another version"):
        make_network(replace(FULL, architecture="transformer"))


def test_a_plan_that_is_missing_or_damaged_is_told(tmp_path):
    weights.store("mine", TENSORS, FULL, tmp_path)
    with pytest.raises(WeightsError, match="no weights 'other'"):
        weights.load_plan("other", tmp_path)
    file = tmp_path / "mine.safetensors"
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="checksum"):
        weights.load_plan("mine", tmp_path)


def test_another_plan_leaves_the_numbers_as_they_are(tmp_path):
    weights.store("mine", TENSORS, SLICE_V1, tmp_path)
    before = (tmp_path / "mine.safetensors").read_bytes()
    old = weights.checksum("mine", tmp_path)
    weights.store_plan("mine", FULL, tmp_path)
    assert weights.load_plan("mine", tmp_path) == FULL
    content = (tmp_path / "mine.safetensors").read_bytes()
    loaded = parse(content)  # by the library itself, not by ours
    assert all(
        torch.equal(loaded[name], TENSORS[name]) and loaded[name].dtype == TENSORS[name].dtype for name in TENSORS
    )
    assert content != before and weights.checksum("mine", tmp_path) != old
    weights.store_plan("mine", SLICE_V1, tmp_path)
    assert weights.load_plan("mine", tmp_path) == SLICE_V1
    assert not list(tmp_path.glob("*.part"))


def test_a_plan_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        SLICE_V1.name = "other"  # type: ignore[misc]


def test_every_shipped_file_explains_itself():
    for name in weights.names():
        plan = weights.load_plan(name)
        assert plan.name and (not plan.architecture or plan.architecture in ARCHITECTURES)
        users = [method for method in METHODS.values() if method.weights[:1] == (name,)]
        for method in users:
            assert (method.calibrated_as or method.name) in plan.calibration, method.name
        tensors = weights.load(name)
        if plan.architecture:
            network = make_network(plan)
            own = {key: value for key, value in tensors.items() if "/" not in key}
            network.load_state_dict(own)


def said_without(names: tuple[str, ...], code: str, repository: Path) -> str:
    done = run_without(names, code, repository)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_plan_is_read_without_any_package_for_networks(repository):
    code = """
from MetaSegmentLib.networks.weights import load_plan, names
for name in names():
    print(name, load_plan(name).name)
"""
    said = said_without(("torch", "safetensors", "monai", "sklearn", "SimpleITK"), code, repository)
    assert len(said.splitlines()) == len(weights.names())


def test_a_predictor_without_weights_answers_before_torch_is_installed(repository):
    code = """
import numpy as np
from MetaSegmentLib import Settings, segment
k, j, i = np.indices((16, 40, 40))
ball = ((k - 8) / 7) ** 2 + ((j - 20) / 11) ** 2 + ((i - 18) / 9) ** 2 < 1
painted = np.zeros(ball.shape, np.uint8)
painted[[4, 8, 12]] = ball[[4, 8, 12]]
result = segment(100.0 * ball + j, painted, settings=Settings(method="shape"))
found = result.labels == 1
print(2 * (found & ball).sum() / (found.sum() + ball.sum()))
"""
    said = said_without(("torch", "safetensors", "monai"), code, repository)
    assert float(said) > 0.85


def test_a_method_that_needs_torch_says_so_in_one_sentence_where_it_is_not_installed(repository):
    code = """
import numpy as np
from MetaSegmentLib import DependencyError, Settings, segment
painted = np.zeros((9, 30, 30), np.uint8)
painted[[2, 6], 8:20, 8:20] = 1
image = np.random.default_rng(0).normal(size=painted.shape)
try:
    segment(image, painted, settings=Settings(method="maml", device="cpu"))
except DependencyError as error:
    print(error)
"""
    said = said_without(("torch", "safetensors", "monai"), code, repository)
    assert "torch" in said and len(said.splitlines()) == 1


def test_weights_change_evenly_from_many_to_densely_painted_slices():
    plain = Calibration(fusion_weights={"a": 1.0, "b": 0.3}, few_fusion_weights={"a": 0.1})
    assert [plain.weights_for(n) for n in (2, 4)] == [{"a": 0.1}] * 2
    assert [plain.weights_for(n) for n in (5, 8, 12)] == [{"a": 1.0, "b": 0.3}] * 3
    dense = replace(plain, dense_fusion_weights={"b": 0.6, "c": 0.9})
    assert dense.weights_for(4) == {"a": 0.1} and dense.weights_for(5) == {"a": 1.0, "b": 0.3}
    assert dense.weights_for(6) == pytest.approx({"a": 2 / 3, "b": 0.4, "c": 0.3})
    assert dense.weights_for(8) == dense.weights_for(20) == {"a": 0.0, "b": 0.6, "c": 0.9}
