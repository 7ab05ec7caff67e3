"""Fits temperature, expected Dice and fusion weights; every case weighs the same, however large it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit

from ..answer.agreement import agreement, shared_with
from ..answer.calibration import bounded_logit, expected_dice, implied_dice, surplus
from ..errors import InputError
from ..methods.fusion import refit
from ..networks.plan import DENSE, MANY, Calibration
from .samples import Sample

FEWEST_CASES = 10
_PIXELS = 4000
"""Of a case, drawn at random, for the fit of temperature and weights; evenly spaced ones may lie in few columns."""
_RIDGE = 1e-4
_DICE_RIDGE = 1e-6
"""Smaller, since 1/n² hardly varies: enough where all cases have as many painted slices, too little to matter else."""
_LEAST = 0.02
"""A part that would weigh less is left out, so that it need not be run."""
_HOTTEST = 8.0
_BINS = 10

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """How right a calibration is.

    Attributes:
        cases: how many.
        likelihood: negative log-likelihood of the truth, nats a pixel, mean over the cases.
        dice: mean Dice that was met.
        dice_error: mean absolute difference of expected and met Dice.
        calibration_error: expected calibration error of the expected Dice: mean difference of its mean and that of the
            Dice met, in bins of equally many cases (Naeini et al., AAAI 2015).
    """

    cases: int
    likelihood: float
    dice: float
    dice_error: float
    calibration_error: float


def fit(samples: Sequence[Sample], before: Calibration, keep_weights: bool = False) -> Calibration:
    """What fits the samples of a method best; begins with ``before``.

    Args:
        keep_weights: the fusion weights stay as they are.

    Raises:
        InputError: too few samples.
    """
    if len(samples) < FEWEST_CASES:
        raise InputError(f"There are fewer than {FEWEST_CASES} cases to calibrate on; name more data or raise --limit.")
    after = before
    if before.fusion_weights and not keep_weights:
        few = [sample for sample in samples if sample.painted < MANY]
        many = [sample for sample in samples if MANY <= sample.painted < DENSE]
        dense = [sample for sample in samples if sample.painted >= DENSE]
        if few:
            after = replace(after, few_fusion_weights=fit_weights(few, before.weights_for(MANY - 1)))
        if many:
            after = replace(after, fusion_weights=fit_weights(many, before.weights_for(MANY)))
        if dense:
            after = replace(after, dense_fusion_weights=fit_weights(dense, before.weights_for(DENSE)))
    after = replace(after, temperature=fit_temperature(samples, after))
    return fit_dice(cases_of(samples, after), after)


def fit_weights(samples: Sequence[Sample], before: Mapping[str, float]) -> dict[str, float]:
    """Weights w ≥ 0 of the parts: logistic regression of the truth on their logits, without an intercept.

    Stacking with non-negative weights (Wolpert 1992; Breiman 1996), on predictions of slices that were not painted. One
    that falls below _LEAST is left out, and the others are fitted again.
    """
    names = samples[0].parts
    cases = []
    for sample in samples:
        if sample.parts != names:
            raise InputError("Not all cases have the same predictors; calibrate where slicer-core is installed.")
        few = _some(len(sample.truth))
        cases.append((sample.logits[:, few].T.astype(float), sample.truth[few].astype(float)))
    x = np.concatenate([logits for logits, _ in cases])
    y = np.concatenate([truth for _, truth in cases])
    share = np.concatenate([np.full(len(truth), 1 / (len(truth) * len(cases))) for _, truth in cases])

    def loss(w: Values) -> tuple[float, Values]:
        score = x @ w
        value = share @ (np.logaddexp(0, score) - y * score) + _RIDGE * w @ w
        return float(value), x.T @ (share * (expit(score) - y)) + 2 * _RIDGE * w

    found = np.array([before.get(name, 0.0) for name in names])
    most: list[float | None] = [None] * len(names)
    while True:
        found = minimize(loss, found, jac=True, method="L-BFGS-B", bounds=[(0, limit) for limit in most]).x
        slight = [place for place, w in enumerate(found) if w < _LEAST and most[place] is None]
        if not slight:
            return {name: round(float(w), 4) for name, w in zip(names, found, strict=True)}
        most[min(slight, key=found.__getitem__)] = 0.0


def fit_temperature(samples: Sequence[Sample], calibration: Calibration) -> float:
    """T that makes the truth most likely under σ(logit / T) (Guo et al., ICML 2017)."""
    cases = []
    for sample in samples:
        few = _some(len(sample.truth))
        cases.append((combined(sample, calibration, few), sample.truth[few]))

    def loss(log_temperature: float) -> float:
        return float(np.mean([_likelihood(z / np.exp(log_temperature), truth) for z, truth in cases]))

    limit = float(np.log(_HOTTEST))
    return round(float(np.exp(minimize_scalar(loss, bounds=(-limit, limit), method="bounded").x)), 4)


class DiceCases(NamedTuple):
    """(cases,) each: Dice that the probabilities imply, painted slices, Dice met, and agreement with simple predictors,
    where known of all."""

    implied: Values
    painted: Values
    met: Values
    agreed: Values | None = None


def fit_dice(cases: DiceCases, before: Calibration) -> Calibration:
    """``before`` with the numbers of ``expected_dice``: slope, scarcity and agreement, none below 0, and bias; with
    fewer painted slices and all else the same, agreement too, no more is expected.

    Fractional logistic regression (Papke & Wooldridge 1996): cross-entropy of the Dice met and the Dice expected, so
    that cases of Dice 0 or 1 fit in; a slight ridge keeps near ``before`` what the cases do not settle. What agreement
    is to be expected is found by least squares.
    """
    implied, painted, met, agreed = cases
    known, more, expecting = 0.0, np.zeros(len(met)), before
    if agreed is not None:
        known, expecting = before.dice_agreement, _expecting(agreed, implied, painted, before)
        # Without its share of 1/n², so that what 1/n² counts in all can be held at 0 or more.
        more = surplus(agreed, implied, painted, replace(expecting, agreement_scarcity=0.0))
    x = np.stack([logit(np.clip(implied, 1e-4, 1 - 1e-4)), -1 / painted**2, -np.ones(len(met)), more], axis=1)
    in_all = before.dice_scarcity - known * before.agreement_scarcity
    start = np.array([before.dice_slope, max(in_all, 0.0), before.dice_bias, known])

    def loss(theta: Values) -> tuple[float, Values]:
        score = x @ theta
        value = np.mean(np.logaddexp(0, score) - met * score) + _DICE_RIDGE * np.sum((theta - start) ** 2)
        return float(value), x.T @ (expit(score) - met) / len(met) + 2 * _DICE_RIDGE * (theta - start)

    bounds = [(0, None), (0, None), (None, None), (0, None)]
    slope, in_all, bias, agreement = (
        round(float(one), 4) for one in minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    )
    return replace(
        expecting,
        dice_slope=slope,
        dice_scarcity=round(in_all + agreement * expecting.agreement_scarcity, 4),
        dice_bias=bias,
        dice_agreement=agreement,
    )


def _expecting(agreed: Values, implied: Values, painted: Values, before: Calibration) -> Calibration:
    """``before`` with the numbers of ``surplus``; where all cases have as many painted slices, without a scarcity."""
    x = np.stack([bounded_logit(implied), -np.ones(len(agreed)), -1 / painted**2], axis=1)
    if len(np.unique(painted)) == 1:
        x = x[:, :2]
    slope, bias, *scarcity = np.linalg.lstsq(x, bounded_logit(agreed))[0].round(4).tolist()
    return replace(before, agreement_slope=slope, agreement_bias=bias, agreement_scarcity=sum(scarcity))


def figures(samples: Sequence[Sample], calibration: Calibration) -> Figures:
    """How right ``calibration`` is on samples."""
    likelihoods, expected, met = [], [], []
    for sample in samples:
        z = combined(sample, calibration)
        likelihoods.append(_likelihood(z / calibration.temperature, sample.truth))
        implied, dice = _implied_and_met(z, sample, calibration.temperature)
        guess = expected_dice(implied, sample.painted, calibration, _agreed(z, sample))
        if guess is not None:
            expected.append(guess)
            met.append(dice)
    guesses, real = np.array(expected), np.array(met)
    return Figures(
        len(samples),
        float(np.mean(likelihoods)),
        float(real.mean()) if len(real) else float("nan"),
        float(np.abs(guesses - real).mean()) if len(real) else float("nan"),
        calibration_error(guesses, real),
    )


def calibration_error(expected: Values, met: Values) -> float:
    """Mean |mean expected − mean met| over bins of equally many cases, in the order of what was expected."""
    if not len(met):
        return float("nan")
    bins = np.array_split(np.argsort(expected, kind="stable"), min(_BINS, -(-len(met) // _BINS)))
    return float(sum(len(one) * abs(expected[one].mean() - met[one].mean()) for one in bins) / len(met))


def combined(sample: Sample, calibration: Calibration, few: slice | NDArray[np.intp] = slice(None)) -> Values:
    """(pixels,) logits of the method, with weights fitted on the case as the method does it."""
    logits = sample.logits[:, few].astype(float)
    if not calibration.fusion_weights:
        return np.asarray(logits[0])
    known = calibration.weights_for(sample.painted)
    used = [place for place, name in enumerate(sample.parts) if known.get(name)]
    weights = {sample.parts[place]: known[sample.parts[place]] for place in used}
    evidence = None if sample.evidence is None else (sample.evidence[0][:, used], sample.evidence[1])
    return np.asarray(np.array(list(refit(weights, evidence).values())) @ logits[used])


def cases_of(samples: Sequence[Sample], calibration: Calibration) -> DiceCases:
    """The samples for which there is an estimate."""
    rows, agreed = [], []
    for sample in samples:
        z = combined(sample, calibration)
        implied, met = _implied_and_met(z, sample, calibration.temperature)
        if implied is not None and sample.painted > 1:
            rows.append((implied, sample.painted, met))
            agreed.append(_agreed(z, sample))
    if not rows:
        raise InputError("On none of the cases was anything found; name other data.")
    known = [one for one in agreed if one is not None]
    implied_all, painted, met_all = np.array(rows, float).T
    return DiceCases(implied_all, painted, met_all, np.array(known) if len(known) == len(rows) else None)


def dice_met(z: Values, sample: Sample) -> float:
    """Dice of (pixels,) logits on a sample, what is missed beyond the frame included."""
    mask = z > 0
    size = int(mask.sum()) + int(sample.truth.sum()) + sample.missed
    return 2 * int((mask & sample.truth).sum()) / size if size else 1.0


def _implied_and_met(z: Values, sample: Sample, temperature: float) -> tuple[float | None, float]:
    twice, both = implied_dice(expit(z / temperature), z > 0)
    return (twice / both if twice > 0 and both >= 1 else None), dice_met(z, sample)


def _agreed(z: Values, sample: Sample) -> float | None:
    """How far (pixels,) logits agree with simple predictors; None where that is not known."""
    return None if sample.witnesses is None else agreement(shared_with(z > 0, sample.witnesses))


def _likelihood(z: Values, truth: NDArray[np.bool_]) -> float:
    """Negative log-likelihood of the truth, nats a pixel."""
    return float(np.mean(np.logaddexp(0, np.where(truth, -z, z))))


def _some(pixels: int) -> NDArray[np.intp]:
    """The places of at most _PIXELS of so many, in order; the same each time."""
    return np.sort(np.random.default_rng(0).permutation(pixels)[:_PIXELS])
