"""The trained network without adaptation: the start that gradient methods improve on."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ..episode import Episode
from ..networks import SliceNetwork
from ..region import Stack
from ..runtime import Tools


class Direct:
    """Predicts queries from what the experts say of them, with the weights as they were trained."""

    weights = "base"

    def adapt(self, episode: Episode, tools: Tools) -> AdaptedNetwork:
        return AdaptedNetwork(SliceNetwork(), tools.weights(self.weights), episode, tools)


class AdaptedNetwork:
    """A network with parameters of its own for one episode."""

    def __init__(self, network: nn.Module, parameters: Mapping[str, Tensor], episode: Episode, tools: Tools) -> None:
        self._network = network.eval()
        self._parameters = parameters
        self._episode = episode
        self._tools = tools

    def predict(self, slices: tuple[int, ...]) -> Stack:
        inputs = self._episode.queries(slices).inputs
        return self._tools.run(self._network, self._parameters, inputs, "predicting")

    def left_out(self) -> Stack | None:
        inputs = self._episode.left_out().inputs
        if not len(inputs):
            return None
        return self._tools.run(self._network, self._parameters, inputs, "checking on the painted slices")
