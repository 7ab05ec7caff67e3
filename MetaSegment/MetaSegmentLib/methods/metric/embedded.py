"""Methods that look at the features of pixels: the network embeds every slice once, and a head, learned from the
painted slices in closed form, answers for the others. Prototypes, attention and ridge regression differ in the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...networks.architectures import SliceNetwork
from ...networks.context import Tools
from ...networks.encode import CHANNELS, Evidence
from ...networks.episode import Episode
from ...task.frame import GRID, Stack
from .. import AdaptedMethod
from ..gradient.adapting import Embedding
from ..gradient.inner_loop import Parameters, split_weights
from ..kept import Kept


@dataclass(frozen=True)
class Seen:
    """Slices as a head sees them.

    Attributes:
        inputs: (N, channels, H, W) what the experts say.
        features: (N, EMBEDDING, H, W).
        places: (N,) where the slices lie along the slice axis, in gaps; heads that do not ask for it may be given
            anything.
    """

    inputs: Tensor
    features: Tensor
    places: Tensor

    def only(self, which: Sequence[int]) -> Seen:
        return Seen(*(value[list(which)] for value in (self.inputs, self.features, self.places)))


class Head(Protocol):
    """What follows the embedding. ``own`` are its meta-learned tensors beyond the network."""

    positional: bool
    """Whether it asks where slices lie."""

    def own(self) -> Parameters:
        """The tensors to begin meta-training with, by the name they are stored under."""

    def fit(self, network: SliceNetwork, own: Parameters, painted: Seen, truth: Tensor, seed: int) -> Parameters:
        """Learn from painted slices and their masks (N, H, W), float; differentiable."""

    def answer(self, network: SliceNetwork, own: Parameters, fitted: Parameters, seen: Seen) -> Tensor:
        """(N, H, W) logits of the foreground; differentiable."""


class Embedded:
    """A head on the network's features; painted slices are seen as queries are, from the other painted slices."""

    def __init__(self, head: Head, weights: str) -> None:
        self._head = head
        self.weights = weights

    def adapt(self, episode: Episode, tools: Tools, before: AdaptedMethod | None = None) -> AdaptedHead:
        episode.prepare()
        known = before if isinstance(before, AdaptedHead) else None
        stored = tools.weights(self.weights)
        network = SliceNetwork().eval()
        network.load_state_dict(split_weights(stored)[0])
        own = {name: stored[name].cpu() for name in self._head.own()}
        return AdaptedHead(self._head, network, own, episode, tools, known)


class AdaptedHead:
    """A head that has learned from the painted slices; their features are kept for the next paint."""

    def __init__(
        self,
        head: Head,
        network: SliceNetwork,
        own: Parameters,
        episode: Episode,
        tools: Tools,
        before: AdaptedHead | None = None,
    ) -> None:
        self._head = head
        self._network = network
        self._own = own
        self._episode = episode
        self._tools = tools
        self._queries: Kept = Kept(before._queries if before else None)
        self._features: Kept = Kept(before._features if before else None)
        self._evidence = episode.left_out()
        if not any(episode.region.distances[i] is not None for i in self._evidence.slices):
            self._evidence = episode.own()  # one filled slice is its own support
        self._painted, self._truth = self._see_painted()
        with torch.inference_mode():
            fitted = head.fit(network, own, self._painted, self._truth, tools.seed)
        self._answer = _Answer(head, network, own, fitted)

    def predict(self, slices: tuple[int, ...]) -> Stack:
        def run(evidence: Evidence) -> Stack:
            inputs: Sequence[NDArray[Any]] = evidence
            if self._head.positional:
                planes = (np.full((1, GRID, GRID), place) for place in self._places(evidence.slices))
                inputs = [np.concatenate([one, plane]) for one, plane in zip(evidence, planes, strict=True)]
            return self._tools.run(self._answer, dict(self._answer.named_parameters()), inputs, "predicting")

        return self._queries.of(self._episode.queries(slices), run)

    def left_out(self) -> Stack | None:
        slices = self._episode.left_out().slices
        if slices != self._evidence.slices or len(slices) < 2:
            return None
        answers = []
        places = range(len(slices))
        with torch.inference_mode():
            for place in self._tools.progress.steps("checking on the painted slices", places):
                others = [other for other in places if other != place]
                painted, truth = self._painted.only(others), self._truth[others]
                fitted = self._head.fit(self._network, self._own, painted, truth, self._tools.seed)
                seen = self._painted.only([place])
                answers.append(self._head.answer(self._network, self._own, fitted, seen))
        return np.asarray(torch.cat(answers).numpy())

    def _see_painted(self) -> tuple[Seen, Tensor]:
        embedding = Embedding(self._network)

        def embed(evidence: Evidence) -> Stack:
            return self._tools.run(embedding, dict(embedding.named_parameters()), evidence, "adapting")

        evidence = self._evidence
        truth = np.stack([self._episode.region.mask(i) for i in evidence.slices]).astype(np.float32)
        arrays = (evidence.inputs, self._features.of(evidence, embed), self._places(evidence.slices))
        return Seen(*(torch.from_numpy(array) for array in arrays)), torch.from_numpy(truth)

    def _places(self, slices: Sequence[int]) -> NDArray[np.float32]:
        """(N,) from the middle of the region, in gaps."""
        region = self._episode.region
        return (np.asarray(slices, np.float32) - (region.start + region.stop) / 2) / np.float32(region.gap)


class _Answer(nn.Module):
    """Embeds queries and answers with a fitted head; all its tensors are parameters, so that any device can run it."""

    def __init__(self, head: Head, network: SliceNetwork, own: Parameters, fitted: Parameters) -> None:
        super().__init__()
        self._head = head
        self.network = network
        self.own = _frozen(own)
        self.fitted = _frozen(fitted)

    def forward(self, inputs: Tensor) -> Tensor:
        places = inputs[:, -1, 0, 0]
        inputs = inputs[:, : len(CHANNELS)]
        seen = Seen(inputs, self.network.embed(inputs), places)
        return self._head.answer(self.network, dict(self.own), dict(self.fitted), seen)


def _frozen(tensors: Parameters) -> nn.ParameterDict:
    return nn.ParameterDict({name: nn.Parameter(value.clone(), requires_grad=False) for name, value in tensors.items()})
