"""However a paint was reached, the answer is the one of a run from scratch, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from MetaSegmentLib import InputError, Settings, adapt, segment
from MetaSegmentLib.predictors.memo import Memo

SPACING = (2.5, 1.0, 1.1)
SLICES = range(2, 15)
CHEAP = ("shape", "propagation", "grow", "pixels")


def make_scan(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels (17, side, side) of two bodies side by side, in noise."""
    k, j, i = np.indices((17, side, side)) / np.array([1, side, side]).reshape(3, 1, 1, 1)
    one = ((k - 8) / 7.5) ** 2 + ((j - 0.45 - 0.04 * np.sin(k / 3)) / 0.26) ** 2 + ((i - 0.34) / 0.2) ** 2 < 1
    two = ((k - 8) / 7) ** 2 + ((j - 0.5) / 0.24) ** 2 + ((i - 0.7) / 0.16) ** 2 < 1
    noise = gaussian_filter(np.random.default_rng(1).standard_normal(one.shape), 1)
    return 100.0 * one + 60 * two + 150 * noise, one + 2 * (two & ~one).astype(np.uint8)


IMAGE, LABELS = make_scan(44)


def painted(marks, labels=LABELS) -> np.ndarray:
    """The label map with (label value, slice) marks painted; (label value, slice, True) is painted badly."""
    paint = np.zeros(labels.shape, np.uint8)
    for value, index, *badly in marks:
        mask = labels[index] == value
        if any(badly):  # the lower half is forgotten
            mask &= np.cumsum(mask.any(1)) < 0.5 * mask.any(1).sum()
        paint[index][mask] = value
    return paint


def repainted(marks: frozenset, mark: tuple) -> frozenset:
    """The marks with one more; with it taken away where it is there, or changed where it is there otherwise."""
    rest = frozenset(one for one in marks if one[:2] != mark[:2])
    return (rest or marks) if mark in marks else rest | {mark}  # something has to stay


def same(one, other) -> None:
    """All that a result holds is the same; time and memory aside."""
    assert np.array_equal(one.labels, other.labels)
    assert np.array_equal(one.uncertainty, other.uncertainty)
    assert one.estimated_dice == other.estimated_dice and one.suggested_slices == other.suggested_slices
    assert np.array_equal(one.probabilities, other.probabilities)
    left = {"seconds", "peak_memory_mb"}
    assert {k: v for k, v in one.report.items() if k not in left} == {
        k: v for k, v in other.report.items() if k not in left
    }


marks = st.tuples(st.sampled_from([1, 2]), st.sampled_from(SLICES), st.booleans())
first_marks = st.lists(marks, min_size=2, max_size=5, unique_by=lambda mark: mark[:2]).map(frozenset)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("paint or remove"), marks),
        st.tuples(st.just("undo"), st.integers(1, 3)),
        st.tuples(st.just("another method"), st.sampled_from(CHEAP)),
        st.tuples(st.just("look"), st.none()),
    ),
    min_size=4,
    max_size=9,
)


@settings(max_examples=12)
@given(first_marks, steps, st.sampled_from(CHEAP), st.sampled_from([512, 0.5]))
def test_any_way_to_a_paint_gives_what_starting_afresh_gives(first, steps, method, limit_mb):
    history = [first]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Memo.__init__, "__defaults__", (limit_mb,))
        adapted = adapt(IMAGE, painted(first), SPACING, settings=Settings(method=method))
        for action, what in steps:
            if action == "look":
                adapted.predict()
                continue
            now = history[-1]
            if action == "another method":
                method = what
            elif action == "undo":
                now = history[-1 - min(what, len(history) - 1)]
            else:
                now = repainted(now, what)
            history.append(now)
            adapted = adapted.update(painted(now), method=method)
    afresh = segment(IMAGE, painted(history[-1]), SPACING, settings=Settings(method=method))
    same(adapted.predict(), afresh)


@pytest.fixture(scope="module")
def a_sharp_scan():
    """Bodies of more voxels than the frame has pixels, so that answers are refined."""
    return make_scan(150)


@pytest.mark.parametrize("method", ["fusion", "protonet"])
def test_a_network_forgets_what_was_painted_over(method):
    """Painted slice by slice, wrongly once, undone, and by another method in between."""
    final = {(1, 3), (1, 8), (1, 12), (2, 5), (2, 10)}
    adapted = adapt(IMAGE, painted({(1, 3), (1, 12), (2, 5)}), SPACING, settings=Settings(method="protonet"))
    adapted.predict()
    wrong = {*(final - {(1, 3)}), (1, 3, True)}
    for marks, by in ((final - {(1, 8)}, method), (wrong, method), (final - {(2, 10)}, "shape")):
        adapted = adapted.update(painted(marks), method=by)
        adapted.predict()
    there = adapted.update(painted(final), method=method).predict()
    same(there, segment(IMAGE, painted(final), SPACING, settings=Settings(method=method)))


def test_what_is_finer_than_the_frame_is_exact_too(a_sharp_scan):
    image, labels = a_sharp_scan
    final = {(1, 3), (1, 8), (1, 12)}
    told: list[str] = []
    adapted = adapt(image, painted({(1, 3), (1, 12)}, labels), SPACING, settings=Settings(method="experts"))
    adapted.predict()
    adapted = adapted.update(painted({*final, (1, 5)}, labels), progress=lambda stage, *_: told.append(stage))
    there = adapted.update(painted(final, labels)).predict()
    assert "sharpening" in told
    same(there, segment(image, painted(final, labels), SPACING, settings=Settings(method="experts")))


def test_slices_named_as_empty_are_those_named_from_the_start():
    first, final = {(1, 3), (1, 8)}, {(1, 3), (1, 6), (1, 8)}
    chosen = Settings(method="experts")
    adapted = adapt(IMAGE, painted(first), SPACING, slices=(3, 8, 11), settings=chosen)
    adapted.predict()
    there = adapted.update(painted(final)).predict()
    same(there, segment(IMAGE, painted(final), SPACING, slices=(3, 6, 8, 11), settings=chosen))
    assert not there.labels[11:].any()


@pytest.mark.parametrize("named", [(3, 8, 11), {1: (3, 8, 11)}], ids=["for all", "for one"])
def test_slices_named_as_empty_stay_so_however_often_paint_changes(named):
    """Until they are painted; and for a structure that has no paint on a slice that was named for all, too."""
    chosen = Settings(method="shape")
    adapted = adapt(IMAGE, painted({(1, 3), (1, 8)}), SPACING, slices=named, settings=chosen)
    for more in ({(1, 6)}, {(1, 6), (1, 5)}, {(1, 6), (1, 5), (2, 4), (2, 9)}):
        marks = {(1, 3), (1, 8), *more}
        adapted = adapted.update(painted(marks))
    own = {1: (3, 5, 6, 8, 11), 2: (4, 9)} if isinstance(named, dict) else {1: (3, 5, 6, 8, 11), 2: (3, 4, 8, 9, 11)}
    same(adapted.predict(), segment(IMAGE, painted(marks), SPACING, slices=own, settings=chosen))
    marks |= {(1, 11)}
    adapted = adapted.update(painted(marks)).update(painted(marks - {(1, 11)}))
    assert adapted.predict().report["segments"]["1"]["support_slices"] == [3, 5, 6, 8]


def test_what_named_slices_left_out_stays_out_until_its_paint_changes():
    chosen = Settings(method="shape")
    marks = {(1, 3), (1, 8), (2, 5), (2, 10)}
    adapted = adapt(IMAGE, painted(marks), SPACING, slices=(3, 8), settings=chosen)
    before = adapted.predict()
    again = adapted.update(painted(marks), method="experts").update(painted(marks), method="shape").predict()
    same(again, before)
    assert set(before.report["segments"]) == {"1"} and "left out" in before.warnings[0]
    more = adapted.update(painted({*marks, (2, 12)})).predict()
    assert more.report["segments"]["2"]["support_slices"] == [3, 5, 8, 10, 12] and not more.warnings


def test_slices_named_for_all_hold_for_a_structure_that_is_painted_two_updates_later():
    adapted = adapt(IMAGE, painted({(1, 3), (1, 8)}), SPACING, slices=(3, 8), settings=Settings(method="shape"))
    later = adapted.update(painted({(1, 3), (1, 8)})).update(painted({(1, 3), (1, 8), (2, 5)}))
    assert later.predict().report["segments"]["2"]["support_slices"] == [3, 5, 8]


def test_slices_named_across_one_axis_mean_nothing_across_another():
    chosen = Settings(method="shape")
    adapted = adapt(IMAGE, painted({(1, 3), (1, 8)}), SPACING, slices=(3, 8, 15), settings=chosen)
    across = np.zeros(LABELS.shape, np.uint8)
    across[:, :, (10, 14, 18)] = LABELS[:, :, (10, 14, 18)] == 1
    there = adapted.update(across).predict()
    same(there, segment(IMAGE, across, SPACING, settings=chosen))
    assert there.report["axis"] == 2


def test_another_seed_is_another_run():
    """Or else the tests above could not fail."""
    paint = painted({(1, 3), (1, 12)})
    one, other = (segment(IMAGE, paint, SPACING, settings=Settings(method="pixels", seed=seed)) for seed in (0, 1))
    assert not np.array_equal(one.uncertainty, other.uncertainty)


def test_an_image_that_was_written_into_is_refused():
    """Half of what was learned would be of the old one."""
    image = IMAGE.copy()
    adapted = adapt(image, painted({(1, 4), (1, 8), (1, 12)}), SPACING, settings=Settings(method="shape"))
    assert adapted.predict().labels.any()
    image[8] += 50
    for again in (adapted.predict, lambda: adapted.update(painted({(1, 4), (1, 8)})), lambda: adapted.predict(IMAGE)):
        with pytest.raises(InputError, match="was changed since"):
            again()
    image[8] = IMAGE[8]
    assert adapted.predict().labels.any()
