"""The default: MAML and the experts, each weighted by what it is worth on the painted slices; see ``fusion.py``."""

from __future__ import annotations

from ..episode import EXPERTS, Episode
from ..fusion import Weights, combine, refit
from ..region import Stack
from ..runtime import Tools
from . import AdaptedMethod

EXPERT_WEIGHTS: Weights = {"shape": 0.25, "propagation": 0.25, "grow": 0.25, "pixels": 0.62}
"""Used without networks."""
FUSED_WEIGHTS: Weights = {"shape": 0.1, "propagation": 0.1, "grow": 0.1, "pixels": 0.25, "maml": 0.6}
"""Used with MAML, and the start of the refit."""


class Fused:
    """MAML and all experts."""

    def adapt(self, episode: Episode, tools: Tools, before: AdaptedMethod | None = None) -> AdaptedFusion:
        from .maml import Maml

        known = before.learned.get("maml") if isinstance(before, AdaptedFusion) else None
        return AdaptedFusion({"maml": Maml().adapt(episode, tools, known)}, FUSED_WEIGHTS, episode)


class ExpertsOnly:
    """All experts, no network."""

    def adapt(self, episode: Episode, tools: Tools, before: AdaptedMethod | None = None) -> AdaptedFusion:
        episode.prepare()
        return AdaptedFusion({}, EXPERT_WEIGHTS, episode)


class AdaptedFusion:
    """A weighted sum; the weights are those of the experts and of the ``learned`` methods, by name."""

    def __init__(self, learned: dict[str, AdaptedMethod], weights: Weights, episode: Episode) -> None:
        self.learned = learned
        self._episode = episode
        evidence = episode.left_out()
        self._left_out: Stack | None = None
        if evidence.slices:
            logits = {name: evidence.logits(name) for name in EXPERTS}
            for name, method in learned.items():
                checked = method.left_out()
                assert checked is not None
                logits[name] = checked
            weights = refit(weights, logits, evidence.slices, episode)
            self._left_out = combine(logits, weights)
        self._weights = weights

    def predict(self, slices: tuple[int, ...]) -> Stack:
        evidence = self._episode.queries(slices)
        logits = {name: evidence.logits(name) for name in EXPERTS}
        logits |= {name: method.predict(slices) for name, method in self.learned.items()}
        return combine(logits, self._weights)

    def left_out(self) -> Stack | None:
        return self._left_out
