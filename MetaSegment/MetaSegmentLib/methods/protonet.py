"""ProtoNet as a method; see ``prototypes.py`` for the formulas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..episode import Episode
from ..networks import SliceNetwork, mixed_experts
from ..region import Stack
from ..runtime import Tools
from . import AdaptedMethod
from .kept import KeptLogits
from .prototypes import Distance, PrototypeSettings, logits_of, prototypes_of


class ProtoNet:
    """Prototypes from the painted slices, each seen as a query would be (from the other painted slices)."""

    weights = "base"

    def __init__(self, distance: Distance = "euclidean") -> None:
        self._settings = PrototypeSettings(distance)

    def adapt(self, episode: Episode, tools: Tools, before: AdaptedMethod | None = None) -> AdaptedProtoNet:
        episode.prepare()
        known = before if isinstance(before, AdaptedProtoNet) else None
        evidence = episode.left_out()
        if not evidence.slices:  # a single painted slice is its own support
            evidence = episode.own()
        truth = torch.from_numpy(np.stack([episode.region.mask(i) for i in evidence.slices]).astype(np.float32))
        network = _Embedding()
        parameters = {f"network.{name}": value for name, value in tools.weights(self.weights).items()}
        features = torch.from_numpy(tools.run(network, parameters, list(evidence.inputs), "adapting"))
        prototypes = {
            "foreground": prototypes_of(features, truth, self._settings),
            "background": prototypes_of(features, 1 - truth, self._settings),
        }
        compare = _Compare(self._settings)
        learned = {f"embedding.{name}": value for name, value in parameters.items()}
        return AdaptedProtoNet(compare, {**learned, **prototypes}, episode, tools, known)


class AdaptedProtoNet:
    def __init__(
        self,
        compare: nn.Module,
        parameters: Mapping[str, Tensor],
        episode: Episode,
        tools: Tools,
        before: AdaptedProtoNet | None = None,
    ) -> None:
        self._compare = compare
        self._parameters = parameters
        self._episode = episode
        self._tools = tools
        self._queries: KeptLogits = KeptLogits(before._queries if before else None)

    def predict(self, slices: tuple[int, ...]) -> Stack:
        def run(inputs: list[NDArray[Any]]) -> Stack:
            return self._tools.run(self._compare, self._parameters, inputs, "predicting")

        return self._queries.of(self._episode.queries(slices), run)

    def left_out(self) -> Stack | None:
        return None


class _Embedding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = SliceNetwork()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network.embed(inputs)


class _Compare(nn.Module):
    """Embeds queries and compares them with prototypes, which are parameters here."""

    def __init__(self, settings: PrototypeSettings) -> None:
        super().__init__()
        self.embedding = _Embedding()
        self.foreground = nn.Parameter(torch.zeros(0))
        self.background = nn.Parameter(torch.zeros(0))
        self._settings = settings

    def forward(self, inputs: Tensor) -> Tensor:
        network = self.embedding.network
        query = self.embedding(inputs)
        sharpness = network.sharpness.exp()
        # Slice by slice, so that the distances to all prototypes stay in the processor's cache.
        slices = [
            logits_of(one, self.foreground, self.background, self._settings.distance, sharpness)
            for one in query.split(1)
        ]
        likelihood = torch.cat(slices)
        return likelihood + mixed_experts(inputs, network.prior)
