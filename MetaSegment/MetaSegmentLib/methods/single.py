"""One expert alone, as a method."""

from __future__ import annotations

from ..networks.context import Tools
from ..networks.episode import Episode
from ..task.frame import Stack
from . import AdaptedMethod


class SingleExpert:
    """One of the experts that need no learning; see ``episode.EXPERTS``."""

    def __init__(self, expert: str) -> None:
        self._expert = expert

    def adapt(self, episode: Episode, tools: Tools, before: AdaptedMethod | None = None) -> AdaptedExpert:
        return AdaptedExpert(self._expert, episode)


class AdaptedExpert:
    def __init__(self, expert: str, episode: Episode) -> None:
        self._expert = expert
        self._episode = episode

    def predict(self, slices: tuple[int, ...]) -> Stack:
        return self._episode.expert_logits(self._expert, slices)

    def left_out(self) -> Stack | None:
        return None
