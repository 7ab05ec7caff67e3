"""What holds for every registered method."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import logit

from MetaSegmentLib import Cancelled, Settings, adapt, segment
from MetaSegmentLib.data.protocol import dice, paint, query_dice
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.plan import Calibration
from MetaSegmentLib.predictors.ensemble import BASELINES
from MetaSegmentLib.predictors.registry import METHODS

ONE_OF_EACH = {(info.maker.module, info.maker.function, info.joint): name for name, info in reversed(METHODS.items())}
"""The first of the methods that differ in their weights or in an argument alone."""
OFFERED = [name for name, info in METHODS.items() if not info.baseline]
JOINT = [name for name, info in METHODS.items() if info.joint]
"""All others predict one structure after the other, by the same code."""
SPACING = (3.0, 1.0, 1.0)
PAINTED = [4, 9, 14]
ON_SHORT = [2, 7, 12]


@pytest.fixture(scope="module")
def scan():
    """A bent bright body beside a darker one in noise: image and both masks."""
    random = np.random.default_rng(3)
    z, y, x = np.indices((20, 64, 60)).astype(np.float32)
    one = ((z - 9) / 8) ** 2 + ((y - 26 - 4 * np.sin(z / 4)) / 14) ** 2 + ((x - 24) / 11) ** 2 < 1
    two = ((z - 9) / 7) ** 2 + ((y - 30) / 12) ** 2 + ((x - 45) / 8) ** 2 < 1
    two &= ~one
    image = 100 * one + 50 * two + 12 * gaussian_filter(random.standard_normal(one.shape), 1.5) / 0.15
    return gaussian_filter(image, 0.6).astype(np.float32), one, two


@pytest.fixture(scope="module")
def short(scan):
    """The same with fewer slices, for what does not ask how good an answer is."""
    return tuple(part[2:16] for part in scan)


def run(short, method, **more):
    image, one, _ = short
    settings = Settings(method=method, device="cpu")
    return segment(image, paint(one, ON_SHORT), SPACING, settings=settings, **more)


@pytest.fixture(scope="module")
def ask(scan):
    """Ask one method after another about the same paint; the predictors, which all share, are asked once."""
    known = {}

    def answer(method, painted, slices=None):
        key = (painted.tobytes(), str(painted.dtype), slices)
        if key not in known:
            settings = Settings(method="experts", device="cpu")
            known[key] = adapt(scan[0], painted, SPACING, slices, settings=settings, names={1: "body"})
        return known[key].update(painted, slices, method=method).predict()

    return answer


@pytest.mark.parametrize("method", METHODS)
def test_it_segments_keeps_the_paint_and_tells_what_it_did(scan, ask, method):
    image, one, _ = scan
    result = ask(method, paint(one, PAINTED))
    assert np.array_equal(result.labels[PAINTED] > 0, one[PAINTED])
    assert query_dice(result.labels, one, PAINTED) > 0.8
    assert result.labels.dtype == np.uint8 and result.probabilities.shape == (2, *image.shape)
    assert 0 <= result.uncertainty.min() and result.uncertainty.max() <= 1
    assert 0.5 < result.estimated_dice[1] <= 1
    scores = [s["score"] for s in result.suggested_slices]
    assert scores == sorted(scores, reverse=True) and all(0 < s <= 1 for s in scores)
    report = json.loads(json.dumps(result.report))
    assert set(report) == {
        "method", "device", "axis", "support_slices", "segments", "suggested_slices", "warnings", "seconds",
        "peak_memory_mb", "versions", "weights_sha256", "seed",
    }  # fmt: skip
    assert report["method"] == method and report["axis"] == 0 and report["support_slices"] == PAINTED
    segment_report = report["segments"]["1"]
    assert segment_report["name"] == "body" and segment_report["voxels"] == int((result.labels == 1).sum())
    assert segment_report["volume_ml"] == pytest.approx(segment_report["voxels"] * 0.003)
    assert set(report["weights_sha256"]) == set(METHODS[method].weights)


@pytest.mark.parametrize("method", ["fusion", "protonet", "ridge", "scratch"])
def test_the_same_input_and_seed_give_the_same_output(short, method):
    first, second = run(short, method), run(short, method)
    assert np.array_equal(first.labels, second.labels)
    assert np.array_equal(first.probabilities, second.probabilities)


@pytest.mark.parametrize("method", ["fusion", "protonet", "transfer"])
def test_a_run_stops_within_a_step_of_any_stage(short, method):
    told = []
    run(short, method, progress=lambda stage, *_: told.append(stage))
    for stage in dict.fromkeys(told):
        seen = []
        with pytest.raises(Cancelled):
            run(
                short,
                method,
                progress=lambda now, *_, seen=seen: seen.append(now),
                cancel=lambda s=stage, seen=seen: s in seen,
            )
        assert seen.count(stage) == 1 and seen[-1] == stage


@pytest.mark.parametrize(("method", "own"), [("fusion", "checking on the painted slices"), ("maml", "adapting")])
def test_progress_tells_stages_and_time_left(short, method, own):
    told = []
    run(short, method, progress=lambda *step: told.append(step))
    stages = list(dict.fromkeys(stage for stage, *_ in told))
    assert stages == [
        "reading the slices",
        "learning from the paint",
        own,
        "predicting",
        "combining",
    ]
    assert all(0 <= done <= total for _, done, total, _ in told)
    assert all(eta is None or eta >= 0 for *_, eta in told)


def test_a_temperature_changes_probabilities_but_no_label(short, monkeypatch):
    found, load_plan = {}, weights.load_plan
    for temperature in (1.0, 3.0):
        calibration = {"network": Calibration(temperature)}
        changed = lambda *name, c=calibration: replace(load_plan(*name), calibration=c)  # noqa: E731
        monkeypatch.setattr(weights, "load_plan", changed)
        found[temperature] = run(short, "network")
    assert np.array_equal(found[1.0].labels, found[3.0].labels)
    open_to_doubt = (found[3.0].probabilities[1] > 0.1) & (found[3.0].probabilities[1] < 0.9)
    open_to_doubt[ON_SHORT] = False
    hot, cold = (logit(found[t].probabilities[1][open_to_doubt].astype(float)) for t in (3.0, 1.0))
    np.testing.assert_allclose(3 * hot, cold, atol=0.2, rtol=0.05)
    assert found[3.0].uncertainty.sum() > found[1.0].uncertainty.sum()
    assert found[3.0].estimated_dice[1] < found[1.0].estimated_dice[1]


@pytest.mark.parametrize("method", [*OFFERED, *JOINT])
def test_several_segments_with_large_labels(scan, ask, method):
    image, one, two = scan
    painted = np.zeros(image.shape, np.uint16)
    painted[PAINTED] = one[PAINTED] * np.uint16(300) + two[PAINTED] * np.uint16(7)
    result = ask(method, painted)
    assert result.labels.dtype == np.uint16 and set(np.unique(result.labels)) == {0, 7, 300}
    assert result.probabilities.shape[0] == 3 and list(result.estimated_dice) == [7, 300]
    assert np.array_equal(result.labels[PAINTED], painted[PAINTED])
    assert dice(result.labels == 300, one) > 0.8 and dice(result.labels == 7, two) > 0.7


@pytest.mark.parametrize("method", ONE_OF_EACH.values())
def test_one_painted_slice_works_without_an_estimate(scan, ask, method):
    _, one, _ = scan
    result = ask(method, paint(one, [9]))
    assert np.array_equal(result.labels[9] > 0, one[9])
    assert result.estimated_dice == {1: None} and result.report["segments"]["1"]["estimated_dice"] is None
    assert dice(result.labels, one) > (0.3 if method in BASELINES else 0.6)


@pytest.mark.parametrize("method", OFFERED)
def test_nothing_is_found_on_and_beyond_a_slice_named_as_empty(scan, ask, method):
    _, one, _ = scan
    result = ask(method, paint(one, [4, 9]), slices=(4, 9, 12))
    assert not result.labels[12:].any()
    assert result.report["support_slices"] == [4, 9, 12]


@pytest.mark.parametrize("method", ["shape", "protonet"])
def test_where_nothing_is_found_no_dice_is_claimed(scan, ask, method):
    _, one, _ = scan
    result = ask(method, paint(one, [8, 9]), slices=(7, 8, 9, 10))
    segment = result.report["segments"]["1"]
    assert segment["voxels"] == int(one[8:10].sum()) and segment["filled_voxels"] == 0
    assert result.estimated_dice == {1: None} and segment["estimated_dice"] is None
    assert ask(method, paint(one, [4, 9, 12])).report["segments"]["1"]["filled_voxels"] > 0


@pytest.mark.parametrize("method", ["fusion", "protonet", "ridge"])
def test_painting_one_more_slice_helps_and_gives_what_starting_afresh_gives(scan, method):
    image, one, _ = scan
    settings = Settings(method=method)
    adapted = adapt(image, paint(one, [4, 12]), SPACING, settings=settings)
    before = adapted.predict()
    more = paint(one, [4, 8, 12])
    after = adapted.update(more).predict()
    afresh = segment(image, more, SPACING, settings=settings)
    assert np.array_equal(after.labels, afresh.labels) and np.array_equal(after.uncertainty, afresh.uncertainty)
    between = slice(5, 12)  # beyond the outermost paint, less room is given when slices lie closer
    assert dice(after.labels[between], one[between]) > dice(before.labels[between], one[between]) - 0.005
    assert np.array_equal(after.labels[[4, 8, 12]] > 0, one[[4, 8, 12]])


@pytest.mark.parametrize("method", ["fusion", "protonet"])
def test_after_a_correction_nothing_of_the_old_paint_is_left(short, method):
    image, one, two = short
    settings = Settings(method=method)
    wrong = paint(one, ON_SHORT)
    wrong[7] = two[7]
    corrected = adapt(image, wrong, SPACING, settings=settings).update(paint(one, ON_SHORT)).predict()
    afresh = segment(image, paint(one, ON_SHORT), SPACING, settings=settings)
    assert np.array_equal(corrected.labels, afresh.labels)
    assert np.array_equal(corrected.uncertainty, afresh.uncertainty)


def test_another_method_from_the_same_paint_gives_what_it_gives_by_itself(short):
    """A preview by ProtoNet, then the accurate result, which need not ask the predictors again."""
    image, one, _ = short
    painted = paint(one, ON_SHORT)
    preview = adapt(image, painted, SPACING, settings=Settings(method="protonet"))
    stages = []
    changed = preview.update(painted, method="fusion", progress=lambda stage, *_: stages.append(stage)).predict()
    assert "learning from the paint" not in stages
    assert changed.report["method"] == "fusion"
    assert np.array_equal(changed.labels, run(short, "fusion").labels)


def test_another_volume_gets_the_structure_too(scan):
    image, one, _ = scan
    moved = np.roll(np.pad(image, ((2, 1), (0, 0), (4, 0)), mode="edge"), (1, 3), axis=(0, 1))
    there = np.roll(np.pad(one, ((2, 1), (0, 0), (4, 0))), (1, 3), axis=(0, 1))
    adapted = adapt(image, paint(one, PAINTED), SPACING)
    result = adapted.predict(moved * 3 + 50, spacing=SPACING)
    assert result.labels.shape == moved.shape
    assert dice(result.labels, there) > 0.85
    assert result.estimated_dice == {1: None}
