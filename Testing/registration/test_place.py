"""Where in a larger volume a part of another one may lie, and whether it is there."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib.registration.carry import Source, carry
from MetaSegmentLib.registration.found import Evidence, confidence
from MetaSegmentLib.registration.likeness import local_correlation
from MetaSegmentLib.registration.place import find_places
from MetaSegmentLib.registration.volumes import VolumeRegistration
from MetaSegmentLib.task.volume import check_volume
from registration.bodies import SPACING, a_patient, something_else


def test_the_best_place_is_the_true_one():
    image, labels = a_patient(1)
    before = (6, 11, 31)
    large = np.pad(a_patient(2, gain=4)[0], [(n, 12) for n in before], mode="reflect")
    best = find_places(check_volume(image, SPACING), labels == 1, check_volume(large, SPACING))[0]
    moved = np.subtract(best.target, best.source) / SPACING
    assert np.abs(moved - before).max() <= 2 and best.scale == 1.0


def test_the_same_volumes_are_laid_onto_each_other_in_the_same_way_every_time():
    source, target = (check_volume(a_patient(seed, (0, seed, 0))[0], SPACING) for seed in (1, 2))
    labels = a_patient(1, (0, 1, 0))[1]
    first, second = (VolumeRegistration(source, target, labels > 0).carry(labels == 1) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("present", [True, False])
def test_confidence_parts_what_is_there_from_what_is_not(present):
    image, labels = a_patient(1)
    other = a_patient(2, (0, 1, 1))[0] if present else something_else(3)
    carried = carry([Source(check_volume(image, SPACING), labels)], check_volume(other, SPACING))
    sure = [confidence(evidence) for evidence in carried.evidence.values()]
    assert all((one > 0.5) == present for one in sure)


def test_confidence_grows_with_what_speaks_for_it():
    doubtful = Evidence(0.1, 0.1, 1.0)
    assert 0 <= confidence(doubtful) < 0.5 < confidence(Evidence(0.8, 0.9, 0.05)) <= 1
    for better in (Evidence(0.3, 0.1, 1.0), Evidence(0.1, 0.4, 1.0), Evidence(0.1, 0.1, 0.4)):
        assert confidence(better) > confidence(doubtful)


def test_correlation_does_not_mind_scale_and_offset():
    image = a_patient(1)[0]
    other = something_else(2)
    assert local_correlation(image, 500 + 3 * image, (2, 2, 2)).mean() > 0.95
    assert local_correlation(image, other, (2, 2, 2)).mean() < 0.3
    assert local_correlation(image, -image, (2, 2, 2)).max() == 0
    flat = image.copy()
    flat[:, :, :15] = 120
    assert local_correlation(image, flat, (2, 2, 2))[:, :, :8].max() < 0.01
