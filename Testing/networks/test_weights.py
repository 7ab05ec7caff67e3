"""Weights are safetensors, small, and refused unless they are the bytes that were shipped."""

from __future__ import annotations

import pickle

import pytest
import torch

from MetaSegmentLib import WeightsError
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.plan import Plan
from MetaSegmentLib.predictors.registry import METHODS


@pytest.fixture
def a_folder(tmp_path):
    weights.store("mine", {"layer": torch.arange(6.0).reshape(2, 3)}, Plan("mine"), tmp_path)
    return tmp_path


def test_what_is_stored_is_loaded(a_folder):
    assert torch.equal(weights.load("mine", a_folder)["layer"], torch.arange(6.0).reshape(2, 3))
    assert weights.names(a_folder) == ["mine"]
    assert not list(a_folder.glob("*.part"))


def test_half_precision_takes_half_the_room_and_is_loaded_in_single(tmp_path):
    tensors = {"layer": torch.linspace(-3, 3, 4096)}
    for name, half in (("whole", False), ("half", True)):
        weights.store(name, tensors, Plan(name), tmp_path, half)
    whole, half = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half"))
    assert whole - half == 2 * 4096
    found = weights.load("half", tmp_path)["layer"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, tensors["layer"], atol=2e-3, rtol=1e-3)


def test_a_changed_byte_is_noticed(a_folder):
    file = a_folder / "mine.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="checksum"):
        weights.load("mine", a_folder)


@pytest.mark.parametrize("gone", ["mine.safetensors", "checksums.json"])
def test_missing_files_are_told(a_folder, gone):
    (a_folder / gone).unlink()
    with pytest.raises(WeightsError, match="missing"):
        weights.load("mine", a_folder)


def test_a_pickle_is_never_opened(a_folder):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    (a_folder / "mine.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(WeightsError):
        weights.load("mine", a_folder)


def test_shipped_weights_are_whole_small_and_all_that_methods_name():
    names = weights.names()
    assert {name for method in METHODS.values() for name in method.weights} <= set(names)
    for name in names:  # without a network there is a plan alone
        assert bool(weights.load(name)) == bool(weights.load_plan(name).architecture)
    assert sum((weights.FOLDER / f"{name}.safetensors").stat().st_size for name in names) <= 10e6
