"""A structure that moves and grows over a few frames, painted on some of them."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib import InputError, Settings, segment, segment_series
from MetaSegmentLib.answer.in_time import smooth_in_time
from MetaSegmentLib.data.protocol import dice
from registration.bodies import SPACING, a_patient, painted

QUICK = Settings(method="shape")
FRAMES = 4


@pytest.fixture(scope="module")
def beating():
    frames = [a_patient(t, (0, t, -t), size=1 + 0.06 * t) for t in range(FRAMES)]
    return np.stack([image for image, _ in frames]), np.stack([labels for _, labels in frames])


def test_all_frames_follow_from_a_painted_one(beating):
    images, truth = beating
    result = segment_series(images, {0: painted(truth[0])}, SPACING, settings=QUICK)
    assert result.labels.shape == truth.shape and result.painted == (0,)
    for found, true in zip(result.labels, truth, strict=True):
        assert dice(found == 1, true == 1) > 0.85
    assert np.array_equal(result.labels[0], segment(images[0], painted(truth[0]), SPACING, settings=QUICK).labels)
    assert len(result.report["series"]["voxels"]["1"]) == FRAMES


def test_a_corrected_frame_stays_and_helps_those_beside_it(beating):
    images, truth = beating
    before = segment_series(images, {0: painted(truth[0])}, SPACING, settings=QUICK)
    paint = {0: painted(truth[0]), 3: painted(truth[3])}
    after = segment_series(images, paint, SPACING, settings=QUICK)
    assert np.array_equal(after.labels[3][[7, 10, 13]], truth[3][[7, 10, 13]])

    def mean(labels: np.ndarray) -> float:
        return float(np.mean([dice(labels[t] == v, truth[t] == v) for t in (2, 3) for v in (1, 2)]))

    assert mean(after.labels) > mean(before.labels)


def test_a_single_slice_of_a_frame_is_kept_exactly(beating):
    images, truth = beating
    one = np.zeros_like(truth[2])
    one[9][truth[2][9] == 1] = 1
    result = segment_series(images, {0: painted(truth[0]), 2: one}, SPACING, settings=QUICK)
    assert np.array_equal(result.labels[2][9] == 1, one[9] == 1)
    assert dice(result.labels[2] == 2, truth[2] == 2) > 0.8


def test_structures_painted_on_different_frames_are_on_all_of_them(beating):
    images, truth = beating
    paint = {0: painted(np.where(truth[0] == 1, 1, 0)), 2: painted(np.where(truth[2] == 2, 2, 0))}
    result = segment_series(images, paint, SPACING, settings=QUICK)
    for t, (found, true) in enumerate(zip(result.labels, truth, strict=True)):
        assert min(dice(found == value, true == value) for value in (1, 2)) > 0.75, t
    assert set(result.report["segments"]) == {"1", "2"} == set(result.report["series"]["voxels"])
    for t, value in ((0, 1), (2, 2)):
        slices = np.flatnonzero(paint[t].any((1, 2)))
        assert np.array_equal(result.labels[t][slices] == value, truth[t][slices] == value)


def test_doubtful_paint_of_any_frame_is_told(beating):
    images, truth = beating
    stray = painted(truth[2])
    stray[8, 1, 1] = 1
    result = segment_series(images, {0: painted(truth[0]), 2: stray}, SPACING, settings=QUICK)
    assert any("no more than a stray mark" in sentence for sentence in result.report["warnings"])


def test_named_slices_of_a_frame_mean_what_they_mean_on_one_volume(beating):
    images, truth = beating
    paint = painted(np.where(truth[0] == 1, 1, 0))
    paint[[8, 9, 11]] = np.where(truth[0][[8, 9, 11]] == 2, 2, paint[[8, 9, 11]])
    result = segment_series(images, {0: paint}, SPACING, {0: (7, 10, 13)}, settings=QUICK)
    assert set(np.unique(result.labels)) == {0, 1} and "left out" in result.report["warnings"][0]
    stray = painted(truth[0])
    stray[8, 1, 1] = 1
    result = segment_series(images, {0: stray}, SPACING, {0: {}}, settings=QUICK)
    assert any("no more than a stray mark" in sentence for sentence in result.report["warnings"])


def test_slices_of_a_frame_may_be_an_array(beating):
    images, truth = beating
    images, paint = images[:2], painted(truth[0])
    named = [segment_series(images, {0: paint}, SPACING, {0: some}, settings=QUICK) for some in ([7, 10], np.r_[7, 10])]
    assert np.array_equal(named[0].labels, named[1].labels)
    assert named[1].report["support_slices"] == [7, 10]


@pytest.mark.parametrize(("value", "sentence"), [(np.nan, "NaN"), (0.0, "same value everywhere")])
def test_the_frame_that_cannot_be_used_is_named_before_any_work(beating, value, sentence):
    images, truth = beating
    images = images.astype(np.float32)
    images[3] = value
    stages: list[str] = []
    with pytest.raises(InputError, match=f"^Frame 3: .*{sentence}"):
        segment_series(
            images, {0: painted(truth[0])}, SPACING, settings=QUICK, progress=lambda stage, *_: stages.append(stage)
        )
    assert stages == []


def test_label_values_may_need_wider_numbers_on_another_frame(beating):
    images, truth = beating
    paint = {0: painted(truth[0] == 1).astype(np.uint8), 2: painted(truth[2] == 2).astype(np.uint16) * 300}
    result = segment_series(images, paint, SPACING, settings=QUICK)
    assert set(np.unique(result.labels[0])) == {0, 1, 300} == set(np.unique(result.labels[2]))


def test_smoothing_takes_out_a_jump_and_leaves_even_motion():
    ball = np.zeros((5, 6, 30, 30), np.uint8)
    for t in range(5):
        ball[t, 1:5, 8:20, 4 + 2 * t : 14 + 2 * t] = 1
    assert np.array_equal(smooth_in_time(ball, {}, ()), ball)
    jump = ball.copy()
    jump[2] = np.roll(ball[2], 4, axis=1)
    smooth = smooth_in_time(jump, {}, ())
    assert dice(smooth[2], ball[2]) > dice(jump[2], ball[2])
    kept = smooth_in_time(jump, {2: (0, {1: [2]})}, ())
    assert np.array_equal(kept[2, 2], jump[2, 2]) and not np.array_equal(kept[2], jump[2])
    assert np.array_equal(smooth_in_time(jump, {}, {2})[2], jump[2])


@pytest.mark.parametrize(
    ("images", "paint", "sentence"),
    [
        (np.zeros((3, 8, 8)), {0: np.ones((3, 8, 8), int)}, "four dimensions"),
        (np.zeros((2, 8, 8, 8)), {5: np.ones((8, 8, 8), int)}, "no frame 5"),
        (np.zeros((2, 8, 8, 8)), {0: np.zeros((8, 8, 8), int)}, "Nothing is painted on any frame"),
        (np.zeros((2, 8, 8, 8)), {True: np.ones((8, 8, 8), int)}, "are given by frame"),
    ],
)
def test_what_is_no_series_is_refused(images, paint, sentence):
    with pytest.raises(InputError, match=sentence):
        segment_series(images, paint)


@pytest.mark.parametrize("slices", [[3, 5], np.array([3, 5])])
@pytest.mark.parametrize("paint", [{}, {1: np.zeros((8, 8, 8), int)}])
def test_slices_of_a_frame_without_paint_are_not_passed_over(paint, slices):
    painted_on = {0: np.ones((8, 8, 8), int), **paint}
    with pytest.raises(InputError, match="named for frame 1, on which nothing is painted"):
        segment_series(np.zeros((2, 8, 8, 8)), painted_on, slices={1: slices})
