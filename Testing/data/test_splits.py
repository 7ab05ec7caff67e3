"""Volumes of one person stay on one side of a split; where nobody knows, every sixth volume is kept out as before."""

from __future__ import annotations

import json

import pytest

from MetaSegmentLib.data.datasets import find_cases
from MetaSegmentLib.data.splits import held_out, persons
from MetaSegmentLib.errors import InputError
from MetaSegmentLib.training.sources import Source

HEARTS = [f"patient{number:03}_frame{frame:02}.nii.gz" for number in range(1, 15) for frame in (1, 12)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (HEARTS[:4], ["patient001", "patient001", "patient002", "patient002"]),
        (["sub-unf01_T1w.nii.gz", "sub-unf01_ses-2_T2star.nii.gz", "sub-2_T1w.nrrd"], ["sub-unf01"] * 2 + ["sub-2"]),
        (["SC-HF-I-1_ED.nii.gz", "SC-HF-I-1_ES.nii.gz"], ["SC-HF-I-1"] * 2),
    ],
)
def test_names_that_say_who_it_is(names, expected):
    assert persons(names, {}) == expected


def test_names_that_say_nothing_are_each_another_person():
    names = ["hippocampus_001.nii.gz", "pt_1.nii.gz", "STS_002_MR_T1.nii.gz", "training_seg_01.nii.gz", "case_5.nrrd"]
    names += ["patient07_flair.nii.gz", "LIDC-IDRI-0001_R_1.nii.gz", "ED.nii.gz", "volume_ES.nii.gz"]
    assert len(set(persons(names, {}))) == len(names)
    numbers = [f"hippocampus_{number:03}.nii.gz" for number in range(220)]
    assert held_out(numbers, persons(numbers, {})) == numbers[::6] == held_out(numbers)


def test_the_description_knows_better_than_names():
    about = {"persons": {"first": "A", "second": "A", "patient001_frame01": "B"}}
    names = ["first.nii.gz", "second.nii.gz", "third.nii.gz", "patient001_frame01.nii.gz", "patient001_frame02.nii.gz"]
    assert persons(names, about) == ["A", "A", "third", "B", "patient001"]
    with pytest.raises(InputError, match="persons"):
        persons(names, {"persons": ["A", "B"]})


def test_every_sixth_person_is_held_out_with_all_volumes():
    kept = held_out(HEARTS, persons(HEARTS, {}))
    assert kept == [name for name in HEARTS if name[7:10] in ("001", "007", "013")] and len(kept) == 6
    assert held_out(HEARTS[:10], persons(HEARTS[:10], {})) == [], "five persons"


def test_training_and_evaluation_keep_the_same_persons_apart(a_data_set):
    """Thirteen volumes, of which the description says that two each are of one person."""
    for folder in ("images", "labels"):
        for number in range(3, 14):
            (a_data_set / folder / f"patient_{number:02}.nii.gz").symlink_to(a_data_set / folder / "patient_1.nii.gz")
    stems = sorted(file.name.split(".")[0] for file in (a_data_set / "labels").iterdir())
    who = {stem: place // 2 for place, stem in enumerate(stems)}
    (a_data_set / "dataset.json").write_text(json.dumps({"persons": who, "slice_axis": 0}), encoding="utf-8")
    kept = {case.volume.labels.name.split(".")[0] for case in find_cases(a_data_set, only_held_out=True)}
    assert {who[stem] for stem in kept} == {0, 6} and len(kept) == 3
    source = Source(a_data_set, 1.0)
    assert {file.name.split(".")[0] for file in source.files(validation=True)} == kept
    assert not {who[file.name.split(".")[0]] for file in source.files()} & {0, 6}
