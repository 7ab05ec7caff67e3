"""ProtoNet as a method; see ``prototypes.py`` for the formulas."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..episode import Episode
from ..networks import SliceNetwork
from ..region import Stack
from ..runtime import Tools
from .prototypes import Distance, PrototypeSettings, prototype_logits


class ProtoNet:
    """Prototypes from the painted slices, each seen as a query would be (from the other painted slices)."""

    weights = "base"

    def __init__(self, distance: Distance = "euclidean") -> None:
        self._settings = PrototypeSettings(distance)

    def adapt(self, episode: Episode, tools: Tools) -> AdaptedProtoNet:
        evidence = episode.left_out()
        if not len(evidence.slices):  # a single painted slice is its own support
            evidence = episode.own()
        truth = np.stack([episode.region.mask(i) for i in evidence.slices]).astype(np.float32)
        network = _Embedding()
        parameters = {f"network.{name}": value for name, value in tools.weights(self.weights).items()}
        features = tools.run(network, parameters, evidence.inputs, "adapting")
        compare = _Compare(
            network,
            torch.from_numpy(features),
            torch.from_numpy(truth),
            self._settings,
            parameters["network.sharpness"].exp(),
        )
        return AdaptedProtoNet(compare, parameters, episode, tools)


class AdaptedProtoNet:
    def __init__(self, compare: nn.Module, parameters: dict[str, Tensor], episode: Episode, tools: Tools) -> None:
        self._compare = compare
        self._parameters = {f"embedding.{name}": value for name, value in parameters.items()}
        self._episode = episode
        self._tools = tools

    def predict(self, slices: tuple[int, ...]) -> Stack:
        return self._tools.run(self._compare, self._parameters, self._episode.queries(slices).inputs, "predicting")

    def left_out(self) -> Stack | None:
        return None


class _Embedding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = SliceNetwork()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network.embed(inputs)


class _Compare(nn.Module):
    """Embeds queries and compares them with the prototypes of the support."""

    def __init__(
        self, embedding: _Embedding, support: Tensor, truth: Tensor, settings: PrototypeSettings, sharpness: Tensor
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self._support, self._truth, self._settings, self._sharpness = support, truth, settings, sharpness

    def forward(self, inputs: Tensor) -> Tensor:
        query = self.embedding(inputs)
        support, truth = self._support.to(query.device), self._truth.to(query.device)
        return prototype_logits(support, truth, query, self._settings, self._sharpness.to(query.device))
