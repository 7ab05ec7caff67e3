"""Choosing a processor, and what happens when its memory runs out."""

from __future__ import annotations

import pytest
import torch

from MetaSegmentLib import MetaSegmentError, SettingsError
from MetaSegmentLib.device import BATCH, Device, choose_device, within_memory

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


def test_a_device_stays_where_its_memory_sufficed(monkeypatch):
    """A batch that did not fit is not tried again, and the CPU is kept once it was needed."""
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    device = Device("cuda", batch=4, _chosen=GPU)
    tried = []

    def compute(largest):
        def run(where, batch):
            tried.append((where.type, batch))
            if where.type != "cpu" and batch > largest:
                raise torch.OutOfMemoryError("full")
            return batch

        return run

    assert device.run(compute(2)) == 2 and (device.current, device.batch) == (GPU, 2)
    assert device.run(compute(2)) == 2
    assert tried == [("cuda", 4), ("cuda", 2), ("cuda", 2)] and str(device) == "cuda"
    tried.clear()
    assert device.run(compute(0)) == BATCH and (device.current, device.batch) == (CPU, BATCH)
    assert tried == [("cuda", 2), ("cuda", 1), ("cpu", BATCH)]
    assert device.run(compute(0)) == BATCH and tried[-2:] == [("cpu", BATCH)] * 2 and str(device) == "cpu"


def test_the_cpu_halves_its_batch_too_and_then_says_so():
    device = Device("cpu", batch=4)
    tried = []

    def compute(where, batch):
        tried.append(batch)
        raise MemoryError

    with pytest.raises(MetaSegmentError, match="memory"):
        device.run(compute)
    assert tried == [4, 2, 1]


def test_an_unknown_device_is_refused_on_first_use_only():
    device = Device("abacus")
    assert str(device) == "cpu"
    with pytest.raises(SettingsError, match="abacus"):
        _ = device.current
