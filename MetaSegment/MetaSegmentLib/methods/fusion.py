"""The default: MAML and the experts, each weighted by what it is worth on the painted slices; see ``fusion.py``."""

from __future__ import annotations

from ..networks.context import Tools
from ..networks.encode import EXPERTS
from ..networks.episode import Episode
from ..task.frame import Stack
from . import AdaptedMethod
from .weighting import Weights, combine, refit

# Fitted on held-out training volumes, so that the sum is a calibrated logit.
EXPERT_WEIGHTS: Weights = {"shape": 0.05, "propagation": 0.4, "grow": 0.28, "pixels": 0.35}
"""Used without networks."""
FUSED_WEIGHTS: Weights = {"shape": 0.01, "propagation": 0.05, "grow": 0.02, "pixels": 0.04, "maml": 0.5}
"""Used with MAML, and the start of the refit."""


class Fused:
    """MAML and all experts; or, to learn what a part is worth, ``without`` an expert, any ``prior``, ``adaptation`` or
    ``detail``.

    An expert that is left out is missing from the sum and from what the network sees, as channels are dropped in
    training; there only one or two are at once, so without any prior the network is on unknown ground.
    """

    def __init__(self, without: str = "") -> None:
        self._hidden = EXPERTS if without == "prior" else tuple(name for name in EXPERTS if name == without)
        self._adapts = without != "adaptation"
        self._sharpens = without != "detail"

    def adapt(self, episode: Episode, tools: Tools, before: AdaptedMethod | None = None) -> AdaptedFusion:
        from .gradient.maml import Maml

        episode.prepare()
        seen = episode.without(self._hidden)
        maml = Maml() if self._adapts else Maml(steps=0)
        known = before.learned.get("maml") if isinstance(before, AdaptedFusion) and self._adapts else None
        weights = {name: weight for name, weight in FUSED_WEIGHTS.items() if name not in self._hidden}
        return AdaptedFusion({"maml": maml.adapt(seen, tools, known)}, weights, seen, self._sharpens)


class ExpertsOnly:
    """All experts, no network."""

    def adapt(self, episode: Episode, tools: Tools, before: AdaptedMethod | None = None) -> AdaptedFusion:
        episode.prepare()
        return AdaptedFusion({}, EXPERT_WEIGHTS, episode)


class AdaptedFusion:
    """A weighted sum; the weights are those of the experts and of the ``learned`` methods, by name.

    Unless it ``sharpens`` it keeps to itself what it said of painted slices, so that no detail is learned from that.
    """

    def __init__(
        self, learned: dict[str, AdaptedMethod], weights: Weights, episode: Episode, sharpens: bool = True
    ) -> None:
        self.learned = learned
        self._sharpens = sharpens
        self._episode = episode
        evidence = episode.left_out()
        self._left_out: Stack | None = None
        if evidence.slices:
            logits = {name: evidence.logits(name) for name in weights if name in EXPERTS}
            for name, method in learned.items():
                checked = method.left_out()
                assert checked is not None
                logits[name] = checked
            weights = refit(weights, logits, evidence.slices, episode)
            self._left_out = combine(logits, weights)
        self._weights = weights

    def predict(self, slices: tuple[int, ...]) -> Stack:
        evidence = self._episode.queries(slices)
        logits = {name: evidence.logits(name) for name in self._weights if name in EXPERTS}
        logits |= {name: method.predict(slices) for name, method in self.learned.items()}
        return combine(logits, self._weights)

    def left_out(self) -> Stack | None:
        return self._left_out if self._sharpens else None
