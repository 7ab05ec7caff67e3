"""Folders of pairs, BIDS derivatives, MSD's ``dataset.json``, and each case as one call of the program."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cohort.scans import a_ball, a_manifest, a_scan, found, sentence, some_paint
from MetaSegmentLib.cli import main
from MetaSegmentLib.cohort.cases import Case, Common
from MetaSegmentLib.errors import InputError
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import read_image, write_image

GRID = Grid((24, 24, 24), (1.0, 2.0, 3.0), (1.0, 1.0, 2.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


@pytest.mark.parametrize("painted", ["labels", "support"])
def test_a_folder_of_pairs(tmp_path: Path, painted: str) -> None:
    """Formats may differ; data files beside headers, hidden files and text are no cases."""
    images, paint = tmp_path / "images", tmp_path / painted
    for name in ("b.nii.gz", "a.hdr", "a.img", "c.raw", "._a.nii.gz", "notes.txt", "d.seg.nrrd"):
        a_scan(images / name)
    (images / "c.mhd").write_text("ElementDataFile = c.raw\n", encoding="utf-8")
    (images / "e.nhdr").write_text("NRRD0004\ndata file: e.nii\n\n", encoding="utf-8")
    a_scan(images / "e.nii")
    for name in ("b.seg.nrrd", "a.nii", "c.nhdr", "c.raw.gz", "e.nrrd"):
        some_paint(paint / name)
    (paint / "c.nhdr").write_text("NRRD0004\ndata file: c.raw.gz\n\n", encoding="utf-8")
    cases, problems = found(tmp_path)
    assert not problems
    assert [(case.id, case.image.name, [one.name for one in case.support]) for case in cases] == [
        ("a", "a.hdr", ["a.nii"]),
        ("b", "b.nii.gz", ["b.seg.nrrd"]),
        ("c", "c.mhd", ["c.nhdr"]),
        ("e", "e.nhdr", ["e.nrrd"]),
    ]


def test_pairs_that_are_none(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz", "c.nii", "c.nrrd"):
        a_scan(tmp_path / "images" / name)
    for name in ("a.nrrd", "c.nrrd", "d.nrrd"):
        some_paint(tmp_path / "labels" / name)
    cases = found(tmp_path)
    assert [case.id for case in cases.cases] == ["a"]
    assert "no painted slices" in sentence(cases, "b")
    assert "Several images" in sentence(cases, "c")
    assert "no image of the same name" in sentence(cases, "d")


def test_images_that_are_folders_of_slices(tmp_path: Path) -> None:
    a_scan(tmp_path / "images" / "a" / "1.dcm")
    some_paint(tmp_path / "labels" / "a.nrrd")
    (case,), problems = found(tmp_path)
    assert not problems
    assert case.image == tmp_path / "images" / "a"


def test_images_alone_need_paint_for_all(tmp_path: Path) -> None:
    source = tmp_path / "scans"
    for name in ("a.nii.gz", "b.nrrd", "b.seg.nrrd"):
        a_scan(source / name)
    common = Common((some_paint(tmp_path / "paint.nrrd"),), (a_scan(tmp_path / "painted on.nrrd"),))
    cases, problems = found(source, common=common)
    assert not problems
    assert [(case.id, case.support, case.support_images) for case in cases] == [
        (name, common.support, common.support_images) for name in ("a", "b")
    ]
    with pytest.raises(InputError, match="--support"):
        found(source)
    with pytest.raises(InputError, match="no cases"):
        found(some_paint(tmp_path / "empty" / "notes.txt").parent)


def bids(folder: Path, image: str, *masks: str) -> None:
    subject, session = (next((part for part in image.split("_") if part.startswith(key)), "") for key in ("sub", "ses"))
    a_scan(folder / subject / session / "anat" / f"{image}.nii.gz")
    for mask in masks:
        pipeline, name = mask.split("/")
        some_paint(folder / "derivatives" / pipeline / subject / session / "anat" / name)


def test_bids_derivatives(tmp_path: Path) -> None:
    bids(tmp_path, "sub-01_T1w", "seg/sub-01_desc-liver_mask.nii.gz", "seg/sub-01_space-MNI_desc-liver_mask.nii.gz")
    bids(tmp_path, "sub-02_ses-1_T1w", "seg/sub-02_ses-1_space-orig_dseg.nii.gz", "seg/sub-02_ses-1_T1w.json")
    bids(tmp_path, "sub-02_ses-2_T1w", "seg/sub-02_ses-2_T1w.seg.nrrd")
    bids(tmp_path, "sub-03_T1w", "seg/sub-03_mask.nii.gz")
    bids(tmp_path, "sub-03_run-2_T1w", "seg/sub-03_run-2_mask.nii.gz")
    bids(tmp_path, "sub-01_T2w")
    cases, problems = found(tmp_path)
    assert not problems
    assert {case.id: [one.name for one in case.support] for case in cases} == {
        "sub-01": ["sub-01_desc-liver_mask.nii.gz"],
        "sub-02_ses-1": ["sub-02_ses-1_space-orig_dseg.nii.gz"],
        "sub-02_ses-2": ["sub-02_ses-2_T1w.seg.nrrd"],
        "sub-03": ["sub-03_mask.nii.gz"],
        "sub-03_run-2": ["sub-03_run-2_mask.nii.gz"],
    }
    assert cases[1].image == tmp_path / "sub-02" / "ses-1" / "anat" / "sub-02_ses-1_T1w.nii.gz"


def test_bids_derivatives_that_are_not_clear(tmp_path: Path) -> None:
    bids(tmp_path, "sub-01_T1w", "one/sub-01_mask.nii.gz", "two/sub-01_mask.nii.gz")
    bids(tmp_path, "sub-02_run-1_T1w", "one/sub-02_mask.nii.gz")
    bids(tmp_path, "sub-02_run-2_T1w")
    bids(tmp_path, "sub-03_T1w")
    bids(tmp_path, "sub-04_T1w", "one/sub-04_mask.nii.gz")
    cases = found(tmp_path)
    assert [case.id for case in cases.cases] == ["sub-04"]
    assert "Several derivatives" in sentence(cases, "sub-01")
    assert "several images" in sentence(cases, "sub-02_run-1") and "several images" in sentence(cases, "sub-02_run-2")
    assert "no painted slices" in sentence(cases, "sub-03")
    one = found(tmp_path / "derivatives" / "one", tmp_path / "results")
    assert [(case.id, case.support[0].parts[-4]) for case in one.cases] == [("sub-01", "one"), ("sub-04", "one")]


def msd(folder: Path, **changed: object) -> Path:
    for name in ("liver_1", "liver_2"):
        a_scan(folder / "imagesTr" / f"{name}.nii.gz")
        some_paint(folder / "labelsTr" / f"{name}.nii.gz")
    a_scan(folder / "imagesTs" / "liver_3.nii.gz")
    names = [{key: f"./{key}sTr/{name}.nii.gz" for key in ("image", "label")} for name in ("liver_1", "liver_2")]
    about = {"modality": {"0": "CT"}, "tensorImageSize": "3D", "training": names, "test": ["./imagesTs/liver_3.nii.gz"]}
    file = folder / "dataset.json"
    file.write_text(json.dumps({**about, **changed}), encoding="utf-8")
    return file


@pytest.mark.parametrize("given", ["file", "folder"])
def test_msd(tmp_path: Path, given: str) -> None:
    file = msd(tmp_path / "Task03")
    cases = found(file if given == "file" else file.parent, tmp_path / "results")
    assert [(case.id, case.frame) for case in cases.cases] == [("liver_1", None), ("liver_2", None)]
    assert cases.cases[0].support[0].samefile(tmp_path / "Task03" / "labelsTr" / "liver_1.nii.gz")
    assert "no painted slices" in sentence(cases, "liver_3")
    common = Common(cases.cases[0].support, (cases.cases[0].image,))
    (first, _, third), problems = found(file, tmp_path / "results", common)
    assert not problems
    assert (first.support_images, third.support, third.support_images) == ((), common.support, common.support_images)


@pytest.mark.parametrize(
    "changed", [{"modality": {"0": "T2", "1": "ADC"}}, {"modality": ["T2", "ADC"]}, {"tensorImageSize": "4D"}]
)
def test_msd_with_several_channels(tmp_path: Path, changed: dict[str, object]) -> None:
    assert [case.frame for case in found(msd(tmp_path, **changed)).cases] == [0, 0]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"training": "none"}, "does not list"),
        ({"training": [{"label": "x"}], "modality": "CT"}, "Image 1"),
        ({"test": [3]}, "Image 3"),
    ],
)
def test_a_data_set_that_is_none(tmp_path: Path, changed: dict[str, object], why: str) -> None:
    with pytest.raises(InputError, match=why):
        found(msd(tmp_path, **changed))


def test_what_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_bytes(b'{"training": \xff')
    with pytest.raises(InputError, match="JSON"):
        found(tmp_path / "dataset.json")


def test_two_images_of_a_data_set_with_one_name(tmp_path: Path) -> None:
    cases = found(msd(tmp_path, test=["./imagesTr/liver_1.nii.gz"]))
    assert [case.id for case in cases.cases] == ["liver_2"]
    assert "Several cases have the same id" in sentence(cases)


def test_each_case_is_one_call_of_the_program(tmp_path: Path) -> None:
    image, painted = a_ball()
    write_image(tmp_path / "image.nrrd", image, GRID)
    write_image(tmp_path / "painted.nrrd", painted, GRID)
    lines = [
        "id,image,support,support_image,method,slices",
        'own,image.nrrd,painted.nrrd,,shape,"7,10,13"',
        "other,image.nrrd,painted.nrrd,./image.nrrd,shape,",
    ]
    cases, problems = found(a_manifest(tmp_path, lines))
    assert not problems
    for case in cases:
        program, *words = case.command(tmp_path / f"{case.id}.nrrd")
        assert program == "metasegment"
        assert main([*words, "--quiet"]) == 0
    result, _ = read_image(tmp_path / "own.nrrd")
    assert (result[8] > 0).sum() > 100 and np.array_equal(result[7] > 0, painted[7] > 0)


def test_a_case_of_several_channels_is_one_call_too(tmp_path: Path) -> None:
    """The second channel is noise, from which the ball could not be found."""
    image, painted = a_ball()
    noise = np.random.default_rng(1).normal(100, 30, image.shape).astype(np.int16)
    about = {
        "modality": {"0": "T2", "1": "ADC"},
        "training": [{"image": "a.nii.gz", "label": "p.nii.gz"}],
        "test": ["b.nii.gz"],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(about), encoding="utf-8")
    write_image(tmp_path / "p.nii.gz", painted, GRID)
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.nii.gz", np.stack([image, noise]), GRID)
    write_image(tmp_path / "alone.nii.gz", image, GRID)
    common = Common((tmp_path / "p.nii.gz",), (tmp_path / "a.nii.gz",))
    cases, problems = found(tmp_path, tmp_path / "results", common)
    assert not problems and [case.frame for case in cases] == [0, 0]
    results = []
    for number, case in enumerate([*cases, replace(cases[0], image=tmp_path / "alone.nii.gz", frame=None)]):
        _, *words = replace(case, method="pixels").command(tmp_path / f"{number}.nrrd")
        assert main([*words, "--quiet"]) == 0
        results.append(read_image(tmp_path / f"{number}.nrrd")[0])
    assert np.array_equal(results[0], results[2]) and results[1].any()


def test_a_channel_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, painted = a_ball()
    write_image(tmp_path / "i.nrrd", np.stack([image, image]), GRID)
    write_image(tmp_path / "p.nrrd", painted, GRID)
    case = Case("a", tmp_path / "i.nrrd", (tmp_path / "p.nrrd",), frame=2)
    assert main(case.command(tmp_path / "o.nrrd")[1:]) == 1
    assert "no channel 2; it has 2" in capsys.readouterr().err


def test_the_words_of_a_call() -> None:
    root = Path.cwd()
    own = Case("a", root / "i", (root / "p",), slices="2:4,8 3:5", method="shape")
    assert own.command(root / "o.nrrd")[2:] == [
        "--image", str(root / "i"), "--support", str(root / "p"),
        "--method", "shape", "--slices", "2:4,8", "--slices", "3:5", "--output", str(root / "o.nrrd"),
    ]  # fmt: skip
    others = Case("a", root / "i", (root / "p", root / "q"), (root / "x", root / "y"), own=root / "z", frame=3)
    assert others.command(root / "o.nrrd")[2:] == [
        "--image", str(root / "i"),
        "--support", str(root / "p"), "--support-image", str(root / "x"),
        "--support", str(root / "q"), "--support-image", str(root / "y"),
        "--own", str(root / "z"), "--channel", "3", "--output", str(root / "o.nrrd"),
    ]  # fmt: skip
