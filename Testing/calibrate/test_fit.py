"""Fits find the numbers that synthetic predictions were made with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from MetaSegmentLib.answer.calibration import expected_dice
from MetaSegmentLib.calibrate.fit import DiceCases, calibration_error, combined, figures, fit, fit_dice, fit_temperature
from MetaSegmentLib.calibrate.fit import fit_weights as weights_of
from MetaSegmentLib.calibrate.samples import Sample
from MetaSegmentLib.errors import InputError
from MetaSegmentLib.networks.plan import Calibration

PIXELS = 3000


def predictions(make, count=24, parts=("one",), painted=(3, 5, 8)):
    """Cases whose truth is drawn with the logits z, and whose parts say ``make(z, random)``."""
    samples = []
    for number in range(count):
        random = np.random.default_rng(number)
        z = random.normal(-1, 2 + number / count, PIXELS)
        truth = random.random(PIXELS) < expit(z)
        samples.append(Sample(painted[number % len(painted)], parts, np.float16(make(z, random)), truth))
    return samples


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature):
    samples = predictions(lambda z, random: [temperature * z])
    assert fit_temperature(samples, Calibration()) == pytest.approx(temperature, rel=0.06)


def test_weights_are_those_of_the_truth_and_never_negative():
    def parts(z, random):
        half = z / 2 + random.normal(0, 0.5, z.shape)
        return [half, z - half, random.normal(0, 2, z.shape), -z + random.normal(0, 1, z.shape)]

    names = ("half", "other half", "noise", "contrary")
    found = weights_of(predictions(parts, parts=names), {"half": 0.3})
    assert tuple(found) == names and min(found.values()) >= 0
    assert found["half"] == pytest.approx(1, abs=0.1) and found["other half"] == pytest.approx(1, abs=0.1)
    assert found["noise"] < 0.05 and found["contrary"] < 0.05


def test_every_case_weighs_the_same():
    """A case of very many pixels with another temperature does not outvote the others."""
    samples = predictions(lambda z, random: [2 * z], count=11)
    large = predictions(lambda z, random: [0.5 * z], count=1)[0]
    many = Sample(3, ("one",), np.tile(large.logits, 20), np.tile(large.truth, 20))
    assert fit_temperature([*samples, many], Calibration()) == pytest.approx(
        fit_temperature([*samples, large], Calibration()), rel=0.02
    )


def test_the_numbers_of_the_expected_dice_are_found():
    random = np.random.default_rng(0)
    implied, painted = random.uniform(0.3, 0.98, 600), random.choice([3, 5, 8], 600)
    met = expit(1.4 * logit(implied) - 3.0 / painted**2 - 0.6)
    found = fit_dice(DiceCases(implied, painted, met), Calibration())
    assert (found.dice_slope, found.dice_scarcity, found.dice_bias) == pytest.approx((1.4, 3.0, 0.6), abs=0.1)
    assert found.dice_agreement == 0, "nothing is known of it"
    contrary = fit_dice(DiceCases(implied, painted, 1 - met), Calibration())
    assert contrary.dice_slope >= 0 and contrary.dice_scarcity >= 0


def test_what_agreement_with_simple_predictors_is_worth_is_found():
    """Answers that agree better than others of which as much is implied are better; alone, that is what counts."""
    random = np.random.default_rng(0)
    implied, painted = random.uniform(0.3, 0.98, 600), random.choice([3, 5, 8], 600)
    more = random.normal(0, 0.5, 600)
    agreed = expit(0.8 * logit(implied) - 1.5 / painted**2 - 0.4 + more)
    met = expit(1.2 * logit(implied) - 2.0 / painted**2 - 0.3 + 0.6 * more)
    found = fit_dice(DiceCases(implied, painted, met, agreed), Calibration())
    assert found.dice_agreement == pytest.approx(0.6, abs=0.05)
    expecting = found.agreement_slope, found.agreement_scarcity, found.agreement_bias
    assert expecting == pytest.approx((0.8, 1.5, 0.4), abs=0.3)
    assert (found.dice_slope, found.dice_scarcity, found.dice_bias) == pytest.approx((1.2, 2.0, 0.3), abs=0.1)
    expected = [expected_dice(*case, found, how) for *case, how in zip(implied, painted, agreed, strict=True)]
    assert np.abs(np.array(expected) - met).mean() < 0.005
    assert fit_dice(DiceCases(implied, painted, met, random.permutation(agreed)), found).dice_agreement < 0.1
    once = fit_dice(DiceCases(implied, np.full(600, 3.0), met, agreed), Calibration())
    assert once.agreement_scarcity == 0 and once.dice_agreement > 0.3


def test_fewer_painted_slices_never_raise_what_is_expected():
    """Even where in the cases that are fitted on fewer slices did better for as much agreement."""
    random = np.random.default_rng(0)
    implied, painted = random.uniform(0.3, 0.98, 600), random.choice([3, 5, 8], 600)
    agreed = expit(0.8 * logit(implied) - 3.0 / painted**2 + random.normal(0, 0.5, 600))
    met = expit(0.5 * logit(implied) + 0.6 * logit(agreed) + 4.0 / painted**2)
    found = fit_dice(DiceCases(implied, painted, met, agreed), Calibration())
    assert found.dice_agreement > 0.3
    for known in (0.8, None):
        row = [expected_dice(0.9, n, found, known) for n in (3, 4, 5, 8)]
        assert (np.diff(row) >= 0).all()
    again = fit_dice(DiceCases(implied, painted, met, agreed), found)
    assert expected_dice(0.9, 4, again, 0.8) == pytest.approx(expected_dice(0.9, 4, found, 0.8), abs=0.002)


def test_samples_with_witnesses_are_fitted_and_judged_by_them():
    """Where nothing else tells good answers from poor ones, the better one of two witnesses does."""

    def parts(z, random):
        wrong = random.random(z.shape) < random.choice([0.0, 0.3])
        return [np.where(wrong, -z, z)]

    plain = predictions(parts, count=40)
    samples = [replace(one, witnesses=np.stack([one.truth, ~one.truth])) for one in plain]
    alone, together = fit(plain, Calibration()), fit(samples, Calibration())
    assert alone.dice_agreement == 0 and together.dice_agreement > 0.3
    assert figures(samples, together).dice_error < 0.6 * figures(plain, alone).dice_error


def test_a_fit_makes_right_what_was_wrong():
    samples = predictions(lambda z, random: [3 * z])
    wrong = Calibration(dice_bias=2.5)
    right = fit(samples, wrong)
    before, after = figures(samples, wrong), figures(samples, right)
    assert after.likelihood < before.likelihood - 0.1
    assert before.calibration_error > 0.1 and after.calibration_error < 0.01
    assert after.dice_error < 0.03 and after.dice == before.dice and after.cases == 24


def test_a_sum_is_calibrated_as_it_runs_with_weights_of_the_case():
    def parts(z, random):
        return [z, z / 4 + random.normal(0, 1, z.shape)]

    samples = predictions(parts, parts=("good", "poor"))
    calibration = fit(samples, Calibration(fusion_weights={"good": 0.1, "poor": 0.9}))
    assert calibration.fusion_weights["good"] * calibration.temperature**-1 == pytest.approx(1, abs=0.1)
    calibration = replace(calibration, fusion_weights={"good": 0.9, "poor": 0.1})
    one = samples[1]
    x, y = one.logits.T.astype(float), (one.logits[1] > 0).astype(float)  # here the poor one is right
    own = Sample(5, one.parts, one.logits, one.truth, evidence=(x, y))
    plain, refitted = combined(one, calibration), combined(own, calibration)
    assert np.corrcoef(refitted, one.logits[1])[0, 1] > np.corrcoef(plain, one.logits[1])[0, 1] + 0.1


def test_few_painted_slices_have_weights_of_their_own():
    def parts(z, random):
        return [z, z / 4 + random.normal(0, 1, z.shape)]

    names = ("image", "shape")
    few = predictions(parts, count=12, parts=names, painted=(3,))
    many = [replace(one, parts=names, logits=one.logits[::-1], painted=5) for one in few]
    dense = [replace(one, painted=8) for one in few]
    found = fit([*few, *many, *dense], Calibration(fusion_weights={"image": 0.5, "shape": 0.5}))
    assert found.weights_for(3)["image"] > 0.8 and found.weights_for(4) == found.weights_for(3)
    assert found.weights_for(5)["shape"] > 0.8 and found.weights_for(5)["image"] < 0.3
    assert found.weights_for(8)["image"] > 0.8 and found.weights_for(8)["shape"] < 0.3
    assert Calibration(fusion_weights={"image": 1.0}).weights_for(2) == {"image": 1.0}
    assert np.corrcoef(combined(few[0], found), combined(many[0], found))[0, 1] > 0.999


def test_weights_that_are_to_stay_do_and_the_rest_is_fitted_to_them():
    def parts(z, random):
        return [3 * z, z / 4 + random.normal(0, 1, z.shape)]

    half, less, more = {"good": 0.5, "poor": 0.5}, {"good": 0.25, "poor": 0.5}, {"good": 0.5, "poor": 0.9}
    before = Calibration(fusion_weights=half, few_fusion_weights=less, dense_fusion_weights=more)
    found = fit(predictions(parts, parts=("good", "poor")), before, keep_weights=True)
    assert found == replace(found, fusion_weights=half, few_fusion_weights=less, dense_fusion_weights=more)
    assert found.temperature != before.temperature


def test_what_would_weigh_next_to_nothing_is_left_out_and_the_others_take_its_place():
    def parts(z, random):
        return [z, z + random.normal(0, 6, z.shape)]

    found = weights_of(predictions(parts, parts=("good", "poor")), {})
    assert found["poor"] == 0 and found["good"] == pytest.approx(1, abs=0.05)


def test_missed_slices_lower_the_dice_met():
    (sample,) = predictions(lambda z, random: [z], count=1)
    beyond = Sample(sample.painted, sample.parts, sample.logits, sample.truth, missed=1000)
    assert figures([beyond], Calibration()).dice < figures([sample], Calibration()).dice - 0.1


def test_the_calibration_error_is_the_mean_offset():
    met = np.linspace(0.2, 0.8, 100)
    assert calibration_error(met, met) == 0
    assert calibration_error(met + 0.1, met) == pytest.approx(0.1)
    noise = np.tile([0.05, -0.05], 50)
    assert calibration_error(met, met + noise) == pytest.approx(0, abs=1e-9)


def test_too_few_cases_are_refused():
    with pytest.raises(InputError, match="fewer than 10"):
        fit(predictions(lambda z, random: [z], count=9), Calibration())
