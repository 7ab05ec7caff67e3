"""Which structures of a folder become cases, and which of them are chosen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from MetaSegmentLib.data.datasets import Case, LabelledVolume, choose, find_cases, load, spread
from MetaSegmentLib.data.protocol import eligible
from MetaSegmentLib.data.splits import held_out
from MetaSegmentLib.errors import InputError
from MetaSegmentLib.training.sources import Source


@pytest.fixture
def many_cases() -> list[Case]:
    """40 structures in each of 6 volumes, from 250 to 100 000 voxels, some on few slices."""
    random = np.random.default_rng(0)
    volumes = [LabelledVolume("many", n, Path(f"i{n}"), Path(f"l{n}"), n) for n in range(1, 7)]
    return [
        Case(volume, value, f"label {value}", 0, int(10 ** random.uniform(2.4, 5)), int(random.integers(4, 40)))
        for volume in volumes
        for value in range(1, 41)
    ]


def test_every_structure_of_every_volume_is_found(a_data_set):
    cases = find_cases(a_data_set)
    assert [(case.volume.number, case.value, case.name) for case in cases] == [
        (1, 1, "ellipsoid"),
        (1, 2, "tube"),
        (2, 1, "ellipsoid"),
        (2, 2, "tube"),
    ]
    for case in cases:
        _, spacing, labels = load(case.volume)
        mask = labels == case.value
        assert spacing == pytest.approx((2.5, 1.2, 1.0))
        assert case.voxels == mask.sum()
        assert [case.eligible(k) for k in range(1, 15)] == [eligible(mask, k, case.axis) for k in range(1, 15)]


@pytest.mark.parametrize(("asked", "described", "expected"), [(None, True, 0), (2, True, 2), (None, False, 0)])
def test_the_axis_is_the_one_asked_for_then_the_data_sets_then_the_coarsest(a_data_set, asked, described, expected):
    if not described:
        (a_data_set / "dataset.json").unlink()
    assert {case.axis for case in find_cases(a_data_set, asked)} == {expected}


def test_without_a_description_labels_have_numbers(a_data_set):
    (a_data_set / "dataset.json").unlink()
    assert {case.name for case in find_cases(a_data_set)} == {"label 1", "label 2"}


def test_bad_folders_are_told(a_data_set, tmp_path):
    with pytest.raises(InputError, match="images and labels"):
        find_cases(tmp_path)
    (a_data_set / "dataset.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="JSON"):
        find_cases(a_data_set)
    (a_data_set / "dataset.json").unlink()
    (a_data_set / "labels" / "patient_2.nii.gz").write_bytes(b"no image")
    with pytest.raises(InputError, match="Volume 2") as caught:
        find_cases(a_data_set)
    assert "patient_2" not in str(caught.value)
    shutil.rmtree(a_data_set / "images")
    (a_data_set / "images").mkdir()
    with pytest.raises(InputError, match="same file name"):
        find_cases(a_data_set)


def test_a_limited_choice_is_spread_and_repeatable(many_cases):
    chosen = choose(many_cases, (3, 5), 24, seed=1)
    assert [len(cases) for cases in chosen.values()] == [24, 24]
    for k, cases in chosen.items():
        assert all(case.eligible(k) for case in cases)
        per_volume = np.bincount([case.volume.number for case in cases], minlength=7)[1:]
        assert per_volume.min() >= 2 and per_volume.max() <= 6
        assert len({case.value for case in cases}) >= 18
        assert len({int(np.log10(case.voxels)) for case in cases}) >= 3
    assert chosen == choose(many_cases, (3, 5), 24, seed=1)
    assert chosen != choose(many_cases, (3, 5), 24, seed=2)


def test_the_choices_for_different_k_overlap(many_cases):
    chosen = choose(many_cases, (3, 5), 24)
    for case in chosen[3]:
        assert case in chosen[5] or not case.eligible(5)


def test_without_a_limit_every_eligible_case_is_taken(many_cases):
    assert choose(many_cases, (8,), None)[8] == [case for case in many_cases if case.eligible(8)]
    assert sorted(map(repr, spread(many_cases))) == sorted(map(repr, many_cases))


@pytest.fixture
def thirteen_volumes(a_data_set) -> Path:
    """The same volume by thirteen names."""
    for folder in ("images", "labels"):
        for number in range(3, 14):
            (a_data_set / folder / f"patient_{number:02}.nii.gz").symlink_to(a_data_set / folder / "patient_1.nii.gz")
    return a_data_set


def test_held_out_volumes_are_those_that_training_keeps_out(thirteen_volumes):
    kept = {case.volume.labels for case in find_cases(thirteen_volumes, only_held_out=True)}
    assert len(kept) == 3
    source = Source(thirteen_volumes, 1.0)
    assert not set(source.files()) & kept and len(source.files()) == 10
    assert set(source.files(validation=True)) == kept
    everything = {case.volume.number: case.volume for case in find_cases(thirteen_volumes)}
    for case in find_cases(thirteen_volumes, only_held_out=True):
        assert case.volume == everything[case.volume.number]


def test_a_small_set_has_nothing_held_out(a_data_set):
    assert held_out(range(5)) == [] and held_out(range(6)) == [0]
    with pytest.raises(InputError, match="too few volumes"):
        find_cases(a_data_set, only_held_out=True)


def test_labels_without_images_are_rendered_when_asked_the_same_every_time(a_data_set):
    shutil.rmtree(a_data_set / "images")
    with pytest.raises(InputError, match="images and labels"):
        find_cases(a_data_set)
    cases = find_cases(a_data_set, rendered=True)
    image, spacing, labels = load(cases[0].volume)
    again, _, _ = load(cases[0].volume)
    other, _, _ = load(cases[-1].volume)
    assert np.array_equal(image, again) and not np.array_equal(image, other)
    assert image.shape == labels.shape and spacing == pytest.approx((2.5, 1.2, 1.0))
    assert abs(image[labels == 1].mean() - image[labels == 0].mean()) > 0.02


@pytest.mark.parametrize("labels", [{"1": "ellipsoid", "2": "tube"}, {"background": 0, "ellipsoid": 1, "tube": 2}])
def test_names_may_stand_before_values(a_data_set, labels):
    (a_data_set / "dataset.json").write_text(json.dumps({"labels": labels}), encoding="utf-8")
    assert {case.name for case in find_cases(a_data_set)} == {"ellipsoid", "tube"}


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ({"labels": ["background", "tube"]}, "labels in the dataset.json"),
        ({"labels": {"tube": "two"}}, "labels in the dataset.json"),
        ({"slice_axis": 7}, "slice_axis"),
        ({"slice_axis": "axial"}, "slice_axis"),
    ],
)
def test_descriptions_that_are_not_understood_are_told(a_data_set, about, sentence):
    (a_data_set / "dataset.json").write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(InputError, match=sentence):
        find_cases(a_data_set)
