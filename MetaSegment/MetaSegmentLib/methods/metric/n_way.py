"""ProtoNet with an episode of N ways: all structures of a volume and the background compete at every pixel.

Snell et al., NeurIPS 2017, as published: p(k | x) = exp(−d(F(x), c_k)) / Σ_j exp(−d(F(x), c_j)) over the background
(0) and the structures 1 … N, where d is the squared Euclidean distance and c_k the mean of F over painted pixels of
class k; with several prototypes of a class (see ``prototypes.py``), the mean of their exp(−d).

The network looks for one structure at a time, given by its inputs, so a pixel has features f_1(x) … f_N(x), and the
space that all classes share is theirs side by side: F = (f_1, …, f_N), and d(F, c) = Σ_n d(f_n, c_n). With one
structure that is ProtoNet. The predictors' prior π_k of each structure stands beside its distance.

A slice may be complete for some structures only. There a pixel without paint counts as background by the chance
Π (1 − π_k) over the structures k of which nothing is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor, nn

from ...networks.architectures import slice_network
from ...networks.encode import Encoded, encode, encode_without
from ...networks.plan import Plan
from ...networks.run import run_network
from ...networks.slice_unet import SliceNetwork
from ...predictors.context import Context
from ...predictors.ensemble import Ensemble
from ...task.frame import Mask, Stack
from ...task.task import Task
from ..gradient.adapting import embed
from ..gradient.inner_loop import Parameters, split_weights
from .prototypes import PrototypeSettings, class_score, prototypes_of, sharpness_of

WEIGHTS = "base"


class NWayProtoNet:
    """Prototypes of all structures of a task and of the background, compared at once."""

    def __init__(self, settings: PrototypeSettings | None = None) -> None:
        self._settings = settings or PrototypeSettings()

    def fit(self, task: Task, context: Context) -> FittedNWay:
        plan = context.weights.load_plan(WEIGHTS)
        ensembles = [Ensemble(task.only(place), context) for place in range(len(task.structures))]
        for ensemble in ensembles:
            ensemble.prepare(task.near)
        network = slice_network(plan).eval()
        network.load_state_dict(split_weights(context.weights.load(WEIGHTS))[0])
        return FittedNWay(network, task, ensembles, plan, self._settings)


class FittedNWay:
    """Prototypes of a task's classes.

    Args:
        ensembles: of each structure by itself.
    """

    def __init__(
        self,
        network: SliceNetwork,
        task: Task,
        ensembles: Sequence[Ensemble],
        plan: Plan,
        settings: PrototypeSettings,
    ) -> None:
        self._network, self._settings = network, settings
        self._task, self._ensembles, self._plan = task, ensembles, plan
        self._context = ensembles[0].context
        self._slices = task.left_out
        if all(set(self._slices) & set(structure.filled) for structure in task.structures):
            encoded = [encode_without(one, self._slices, plan) for one in ensembles]
        else:
            self._slices = task.slices  # where one filled slice is all there is, it is its own support
            encoded = [encode(one, self._slices, plan) for one in ensembles]
        self._inputs = [torch.from_numpy(one.array()) for one in encoded]
        self._features = self._embed(self._inputs)
        self._masks = torch.from_numpy(self._class_masks())
        self._answer = self._learned(range(len(self._slices)))

    def logits(self, slices: Sequence[int]) -> Stack:
        for ensemble in self._ensembles:
            ensemble.prepare(slices)
        inputs = _Together([encode(one, slices, self._plan) for one in self._ensembles])
        parameters = dict(self._answer.named_parameters())
        return run_network(self._answer, parameters, inputs, "predicting", self._context)

    def left_out(self) -> Stack | None:
        slices, answers = self._task.left_out, []
        if slices != self._slices or len(slices) < 2:
            return None
        places = range(len(slices))
        with torch.inference_mode():
            for place in self._context.progress.steps("checking on the painted slices", places):
                answer = self._learned([other for other in places if other != place])
                answers.append(answer.decide([one[[place]] for one in self._inputs], self._features[[place]]))
        return np.asarray(torch.cat(answers).numpy())

    def _learned(self, places: Sequence[int]) -> NWayAnswer:
        """What some of the painted slices teach."""
        chosen = list(places)
        with torch.inference_mode():
            features, masks = self._features[chosen], self._masks[chosen]
            prototypes = [prototypes_of(features, mask, self._settings) for mask in masks.unbind(1)]
        return NWayAnswer(self._network, prototypes, self._settings)

    def _embed(self, inputs: Sequence[Tensor]) -> Tensor:
        """(S, N · F, H, W)."""
        parameters: Parameters = dict(self._network.named_parameters())
        each = [embed(self._plan, parameters, one.numpy(), self._context) for one in inputs]
        return torch.from_numpy(np.concatenate(each, axis=1))

    def _class_masks(self) -> Stack:
        """(S, 1 + N, H, W) how much each pixel counts for the background and for each structure."""
        with torch.inference_mode():
            prior = [self._network.mixed_predictors(one, self._network.prior).numpy() for one in self._inputs]
        masks = [self._task.masks(index) for index in self._slices]
        known = [self._task.known(index) for index in self._slices]
        return np.stack([class_masks(*given) for given in zip(masks, known, np.stack(prior, 1), strict=True)])


class NWayAnswer(nn.Module):
    """From inputs to the logits of N structures beside a background of 0.

    Args:
        prototypes: (P, N · F) of the background and of each structure.
    """

    def __init__(self, network: SliceNetwork, prototypes: Sequence[Tensor], settings: PrototypeSettings) -> None:
        super().__init__()
        self.network = network
        self.prototypes = nn.ParameterList([nn.Parameter(one.clone(), requires_grad=False) for one in prototypes])
        self._settings = settings

    def forward(self, inputs: Tensor) -> Tensor:
        """(T, N · channels, H, W) → (T, N, H, W)."""
        each = inputs.split(self.network.channels, dim=1)
        return self.decide(each, torch.cat([self.network.embed(one) for one in each], dim=1))

    def decide(self, each: Sequence[Tensor], features: Tensor) -> Tensor:
        """The same from the inputs (T, channels, H, W) of each structure and features (T, N · F, H, W)."""
        # Slice by slice, so that the distances to all prototypes stay in the processor's cache.
        sharpness = self.network.sharpness.exp()
        known = list(self.prototypes)
        likelihood = torch.cat([n_way_logits(one, known, self._settings, sharpness) for one in features.split(1)])
        prior = [self.network.mixed_predictors(one, self.network.prior) for one in each]
        return likelihood + torch.stack(prior, dim=1)


def n_way_logits(
    features: Tensor, prototypes: Sequence[Tensor], settings: PrototypeSettings, sharpness: Tensor | float = 1.0
) -> Tensor:
    """log p(k | x) − log p(0 | x) of the structures k.

    Args:
        features: (T, F, H, W).
        prototypes: (P, F) of each class, background first.

    Returns:
        (T, N, H, W); with 0 for the background, their softmax is p.
    """
    factor = sharpness_of(settings.distance, sharpness)
    background, *scores = (class_score(features, one, settings.distance, factor) for one in prototypes)
    return torch.stack([score - background for score in scores], dim=1)


def class_masks(masks: Mask, known: Mask, prior: Stack) -> Stack:
    """(1 + N, H, W) how much each pixel counts for a class, background first.

    Args:
        masks: (N, H, W) what is painted of each structure.
        known: (N, H, W) for which structure which pixel is settled.
        prior: (N, H, W) logits of each structure.
    """
    absent = np.where(known, 1.0, expit(-prior)).prod(0) * ~masks.any(0)
    return np.concatenate([absent[None], masks]).astype(np.float32)


class _Together(Sequence[NDArray[Any]]):
    """(N · channels, H, W) inputs of slices, those of the structures one after the other."""

    def __init__(self, each: Sequence[Encoded]) -> None:
        self._each = each

    def __len__(self) -> int:
        return len(self._each[0])

    def __getitem__(self, place: Any) -> Any:
        return np.concatenate([one[place] for one in self._each])
