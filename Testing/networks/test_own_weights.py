"""A lab's own weights take the place of the shipped ones, everywhere and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from executors.requests import a_request
from MetaSegmentLib import Settings, WeightsError, segment
from MetaSegmentLib.cli import main
from MetaSegmentLib.evaluation.origin import origin_of
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.plan import Calibration
from MetaSegmentLib.networks.weights import Weights

METHOD = "network"
"""Uses the weights ``base`` and nothing else."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights ``base``, answering the other way round."""
    made = tmp_path_factory.mktemp("weights")
    tensors = {
        name: -value if name.startswith(("head", "mix")) else value for name, value in weights.load("base").items()
    }
    weights.store("base", tensors, weights.load_plan("base"), made)
    return made


def test_those_of_the_folder_win_and_the_others_are_the_shipped_ones(folder: Path) -> None:
    own = Weights.of(str(folder))
    assert own.checksum("base") == weights.checksum("base", folder) != weights.checksum("base")
    assert own.checksum("maml") == weights.checksum("maml")
    assert Weights.of("").checksum("base") == weights.checksum("base")


def test_the_engine_uses_them_and_reports_which(folder: Path) -> None:
    request = a_request(METHOD)
    given = (request.image, request.labels, request.spacing)
    usual, own = (segment(*given, settings=Settings(METHOD, "cpu", weights=one)) for one in ("", str(folder)))
    assert usual.report["weights_sha256"] == {"base": weights.checksum("base")}
    assert own.report["weights_sha256"] == {"base": weights.checksum("base", folder)}
    assert str(folder) not in str(own.report)
    assert (own.labels != usual.labels).mean() > 0.1
    assert origin_of(METHOD, str(folder))["weights"] == own.report["weights_sha256"]


def test_those_of_a_training_run_have_the_shipped_calibration_until_they_have_one(tmp_path: Path) -> None:
    plan = weights.load_plan("context")
    request = a_request("fusion")
    given = (request.image, request.labels, request.spacing)
    usual = segment(*given, settings=Settings("fusion", "cpu"))
    weights.store("context", weights.load("context"), replace(plan, calibration={}), tmp_path)
    own = segment(*given, settings=Settings("fusion", "cpu", weights=str(tmp_path)))
    assert np.array_equal(own.labels, usual.labels) and own.estimated_dice == usual.estimated_dice
    weights.store_plan("context", replace(plan, calibration={"fusion": Calibration(temperature=3.0)}), tmp_path)
    assert Weights(tmp_path).load_plan("context").calibration == {"fusion": Calibration(temperature=3.0)}


def test_a_folder_without_weights_and_damaged_ones_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights in that folder"):
        Weights.of(str(tmp_path))
    weights.copy("base", tmp_path, folder)
    file = tmp_path / "base.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsError, match="checksum"):
        Weights.of(str(tmp_path)).load("base")


def test_the_command_takes_them(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = a_request(METHOD)
    for name, array in (("image", request.image), ("paint", request.labels)):
        sitk.WriteImage(sitk.GetImageFromArray(array), tmp_path / f"{name}.nii.gz")
    words = ["segment", "--image", tmp_path / "image.nii.gz", "--support", tmp_path / "paint.nii.gz", "--quiet"]
    words += ["--method", METHOD, "--device", "cpu"]
    assert main([*map(str, words), "--output", str(tmp_path / "a.nrrd")]) == 0
    assert main([*map(str, words), "--output", str(tmp_path / "b.nrrd"), "--weights", str(folder)]) == 0
    a, b = (sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / f"{name}.nrrd")) for name in "ab")
    assert not np.array_equal(a, b)
    capsys.readouterr()
    assert main([*map(str, words), "--output", str(tmp_path / "c.nrrd"), "--weights", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("metasegment: There are no weights in that folder")
