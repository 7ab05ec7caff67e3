"""The mean of weights of several runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from MetaSegmentLib.cli import main
from MetaSegmentLib.errors import InputError
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.plan import CONTEXT_V1, SLICE_V1
from MetaSegmentLib.training.mean import store_mean


@pytest.fixture
def runs(tmp_path):
    """Two runs of a network, one of which has another one beside it."""
    folders = tmp_path / "one", tmp_path / "two"
    for folder, value in zip(folders, (1.0, 4.0), strict=True):
        folder.mkdir()
        tensors = {"a": torch.full((2, 3), value), "b": torch.tensor([value, -value])}
        weights.store("context", tensors, CONTEXT_V1, folder)
    weights.store("base", {"a": torch.ones(1)}, SLICE_V1, folders[0])
    return folders


def test_every_number_is_the_mean_and_the_plan_stays(runs, tmp_path, capsys):
    output = tmp_path / "runs" / "mean"
    command = ["train", "mean", "--of", *map(str, (*runs, runs[0])), "--output", str(output)]
    assert main(command) == 0 and "context" in capsys.readouterr().out
    assert weights.names(output) == ["context"], "what only one of them has is left out"
    found = weights.load("context", output)
    assert torch.equal(found["a"], torch.full((2, 3), 2.0)) and torch.equal(found["b"], torch.tensor([2.0, -2.0]))
    assert replace(weights.load_plan("context", output), commit="") == CONTEXT_V1


def test_what_has_no_mean_is_said(runs, tmp_path, capsys):
    with pytest.raises(InputError, match="at least two"):
        store_mean(runs[:1], tmp_path)
    weights.store("context", {"a": torch.ones(2, 3)}, CONTEXT_V1, runs[1])
    with pytest.raises(InputError, match="different networks"):
        store_mean(runs, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    weights.store("base", {"a": torch.ones(1)}, SLICE_V1, other)
    with pytest.raises(InputError, match="same name"):
        store_mean((runs[1], other), tmp_path)
    assert main(["train", "mean", "--of", str(runs[0]), str(tmp_path / "nothing"), "--output", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "no weights in that folder" in said and "Traceback" not in said
