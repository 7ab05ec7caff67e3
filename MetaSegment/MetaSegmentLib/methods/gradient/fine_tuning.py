"""Learning without meta-learning: what meta-learned methods have to beat.

Transfer learning (Yosinski et al., NeurIPS 2014) takes the features of the pre-trained network, trains its head on the
painted slices, and may then tune all weights; from scratch, the same network starts from random weights. All see the
painted slices as MAML's inner loop does, each predicted from the others, and minimise the same loss by Adam.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ...networks.architectures import SliceNetwork, segmentation_loss
from ...networks.context import Tools
from ...networks.episode import Episode
from .. import AdaptedMethod
from .adapting import AdaptedWeights, Learn, learn_from_paint
from .inner_loop import HEAD, STEPS, Parameters, adaptable, split_weights

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
        self.weights = weights
        self._rounds = rounds

    def adapt(self, episode: Episode, tools: Tools, before: AdaptedMethod | None = None) -> AdaptedWeights:
        episode.prepare()
        start = first_weights(tools.seed) if self.weights is None else split_weights(tools.weights(self.weights))[0]
        learned = start
        for one in self._rounds:
            learned = learn_from_paint(episode, tools, learned, _adam(one, tools), one.head_only)
        return AdaptedWeights(None if self.weights is None else start, learned, episode, tools)


def first_weights(seed: int) -> Parameters:
    """A random initialisation of the network; the same seed gives the same one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {name: value.detach() for name, value in SliceNetwork().named_parameters()}


def _adam(one: Round, tools: Tools) -> Learn:
    def learn(network: nn.Module, parameters: Parameters, inputs: Tensor, truth: Tensor) -> Parameters:
        names = HEAD if one.head_only else adaptable(parameters)
        free = {name: parameters[name].detach().clone().requires_grad_() for name in names}
        learned = {**parameters, **free}
        optimiser = torch.optim.Adam(list(free.values()), lr=one.rate)
        for _ in tools.progress.steps("adapting", range(one.steps)):
            optimiser.zero_grad()
            segmentation_loss(functional_call(network, learned, (inputs,)), truth).backward()
            optimiser.step()
        return learned

    return learn


_HEAD_ROUND = Round(60, 0.01, head_only=True)


def frozen() -> Transfer:
    """Pre-trained features as they are, a head trained on them."""
    return Transfer("base", _HEAD_ROUND)


def tuned() -> Transfer:
    """The same, then all weights trained."""
    return Transfer("base", _HEAD_ROUND, Round(10, 3e-4))


def scratch() -> Transfer:
    """The same network without anything learned before."""
    return Transfer(None, Round(SCRATCH_STEPS, 2e-3))
