"""Choosing a processor, and what happens when its memory runs out."""

from __future__ import annotations

import pytest
import torch

from MetaSegmentLib import MetaSegmentError, SettingsError
from MetaSegmentLib.networks.device import choose_device, within_memory

GPU = torch.device("cuda")
CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_there_is_always_a_device(name):
    assert choose_device(name).type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:1", "", "mps:0", "tpu"])
def test_unknown_devices_are_refused(name):
    with pytest.raises(SettingsError, match="choose"):
        choose_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("name", ["cuda", "cuda:7"])
def test_an_absent_gpu_is_told(name):
    with pytest.raises(SettingsError, match="not in this machine"):
        choose_device(name)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("full"), RuntimeError("MPS backend out of memory")])
def test_the_batch_is_halved_and_then_the_cpu_takes_over(error, monkeypatch):
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    tried = []

    def compute(device, batch):
        tried.append((device.type, batch))
        if device.type != "cpu":
            raise error
        return "done"

    assert within_memory(compute, GPU, batch=4) == ("done", CPU, 8)
    assert tried == [("cuda", 4), ("cuda", 2), ("cuda", 1), ("cpu", 8)]


def test_a_cpu_without_memory_is_told_in_one_sentence():
    def compute(device, batch):
        raise MemoryError

    with pytest.raises(MetaSegmentError, match="memory"):
        within_memory(compute, CPU, batch=2)


def test_other_errors_are_not_taken_for_lack_of_memory():
    def compute(device, batch):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes"):
        within_memory(compute, CPU)
