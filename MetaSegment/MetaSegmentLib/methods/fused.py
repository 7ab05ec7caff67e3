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

    def adapt(self, episode: Episode, tools: Tools) -> AdaptedFusion:
        from .maml import Maml

        return AdaptedFusion({"maml": Maml().adapt(episode, tools)}, FUSED_WEIGHTS, episode)


class ExpertsOnly:
    """All experts, no network."""

    def adapt(self, episode: Episode, tools: Tools) -> AdaptedFusion:
        return AdaptedFusion({}, EXPERT_WEIGHTS, episode)


class AdaptedFusion:
    def __init__(self, learned: dict[str, AdaptedMethod], weights: Weights, episode: Episode) -> None:
        self._learned = learned
        self._episode = episode
        evidence = episode.left_out()
        self._left_out: Stack | None = None
        if len(evidence.slices):
            logits = {name: evidence.logits[name] for name in EXPERTS}
            for name, method in learned.items():
                checked = method.left_out()
                assert checked is not None
                logits[name] = checked
            weights = refit(weights, logits, evidence.slices, episode)
            self._left_out = combine(logits, weights)
        self._weights = weights

    def predict(self, slices: tuple[int, ...]) -> Stack:
        logits = {name: self._episode.queries(slices).logits[name] for name in EXPERTS}
        logits |= {name: method.predict(slices) for name, method in self._learned.items()}
        return combine(logits, self._weights)

    def left_out(self) -> Stack | None:
        return self._left_out
