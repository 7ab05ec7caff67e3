"""The trained network without adaptation: the start that gradient methods improve on."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ...networks.architectures import SliceNetwork
from ...networks.context import Tools
from ...networks.encode import Evidence
from ...networks.episode import Episode
from ...task.frame import Stack
from .. import AdaptedMethod
from ..kept import Kept


class Direct:
    """Predicts queries from what the experts say of them, with the weights as they were trained."""

    weights = "base"

    def adapt(self, episode: Episode, tools: Tools, before: AdaptedMethod | None = None) -> AdaptedNetwork:
        episode.prepare()
        known = before if isinstance(before, AdaptedNetwork) else None
        return AdaptedNetwork(SliceNetwork(), tools.weights(self.weights), episode, tools, known)


class AdaptedNetwork:
    """A network with parameters of its own for one episode."""

    def __init__(
        self,
        network: nn.Module,
        parameters: Mapping[str, Tensor],
        episode: Episode,
        tools: Tools,
        before: AdaptedNetwork | None = None,
    ) -> None:
        self.parameters = parameters
        self._network = network.eval()
        self._episode = episode
        self._tools = tools
        self._queries: Kept = Kept(before._queries if before else None)
        self._left_out: Kept = Kept(before._left_out if before else None)

    def predict(self, slices: tuple[int, ...]) -> Stack:
        return self._queries.of(self._episode.queries(slices), lambda new: self._run(new, "predicting"))

    def left_out(self) -> Stack | None:
        evidence = self._episode.left_out()
        if not evidence.slices:
            return None
        return self._left_out.of(evidence, lambda new: self._run(new, "checking on the painted slices"))

    def _run(self, evidence: Evidence, stage: str) -> Stack:
        return self._tools.run(self._network, self.parameters, evidence, stage)
