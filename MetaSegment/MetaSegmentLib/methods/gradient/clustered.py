"""Clusters of tasks: a case starts its gradient steps from a mixture of experts that its paint chooses.

θ_task = Σ aₖ θₖ with a = softmax(W e), then MAML's inner loop. The embedding e of a task is the mean of its features on
the painted pixels and beside them, with the planes that are the same all over a slice. Experts differ in what is small
and steers much: the head, and scale and shift of the normalisations. After MMAML (Vuorio et al., NeurIPS 2019), which
modulates the start by the task, and HSML (Yao et al., ICML 2019), whose tasks belong to clusters softly.

θₖ is stored as what it adds to the θ that all share; equal experts are MAML.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from ...networks.architectures import slice_network
from ...networks.encode import SCALARS, encode_left_out, encode_own, truth_of
from ...networks.plan import Plan
from ...predictors.context import Context
from ...predictors.ensemble import Ensemble
from ...task.task import Task
from .adapting import embed, learn_together
from .inner_loop import HEAD, Parameters, split_weights
from .maml import descent
from .unadapted import FittedNetwork

EXPERTS = 4
EXPERT_PREFIX = "expert/"
"""(experts, ...) what each adds to a parameter."""
ATTENTION = "attention/weight"
"""(experts, E): W."""
_FIRST_DIFFERENCE = 0.01


class Clustered:
    """MAML from a start that is mixed for the task.

    Painted slices that are left out are answered by the experts in equal parts, which have not seen the paint.

    Args:
        weights: their name.
    """

    def __init__(self, weights: str = "clustered") -> None:
        self._weights = weights

    def fit(self, task: Task, context: Context) -> FittedNetwork:
        plan, stored = context.weights.load_plan(self._weights), context.weights.load(self._weights)
        start, rates = split_weights(stored)
        ensemble = Ensemble(task, context)
        ensemble.prepare(task.near)
        shares = attention(stored, self._embedded(ensemble, plan, start))
        mixed = mixture(start, stored, shares)
        learned = learn_together([ensemble], plan, mixed, descent(rates, context.progress))
        unseen = mixture(start, stored, torch.full_like(shares, 1 / len(shares)))
        return FittedNetwork(slice_network(plan), learned, ensemble, plan, unseen)

    def _embedded(self, ensemble: Ensemble, plan: Plan, start: Parameters) -> Tensor:
        """The task as its painted slices show it, each seen from the others; a single one is seen from itself."""
        encoded = encode_left_out(ensemble, plan)
        if not set(encoded.slices) & set(ensemble.task.structure.filled):
            encoded = encode_own(ensemble, plan)
        inputs, truth = encoded.array(), truth_of(ensemble.task, encoded.slices)
        features = embed(plan, start, inputs, ensemble.context)
        return task_embedding(plan, *(torch.from_numpy(array) for array in (inputs, features, truth)))


def task_embedding(plan: Plan, inputs: Tensor, features: Tensor, truth: Tensor) -> Tensor:
    """(E,) what a task looks like: mean features inside and outside, each normalised, and the means of SCALARS.

    Args:
        inputs: (S, channels, H, W) of painted slices.
        features: (S, F, H, W) of them.
        truth: (S, H, W) their masks, float.
    """
    masks = torch.stack([truth, 1 - truth])
    sums = torch.einsum("kshw,sfhw->kf", masks, features)
    means = layer_norm(sums / masks.sum((1, 2, 3)).clamp_min(1)[:, None], features.shape[1:2])
    return torch.cat([means.flatten(), inputs[:, _scalar_places(plan), 0, 0].mean(0)])


def attention(own: Mapping[str, Tensor], embedding: Tensor) -> Tensor:
    """(experts,) softmax(W e): what each expert weighs; adds up to 1."""
    return torch.softmax(own[ATTENTION] @ embedding, 0)


def mixture(parameters: Mapping[str, Tensor], own: Mapping[str, Tensor], shares: Tensor) -> Parameters:
    """Σ aₖ θₖ, shares a (experts,)."""
    return {
        name: value + torch.einsum("k,k...->...", shares, own[key]) if (key := EXPERT_PREFIX + name) in own else value
        for name, value in parameters.items()
    }


def first_experts(plan: Plan, parameters: Mapping[str, Tensor]) -> Parameters:
    """What to begin meta-training with, by the name it is stored under: experts that hardly differ."""
    random = torch.Generator().manual_seed(0)
    width = 2 * int(plan.arguments["embedding"]) + len(_scalar_places(plan))
    own = {ATTENTION: torch.randn(EXPERTS, width, generator=random) / width**0.5}
    for name, value in parameters.items():
        if name in HEAD or ".adn.N." in name:
            own[EXPERT_PREFIX + name] = _FIRST_DIFFERENCE * torch.randn(EXPERTS, *value.shape, generator=random)
    return {name: value.requires_grad_() for name, value in own.items()}


def _scalar_places(plan: Plan) -> list[int]:
    return [place for place, one in enumerate(plan.inputs) if one.source in SCALARS]
