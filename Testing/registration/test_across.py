"""Structures of other patients, carried to another volume."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from MetaSegmentLib import InputError, Settings, adapt, adapt_many
from MetaSegmentLib.across import AdaptedMany
from MetaSegmentLib.data.protocol import dice
from registration.bodies import SPACING, a_patient, painted, something_else

QUICK = Settings(method="shape")


@pytest.fixture(scope="module")
def two_patients():
    patients = [a_patient(1, size=1.1), a_patient(2, (0, 1, -1), size=0.9, gain=3)]
    return adapt_many([(image, painted(labels), SPACING) for image, labels in patients], QUICK)


@pytest.fixture(scope="module")
def another():
    return a_patient(3, (1, -2, 2), gain=0.5)


def test_several_patients_give_their_structures_to_another_one(two_patients, another):
    image, truth = another
    result = two_patients.predict(image, SPACING)
    for value in (1, 2):
        assert dice(result.labels == value, truth == value) > 0.8
        assert 0.5 <= result.report["found"][value] <= 1
    assert result.warnings == []


def test_slices_painted_on_the_target_stay_and_weigh_more(two_patients, another):
    image, truth = another
    own = np.zeros_like(truth)
    own[10][truth[10] == 1] = 1
    own[10, :3] = 0
    result = two_patients.predict(image, SPACING, own=own)
    assert np.array_equal(result.labels[10] == 1, own[10] == 1)
    assert result.report["found"][1] == 1.0
    assert result.report["segments"]["1"]["support_slices"] == [10]
    assert dice(result.labels == 2, truth == 2) > 0.75


def test_the_report_names_the_axis_of_a_segment_that_was_painted_across_another(another):
    (image, labels), (later, more) = a_patient(1, size=1.1), a_patient(2)
    across = np.zeros_like(more)
    index = [int(np.median(np.nonzero(more == 2)[1])) + step for step in (-2, 0, 2)]
    across[:, index] = np.where(more[:, index] == 2, 2, 0)
    supports = [(image, painted(np.where(labels == 1, 1, 0)), SPACING), (later, across, SPACING)]
    report = adapt_many(supports, QUICK).predict(another[0], SPACING).report
    one, other = report["segments"]["1"], report["segments"]["2"]
    assert (report["axis"], report["support_slices"], one["support_slices"]) == (0, [7, 10, 13], [7, 10, 13])
    assert (other["axis"], other["support_slices"]) == (1, index) and "axis" not in one


def test_the_report_speaks_of_what_was_painted_by_hand(another):
    image, labels = a_patient(1, size=1.1)
    paint = painted(labels)
    paint[8, 1, 1] = 1  # a slip of the mouse
    result = adapt(image, paint, SPACING, settings=QUICK).predict(another[0], SPACING)
    assert result.report["support_slices"] == [7, 10, 13]
    for segment in result.report["segments"].values():
        assert segment["support_slices"] == [7, 10, 13] and segment["filled_voxels"] == segment["voxels"] > 0
    assert any("no more than a stray mark" in sentence for sentence in result.warnings)


def test_with_enough_slices_of_its_own_nothing_is_carried(two_patients, another):
    image, truth = another
    own = painted(truth, (8, 10, 13))
    alone = adapt(image, own, SPACING, settings=QUICK).predict()
    together = two_patients.predict(image, SPACING, own=own)
    assert np.array_equal(together.labels, alone.labels)
    assert together.estimated_dice == alone.estimated_dice


def test_what_is_not_there_is_not_found(two_patients):
    result = two_patients.predict(something_else(5), SPACING)
    assert not result.labels.any()
    assert all(confidence < 0.5 for confidence in result.report["found"].values())
    assert "was not found" in result.warnings[0]
    assert result.probabilities.shape == (3, *result.labels.shape)


def test_one_patient_finds_it_at_another_place_of_a_larger_volume():
    small, labels = a_patient(1)
    box = (slice(3, 17), slice(6, 30), slice(4, 24))
    image, truth = a_patient(3, gain=2)
    large = np.pad(image, ((4, 22), (2, 30), (40, 6)), mode="edge")
    there = np.pad(truth, ((4, 22), (2, 30), (40, 6)))
    only = np.where(labels == 1, labels, 0)[box]
    result = adapt(small[box], painted(only, (4, 7, 10)), SPACING, settings=QUICK).predict(large, SPACING)
    assert dice(result.labels == 1, there == 1) > 0.7


def test_no_support_is_an_error():
    with pytest.raises(InputError, match="at least one painted volume"):
        adapt_many([])


def test_one_support_that_lies_well_is_enough(another):
    """The first one goes astray: its image shows nothing of what the target shows."""
    image, truth = another
    patients = [a_patient(1, size=1.1), a_patient(2, (0, 1, -1), size=0.9, gain=3)]
    astray = (something_else(7), painted(patients[0][1]), SPACING)
    many = adapt_many([astray, *((one, painted(labels), SPACING) for one, labels in patients)], QUICK)
    result = many.predict(image, SPACING)
    assert all(confidence > 0.5 for confidence in result.report["found"].values())
    assert min(dice(result.labels == value, truth == value) for value in (1, 2)) > 0.7


def test_every_support_listens_to_who_asks(another):
    """Callbacks of learning are of the past: a window that was closed since must not stop a later run."""
    closed, asked = [], []
    supports = []
    for number in (1, 2):
        image, labels = a_patient(number)
        cancel = partial(bool, closed)
        supports.append(adapt(image, painted(labels), SPACING, settings=QUICK, cancel=cancel))
    closed.append(True)

    def cancel() -> bool:
        asked.append(True)
        return False

    assert AdaptedMany(supports).predict(another[0], SPACING, cancel=cancel).labels.any()
    assert asked


def test_names_of_all_supports_are_told_where_nothing_is_found():
    image, labels = a_patient(1)
    supports = [
        adapt(image, painted(np.where(labels == value, value, 0)), SPACING, settings=QUICK, names={value: name})
        for value, name in ((1, "liver"), (2, "spleen"))
    ]
    result = AdaptedMany(supports).predict(something_else(5), SPACING)
    assert not result.labels.any()
    assert [segment["name"] for segment in result.report["segments"].values()] == ["liver", "spleen"]
