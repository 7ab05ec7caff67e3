"""The painted volume most like a new one is found among others, and carried to it."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib import InputError, Library, Settings
from MetaSegmentLib.data.protocol import dice
from MetaSegmentLib.registration.retrieval import SAMPLES, likeness, nearest, picture_of
from MetaSegmentLib.task.volume import check_volume
from registration.bodies import SPACING, a_patient, painted, something_else

QUICK = Settings(method="shape")


def a_picture(image: np.ndarray, spacing=SPACING):
    return picture_of(check_volume(image, spacing))


@pytest.fixture(scope="module")
def supports():
    """Two patients among three volumes of something else."""
    one, other = a_patient(1, size=1.1), a_patient(2, (0, 1, -1), size=0.9, gain=3)
    strange = [(something_else(seed), painted(one[1]), SPACING) for seed in (11, 12, 13)]
    return [strange[0], (one[0], painted(one[1]), SPACING), *strange[1:], (other[0], painted(other[1]), SPACING)]


def test_the_patients_are_found_among_other_things_and_carried(supports):
    image, truth = a_patient(3, (1, -2, 2), gain=0.5)
    found = nearest(a_picture(image), [a_picture(one[0]) for one in supports])
    assert sorted(place for place, _ in found) == [1, 4]
    assert found[0][1] >= found[1][1]
    result = Library(supports, QUICK).predict(image, SPACING)
    for value in (1, 2):
        assert dice(result.labels == value, truth == value) > 0.8
    assert result.report["library"] == {"looked_at": 5, "likeness": [round(alike, 3) for _, alike in found]}


def test_nothing_like_it_is_not_found(supports):
    result = Library([supports[1], supports[4]], QUICK).predict(something_else(5), SPACING)
    assert not result.labels.any()
    assert "was not found" in result.warnings[0]
    assert result.report["library"]["likeness"][0] < 0.5


def test_what_a_volume_was_asked_before_changes_nothing(supports):
    image, _ = a_patient(3, (1, -2, 2), gain=0.5)
    library = Library(supports, QUICK)
    library.predict(something_else(5), SPACING)
    again = library.predict(image, SPACING)
    assert np.array_equal(again.labels, Library(supports, QUICK).predict(image, SPACING).labels)


def test_an_empty_library_says_what_to_do():
    with pytest.raises(InputError, match="library is empty; put painted volumes into it"):
        Library([])


def test_a_volume_is_most_like_itself_whatever_its_scale_and_less_at_another_size():
    image, _ = a_patient(1)
    same = a_picture(image)
    assert likeness(same, a_picture(3 * image - 7)) == pytest.approx(1, abs=1e-3)
    wide = a_picture(image, tuple(2 * mm for mm in SPACING))
    assert likeness(same, wide) == pytest.approx(1 - np.log(2), abs=1e-3)
    assert likeness(same, a_picture(image.max() - image)) < 0.6


def test_likeness_is_the_correlation_of_intensities_and_edges():
    one, other = a_picture(a_patient(1)[0]), a_picture(a_patient(2)[0])
    assert one.planes.shape == (2, SAMPLES, SAMPLES, SAMPLES)
    in_place = np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one.planes, other.planes, strict=True)])
    moved = np.mean(
        [np.corrcoef(a[2:].ravel(), b[:-2].ravel())[0, 1] for a, b in zip(one.planes, other.planes, strict=True)]
    )
    assert likeness(one, other) >= max(in_place, moved) - 1e-4
    shifted = a_picture(np.roll(a_patient(1)[0], 5, axis=2))  # two samples
    assert likeness(one, shifted) > 0.9 > np.corrcoef(one.planes[0].ravel(), shifted.planes[0].ravel())[0, 1]
