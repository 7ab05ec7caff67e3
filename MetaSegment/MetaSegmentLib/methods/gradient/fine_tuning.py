"""Learning without meta-learning: what meta-learned methods have to beat.

Transfer learning (Yosinski et al., NeurIPS 2014) takes the features of the pre-trained network, trains its head on the
painted slices, and may then tune all weights; from scratch, the same network starts from random weights. The backbone
of ``resnet`` has learned from images alone (``training/twins.py``). All see the painted slices as MAML's inner loop
does, each predicted from the others, and minimise the same loss by Adam.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ...networks.architectures import slice_network
from ...networks.losses import segmentation_loss
from ...networks.plan import SLICE_V1, Plan
from ...predictors.context import Context
from ...predictors.ensemble import Ensemble
from ...task.task import Task
from .adapting import Learn, learn_from_paint
from .inner_loop import HEAD, STEPS, Parameters, adaptable, split_weights
from .unadapted import FittedNetwork

SCRATCH_STEPS = 16 * STEPS


@dataclass(frozen=True)
class Round:
    """Some steps of Adam: how many, how large, and whether on HEAD only."""

    steps: int
    rate: float
    head_only: bool = False


class Transfer:
    """Adam on the inner painted slices, in rounds, always from the same start: nothing is kept from earlier paint.

    Args:
        weights: what to start from; None for a random initialisation, by seed.
    """

    def __init__(self, weights: str | None, *rounds: Round) -> None:
        self._weights = weights
        self._rounds = rounds

    def fit(self, task: Task, context: Context) -> FittedNetwork:
        if self._weights is None:
            plan, start = SLICE_V1, first_weights(SLICE_V1, context.seed)
        else:
            plan = context.weights.load_plan(self._weights)
            start = split_weights(context.weights.load(self._weights))[0]
        ensemble = Ensemble(task, context)
        ensemble.prepare(task.near)
        learned = start
        for one in self._rounds:
            learned = learn_from_paint(ensemble, plan, learned, _adam(one, context), one.head_only)
        unseen = None if self._weights is None else start  # random weights predict nothing of painted slices
        return FittedNetwork(slice_network(plan), learned, ensemble, plan, unseen)


def first_weights(plan: Plan, seed: int) -> Parameters:
    """A random initialisation of the plan's network; the same seed gives the same one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {name: value.detach() for name, value in slice_network(plan).named_parameters()}


def _adam(one: Round, context: Context) -> Learn:
    def learn(network: nn.Module, parameters: Parameters, inputs: Tensor, truth: Tensor) -> Parameters:
        names = HEAD if one.head_only else adaptable(parameters)
        free = {name: parameters[name].detach().clone().requires_grad_() for name in names}
        learned = {**parameters, **free}
        optimiser = torch.optim.Adam(list(free.values()), lr=one.rate)
        for _ in context.progress.steps("adapting", range(one.steps)):
            optimiser.zero_grad()
            segmentation_loss(functional_call(network, learned, (inputs,)), truth).backward()
            optimiser.step()
        return learned

    return learn


_HEAD_ROUND = Round(60, 0.01, head_only=True)
_WIDE_HEAD_ROUND = Round(60, 0.003, head_only=True)
"""A head that reads many features takes smaller steps in each."""
_ALL_ROUND = Round(10, 3e-4)


def frozen() -> Transfer:
    """Pre-trained features as they are, a head trained on them."""
    return Transfer("base", _HEAD_ROUND)


def tuned() -> Transfer:
    """The same, then all weights trained."""
    return Transfer("base", _HEAD_ROUND, _ALL_ROUND)


def resnet_frozen() -> Transfer:
    """Features of a residual network that saw images without labels, a head trained on them."""
    return Transfer("resnet", _WIDE_HEAD_ROUND)


def resnet() -> Transfer:
    """The same, then all weights trained."""
    return Transfer("resnet", _WIDE_HEAD_ROUND, _ALL_ROUND)


def scratch() -> Transfer:
    """The same network without anything learned before."""
    return Transfer(None, Round(SCRATCH_STEPS, 2e-3))
