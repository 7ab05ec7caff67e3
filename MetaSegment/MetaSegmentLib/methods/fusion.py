"""The default: networks and the predictors without weights, summed up by what each is worth on the painted slices.

logit = Σ w · logit_k. The weights are fitted on held-out episodes (``metasegment calibrate``), for few and for many
painted slices; with many they are fitted again on each case, by logistic regression on leave-one-out answers of the
inner painted slices, held near the calibrated weights by a ridge. What weighs nothing is not run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from ..networks.plan import MANY
from ..predictors.context import Context
from ..predictors.ensemble import BASELINES, Ensemble
from ..predictors.protocol import Fitted, Predictor, leave_one_out
from ..task.frame import Mask, Stack
from ..task.task import Structure, Task

NETWORKS = ("context", "maml")
"""Weights of the networks of the default; the plan of the first holds the fusion weights."""
_RIDGE = 0.1
_NEAR = 20.0
"""Only pixels this near to the outline, in pixels of the frame, count for the fit."""
_EVERY = 3

Weights = dict[str, float]
Evidence = tuple[NDArray[np.float64], NDArray[np.float64]]
"""(pixels, parts) logits of parts on painted slices that each was predicted without, and (pixels,) truth."""


class Fusion:
    """A weighted sum of the predictors without weights and of methods.

    Args:
        calibration: (weights file, method) whose plan holds the fusion weights.
        methods: the methods to add up, by their name in the fusion weights.
        hidden: predictors to do without.
        whole: run also what weighs nothing, to learn what it should weigh.
    """

    def __init__(
        self,
        calibration: tuple[str, str],
        methods: Mapping[str, Predictor],
        hidden: Collection[str] = (),
        whole: bool = False,
    ) -> None:
        self._calibration = calibration
        self._methods = methods
        self._hidden = hidden
        self._whole = whole

    def whole(self) -> Fusion:
        """The same with all its parts, whatever they weigh."""
        return Fusion(self._calibration, self._methods, self._hidden, whole=True)

    def fit(self, task: Task, context: Context) -> FittedFusion:
        name, method = self._calibration
        painted = min(len(structure.filled) for structure in task.structures)
        weights = context.weights.load_plan(name).calibration[method].weights_for(painted)
        ensemble = Ensemble(task, context, self._hidden)
        ensemble.prepare(task.near)
        methods = {one: predictor for one, predictor in self._methods.items() if self._whole or weights.get(one)}
        fitted = {one: predictor.fit(task, context) for one, predictor in methods.items()}
        left_out = {one: leave_one_out(methods[one], method, task, context) for one, method in fitted.items()}
        known = (*ensemble.names, *methods)
        parts = {one: weights.get(one, 0.0) for one in known if self._whole or weights.get(one)}
        return FittedFusion(ensemble, fitted, left_out, parts)


def fused(without: str = "") -> Fusion:
    """The default; or, to learn what a part is worth, without a predictor, the whole ``prior`` or a network.

    A predictor that is left out is missing from the sum and from what the networks see, as inputs are dropped in
    training; there only one or two are at once, so without any prior the networks are on unknown ground.
    """
    from .gradient.unadapted import Unadapted

    hidden = tuple(BASELINES) if without == "prior" else tuple(name for name in BASELINES if name == without)
    networks = {name: Unadapted(name, hidden) for name in NETWORKS if name != without}
    return Fusion((NETWORKS[0], "fusion"), networks, hidden)


def baselines_only() -> Fusion:
    """The predictors without weights, no network."""
    return Fusion(("baselines", "experts"), {})


class FittedFusion:
    """A weighted sum for one task.

    Attributes:
        calibrated: weights of the parts as the plan has them.
        evidence: what they are fitted on again; None with too few painted slices.
        weights: of each part on this case.
    """

    def __init__(
        self, ensemble: Ensemble, methods: Mapping[str, Fitted], left_out: Mapping[str, Stack | None], weights: Weights
    ) -> None:
        self._ensemble = ensemble
        self._methods = methods
        self.calibrated = self.weights = weights
        self.evidence: Evidence | None = None
        self._left_out: Stack | None = None
        slices = ensemble.task.left_out
        if slices and all(logits is not None for logits in left_out.values()):
            alone = [ensemble.without(index) for index in slices]
            logits = {name: _of_each(alone, slices, name) for name in ensemble.names if name in weights}
            logits |= {name: one for name, one in left_out.items() if one is not None}
            self.evidence = gather(list(weights), logits, ensemble.task)
            self.weights = refit(weights, self.evidence)
            self._left_out = combine(logits, self.weights)

    def logits(self, slices: Sequence[int]) -> Stack:
        return combine(self.parts(slices), self.weights)

    def parts(self, slices: Sequence[int]) -> dict[str, Stack]:
        """(T, C, H, W) logits of each part that is added up."""
        self._ensemble.prepare(slices)
        names = [name for name in self.weights if name in self._ensemble.names]
        logits = {name: self._ensemble.logits(name, slices) for name in names}
        return logits | {name: method.logits(slices) for name, method in self._methods.items()}

    def left_out(self) -> Stack | None:
        return self._left_out


def combine(logits: Mapping[str, Stack], weights: Weights) -> Stack:
    """Σ w · logits over the parts of ``weights``."""
    return np.sum([np.float32(w) * logits[name] for name, w in weights.items()], axis=0, dtype=np.float32)


def gather(names: Sequence[str], logits: Mapping[str, Stack], task: Task) -> Evidence | None:
    """Pixels near the outline on inner painted slices, from leave-one-out ``logits`` (S, C, H, W) of ``task.left_out``.

    None when fewer than MANY slices are painted of a structure.
    """
    columns, truth = [], []
    for place, structure in enumerate(task.structures):
        inner = [n for n, index in enumerate(task.left_out) if index in structure.inner]
        if len(structure.filled) < MANY or len(inner) < 2:
            return None
        for n in inner:
            near = _near_outline(structure, task.left_out[n], task.frame.shape)
            columns.append(np.stack([logits[name][n, place][near] for name in names], axis=1))
            truth.append(task.masks(task.left_out[n])[place][near])
    return np.concatenate(columns)[::_EVERY].astype(float), np.concatenate(truth)[::_EVERY].astype(float)


def refit(weights: Weights, evidence: Evidence | None) -> Weights:
    """Weights for this case; the given ones where there is no evidence.

    Minimises mean cross-entropy + ridge · |w − w₀|² over w ≥ 0; w₀ are the given weights.
    """
    if evidence is None:
        return weights
    x, y = evidence
    start = np.array(list(weights.values()))

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        score = x @ w
        value = np.mean(np.logaddexp(0, score) - y * score) + _RIDGE * np.sum((w - start) ** 2)
        slope = x.T @ (expit(score) - y) / len(y) + 2 * _RIDGE * (w - start)
        return float(value), slope

    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(weights)).x
    return {name: float(w) for name, w in zip(weights, fitted, strict=True)}


def _of_each(alone: Sequence[Ensemble], slices: Sequence[int], name: str) -> Stack:
    return np.concatenate([one.logits(name, (index,)) for one, index in zip(alone, slices, strict=True)])


def _near_outline(structure: Structure, index: int, shape: tuple[int, int]) -> Mask:
    distance = structure.distances[index]
    return np.ones(shape, bool) if distance is None else np.asarray(np.abs(distance) < _NEAR)
