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

from ...networks.architectures import slice_network
from ...networks.encode import Encoded, encode, encode_left_out, encode_own, truth_of
from ...networks.plan import Plan
from ...networks.run import run_network
from ...networks.slice_unet import SliceNetwork
from ...predictors.context import Context
from ...predictors.ensemble import Ensemble
from ...task.frame import Stack
from ...task.task import Task
from ..gradient.adapting import embed
from ..gradient.inner_loop import Parameters, split_weights


@dataclass(frozen=True)
class Features:
    """Slices as a head sees them.

    Attributes:
        inputs: (N, channels, H, W) network inputs.
        embedded: (N, F, H, W) features.
        places: (N,) where the slices lie along the slice axis, in gaps; heads that are not positional may be given
            anything.
    """

    inputs: Tensor
    embedded: Tensor
    places: Tensor

    def only(self, which: Sequence[int]) -> Features:
        return Features(*(value[list(which)] for value in (self.inputs, self.embedded, self.places)))


class Head(Protocol):
    """What follows the embedding. ``extra`` are its meta-learned tensors beyond the network."""

    positional: bool
    """Whether it needs the positions of slices."""

    def first_extra(self) -> Parameters:
        """The tensors to begin meta-training with, by the name they are stored under."""

    def fit(self, network: SliceNetwork, extra: Parameters, painted: Features, truth: Tensor, seed: int) -> Parameters:
        """Learn from painted slices and their masks (N, H, W), float; differentiable."""

    def answer(self, network: SliceNetwork, extra: Parameters, fitted: Parameters, seen: Features) -> Tensor:
        """(N, H, W) logits of the foreground; differentiable."""


class Embedded:
    """A head on the network's features; painted slices are seen as queries are, from the other painted slices."""

    def __init__(self, head: Head, weights: str) -> None:
        self._head = head
        self._weights = weights

    def fit(self, task: Task, context: Context) -> FittedHead:
        plan = context.weights.load_plan(self._weights)
        ensemble = Ensemble(task, context)
        ensemble.prepare(task.near)
        stored = context.weights.load(self._weights)
        network = slice_network(plan).eval()
        network.load_state_dict(split_weights(stored)[0])
        extra = {name: stored[name] for name in self._head.first_extra()}
        return FittedHead(self._head, network, extra, ensemble, plan)


class FittedHead:
    """A head that has learned from the painted slices of a task.

    Attributes:
        learned: what it has learned.
    """

    def __init__(self, head: Head, network: SliceNetwork, extra: Parameters, ensemble: Ensemble, plan: Plan) -> None:
        self._head = head
        self._network = network
        self._extra = extra
        self._ensemble = ensemble
        self._plan = plan
        task, seed = ensemble.task, ensemble.context.seed
        self._encoded = encode_left_out(ensemble, plan)
        if not set(self._encoded.slices) & set(task.structure.filled):
            self._encoded = encode_own(ensemble, plan)  # one filled slice is its own support
        self._painted = self._features_of(self._encoded)
        self._truth = torch.from_numpy(truth_of(task, self._encoded.slices))
        with torch.inference_mode():
            fitted = head.fit(network, extra, self._painted, self._truth, seed)
        self.learned = fitted
        self._answer = _Answer(head, network, extra, fitted)

    def logits(self, slices: Sequence[int]) -> Stack:
        self._ensemble.prepare(slices)
        encoded = encode(self._ensemble, slices, self._plan)
        inputs: Sequence[NDArray[Any]] = encoded
        if self._head.positional:
            shape = self._ensemble.task.frame.shape
            planes = (np.full((1, *shape), place) for place in self._places(slices))
            inputs = [np.concatenate([one, plane]) for one, plane in zip(encoded, planes, strict=True)]
        parameters = dict(self._answer.named_parameters())
        return run_network(self._answer, parameters, inputs, "predicting", self._ensemble.context)[:, None]

    def left_out(self) -> Stack | None:
        slices = self._ensemble.task.left_out
        if slices != self._encoded.slices or len(slices) < 2:
            return None
        context, answers = self._ensemble.context, []
        places = range(len(slices))
        with torch.inference_mode():
            for place in context.progress.steps("checking on the painted slices", places):
                others = [other for other in places if other != place]
                painted, truth = self._painted.only(others), self._truth[others]
                fitted = self._head.fit(self._network, self._extra, painted, truth, context.seed)
                seen = self._painted.only([place])
                answers.append(self._head.answer(self._network, self._extra, fitted, seen))
        return np.asarray(torch.cat(answers).numpy())[:, None]

    def _features_of(self, encoded: Encoded) -> Features:
        inputs = encoded.array()
        parameters: Parameters = dict(self._network.named_parameters())
        arrays = (inputs, embed(self._plan, parameters, inputs, self._ensemble.context), self._places(encoded.slices))
        return Features(*(torch.from_numpy(array) for array in arrays))

    def _places(self, slices: Sequence[int]) -> NDArray[np.float32]:
        """(N,) from the middle of the frame, in gaps."""
        task = self._ensemble.task
        middle = (task.frame.start + task.frame.stop) / 2
        return (np.asarray(slices, np.float32) - middle) / np.float32(task.structure.gap)


class _Answer(nn.Module):
    """Embeds queries and answers with a fitted head; all its tensors are parameters, so that any device can run it."""

    def __init__(self, head: Head, network: SliceNetwork, extra: Parameters, fitted: Parameters) -> None:
        super().__init__()
        self._head = head
        self.network = network
        self.extra = _frozen(extra)
        self.fitted = _frozen(fitted)

    def forward(self, inputs: Tensor) -> Tensor:
        places = inputs[:, -1, 0, 0]
        inputs = inputs[:, : self.network.channels]
        seen = Features(inputs, self.network.embed(inputs), places)
        return self._head.answer(self.network, dict(self.extra), dict(self.fitted), seen)


def _frozen(tensors: Parameters) -> nn.ParameterDict:
    return nn.ParameterDict({name: nn.Parameter(value.clone(), requires_grad=False) for name, value in tensors.items()})
