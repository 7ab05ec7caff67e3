"""Everything that can be wrong with what was given: one clear sentence, status 1, no file written or changed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from cli.workplace import GRID, SHAPE, Workplace, a_ball, an_image_of, painted_on
from MetaSegmentLib.cli import main
from MetaSegmentLib.files import segmentations
from MetaSegmentLib.files.segmentations import plain_segment, write_segmentation
from MetaSegmentLib.networks import weights
from MetaSegmentLib.predictors.registry import METHODS

Prepare = Callable[[Workplace], None]
REFERENCE = an_image_of(a_ball())


def image_with(value: float) -> np.ndarray:
    image = REFERENCE.astype(np.float32)
    image[3, 4, 5] = value
    return image


def whole_slices() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[[5, 9]] = 1
    return labels


def save(image: sitk.Image) -> Prepare:
    return lambda place: sitk.WriteImage(image, str(place.path("image.nrrd")))


def overwrite(name: str, content: bytes) -> Prepare:
    return lambda place: place.path(name).write_bytes(content) and None


def cut(name: str, written: str | None = None) -> Prepare:
    def shorten(place: Workplace) -> None:
        if written:
            place.image(REFERENCE, name=written)
        content = place.path(name).read_bytes()
        place.path(name).write_bytes(content[: len(content) * 2 // 3])

    return shorten


def two_layers(place: Workplace) -> None:
    labels = painted_on(a_ball())
    segments = [plain_segment(1), replace(plain_segment(2), layer=1)]
    write_segmentation(place.path("painted.seg.nrrd"), [labels, labels * np.uint8(2)], segments, GRID)


def nothing(place: Workplace) -> None:
    pass


CASES: dict[str, tuple[Prepare, dict[str, Any], str]] = {
    "no paint": (lambda place: place.paint(np.zeros(SHAPE, np.uint8)), {}, "Nothing is painted"),
    "whole slices": (lambda place: place.paint(whole_slices()), {}, "fills the whole"),
    "several axes": (
        lambda place: place.paint(painted_on(a_ball()) | painted_on(a_ball(), (14, 20, 26), axis=1)),
        {},
        "several axes",
    ),
    "another grid": (
        lambda place: place.paint(painted_on(a_ball()), replace(GRID, spacing=(0.8, 0.9, 2.0))),
        {},
        "another voxel grid",
    ),
    "another grid, label map": (
        lambda place: place.paint(painted_on(a_ball())[1:], replace(GRID, size=(36, 40, 23)), "painted.nrrd"),
        {"support": "painted.nrrd"},
        "another voxel grid",
    ),
    "paint outside the image": (
        lambda place: place.image(REFERENCE[:9], replace(GRID, size=(36, 40, 9))),
        {},
        "outside",
    ),
    "NaN": (lambda place: place.image(image_with(np.nan)), {}, "NaN"),
    "infinite": (lambda place: place.image(image_with(np.inf)), {}, "infinite"),
    "constant": (lambda place: place.image(np.full(SHAPE, 7, np.int16)), {}, "same value everywhere"),
    "2D": (save(sitk.Image(36, 40, sitk.sitkInt16)), {}, "2 dimensions"),
    "4D": (save(sitk.Image([36, 40, 24, 2], sitk.sitkInt16)), {}, "4 dimensions"),
    "colour": (save(sitk.Image([36, 40, 24], sitk.sitkVectorUInt8, 3)), {}, "several numbers a voxel"),
    "one slice": (
        lambda place: (
            place.image(REFERENCE[:1], replace(GRID, size=(36, 40, 1))),
            place.paint(painted_on(a_ball())[5:6], replace(GRID, size=(36, 40, 1))),
        ),
        {},
        "single slice",
    ),
    "slices outside": (nothing, {"slices": "5,24"}, "outside the volume"),
    "slices without paint": (nothing, {"slices": "1,2"}, "paint"),
    "unknown method": (nothing, {"method": "magic"}, "no method 'magic'"),
    "unknown device": (nothing, {"device": "abacus"}, "abacus"),
    "absent device": (nothing, {"device": "cuda:99"}, "cuda:99"),
    "unknown label": (nothing, {"segments": "2"}, "no segment '2'"),
    "unknown name": (nothing, {"segments": "liver,heart"}, "no segment 'heart'"),
    "fractions as labels": (
        lambda place: place.image(image_with(0.5), name="painted.nrrd"),
        {"support": "painted.nrrd"},
        "not whole",
    ),
    "negative labels": (
        lambda place: place.image(-painted_on(a_ball()).astype(np.int16), name="painted.nrrd"),
        {"support": "painted.nrrd"},
        "0 to 65535",
    ),
    "truncated image": (cut("image.nrrd"), {}, "image cannot be read"),
    "truncated NIfTI": (cut("image.nii", "image.nii"), {"image": "image.nii"}, "image cannot be read"),
    "truncated packed NIfTI": (cut("image.nii.gz", "image.nii.gz"), {"image": "image.nii.gz"}, "image cannot be read"),
    "truncated support": (cut("painted.seg.nrrd"), {}, "support cannot be read"),
    "wrong image file": (overwrite("image.nrrd", b"hello"), {}, "image cannot be read"),
    "wrong support file": (overwrite("painted.seg.nrrd", b"hello"), {}, "support cannot be read"),
    "empty image file": (overwrite("image.nrrd", b""), {}, "image cannot be read"),
    "image missing": (nothing, {"image": "none.nrrd"}, "image does not exist"),
    "support missing": (nothing, {"support": "none.seg.nrrd"}, "support does not exist"),
    "support image missing": (nothing, {"support_image": "none.nrrd"}, "support image does not exist"),
    "folder without DICOM": (lambda place: place.path("empty").mkdir(), {"image": "empty"}, "no DICOM"),
    "output folder missing": (nothing, {"output": "none/out.seg.nrrd"}, "output folder does not exist"),
    "report folder missing": (nothing, {"report": "none/r.json"}, "output folder does not exist"),
    "output is a folder": (lambda place: place.path("o.nrrd").mkdir(), {"output": "o.nrrd"}, "name of a folder"),
    "output of no format": (nothing, {"output": "out.xyz"}, "format"),
    "output of a format without directions": (nothing, {"output": "out.gipl"}, "orientation"),
    "output over the image": (nothing, {"output": "image.nrrd"}, "overwrite an input"),
    "output over the support": (nothing, {"output": "painted.seg.nrrd"}, "overwrite an input"),
    "report over the image": (nothing, {"report": "image.nrrd"}, "overwrite an input"),
    "outputs of one name": (nothing, {"uncertainty": "out.seg.nrrd"}, "same name"),
    "overlap into a label map": (two_layers, {"output": "out.nrrd"}, "overlap"),
}


@pytest.mark.parametrize(("prepare", "changes", "words"), CASES.values(), ids=CASES)
def test_one_sentence_and_no_file_touched(
    workplace: Workplace, refused: Callable[..., str], prepare: Prepare, changes: dict[str, Any], words: str
) -> None:
    prepare(workplace)
    assert words in refused(**changes)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (["5,9", "1:5,9"], "not both"),
        (["7:5,9"], "segment 7"),
        (["1:5,99"], "outside the volume"),
        (["1:1,2"], "paint"),
    ],
    ids=["both forms", "unknown segment", "outside", "without paint"],
)
def test_slices_that_are_named_wrongly_are_told(
    workplace: Workplace, capsys: pytest.CaptureFixture[str], named: list[str], words: str
) -> None:
    before = workplace.listing()
    assert main([*workplace.words(), *(word for some in named for word in ("--slices", some))]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line and line.endswith(".") and workplace.listing() == before


@pytest.mark.parametrize("text", ["a,b", "1.5", "3-9", "2:a", "b:3", ":3", "1:"])
def test_slices_that_are_no_numbers_are_wrong_usage(workplace: Workplace, text: str) -> None:
    with pytest.raises(SystemExit) as left:
        workplace.segment(slices=text)
    assert left.value.code == 2


def test_one_painted_slice_works_and_says_that_there_is_no_estimate(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    workplace.paint(painted_on(workplace.truth, (11,)))
    assert workplace.segment(report="r.json") == 0
    assert "estimated Dice not available from one painted slice" in capsys.readouterr().out
    assert json.loads(workplace.path("r.json").read_text(encoding="utf-8"))["segments"]["1"]["estimated_dice"] is None


def test_older_outputs_stay_when_a_run_fails(workplace: Workplace, refused: Callable[..., str]) -> None:
    assert workplace.segment(report="r.json") == 0
    workplace.image(image_with(np.nan))
    refused(report="r.json")


def test_a_folder_that_cannot_be_written_to(
    workplace: Workplace, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = workplace.path("locked")
    locked.mkdir()
    locked.chmod(0o500)
    if os.access(locked, os.W_OK):  # root may write anywhere: let the system call say no

        def denied(*arguments: Any, **named: Any) -> str:
            raise PermissionError(errno.EACCES, "Permission denied", str(locked))

        monkeypatch.setattr(tempfile, "mkdtemp", denied)
    assert "cannot be written to" in refused(output="locked/out.seg.nrrd")


@pytest.fixture
def tiny_disk(workplace: Workplace) -> Iterator[Path]:
    folder = workplace.path("disk")
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small disk to fill cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.mark.parametrize("ending", ["nrrd", "nii", "nii.gz", "mha"])
def test_a_disk_that_fills_up_while_writing(
    workplace: Workplace, refused: Callable[..., str], tiny_disk: Path, ending: str
) -> None:
    (tiny_disk / f"p.{ending}").write_bytes(b"older")
    assert "disk is full" in refused(output="disk/out.seg.nrrd", probabilities=f"disk/p.{ending}")


def test_a_disk_that_is_full_for_the_segmentation_and_the_report(
    workplace: Workplace, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **named: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(segmentations, "write_seg_nrrd", full)
        assert "disk is full" in refused()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        assert "disk is full" in refused(report="r.json")


@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_weights_that_are_missing_or_damaged(
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    harm: str,
) -> None:
    names = METHODS["protonet"].weights
    if not all((weights.FOLDER / f"{name}.safetensors").exists() for name in names):
        pytest.skip("no weights are shipped yet")
    copy = tmp_path_factory.mktemp("copy") / "weights"
    shutil.copytree(weights.FOLDER, copy)
    for name in names:
        file = copy / f"{name}.safetensors"
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.unlink() if harm == "missing" else file.write_bytes(content)
    monkeypatch.setattr(weights, "FOLDER", copy)
    for function in (weights.load, weights.load_plan):
        monkeypatch.setattr(function, "__defaults__", (copy,))
    assert harm in refused(method="protonet")


def test_what_nobody_foresaw_is_one_line_too(
    workplace: Workplace,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import MetaSegmentLib.files.run as run

    def broken(*arguments: Any) -> None:
        raise ZeroDivisionError(str(workplace.folder))

    monkeypatch.setattr(run, "read_painted", broken)
    assert "--verbose" in refused()
    assert workplace.segment(verbose=True) == 1
    assert "Traceback" in capfd.readouterr().err
