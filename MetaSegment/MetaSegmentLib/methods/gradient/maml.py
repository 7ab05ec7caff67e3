"""MAML and its relatives as methods: the inner loop on the painted slices; see ``gradient.py`` for the formulas.

They differ in how the weights were meta-trained, in which of them adapt, and in the number of steps.
"""

from __future__ import annotations

from torch import Tensor, nn

from ...networks.context import Tools
from ...networks.episode import Episode
from .. import AdaptedMethod
from .adapting import AdaptedWeights, learn_from_paint
from .inner_loop import ANIL_STEPS, REPTILE_RATE, STEPS, Parameters, adaptable, fixed_rates, inner_loop, split_weights


class Maml:
    """Adapts meta-learned weights to the inner painted slices; with fewer than three there is nothing to adapt on.

    After more slices were painted it goes on from the weights it had, by a single step.

    Args:
        weights: their name; with step sizes, unless they were trained with fixed ones.
        steps: of the inner loop.
        head_only: only the parameters of HEAD adapt.
    """

    def __init__(self, weights: str = "maml", steps: int = STEPS, head_only: bool = False) -> None:
        self.weights = weights
        self._steps = steps
        self._head_only = head_only

    def adapt(self, episode: Episode, tools: Tools, before: AdaptedMethod | None = None) -> AdaptedWeights:
        episode.prepare()
        known = before if isinstance(before, AdaptedWeights) else None
        start, rates = split_weights(tools.weights(self.weights))
        rates = rates or fixed_rates(adaptable(start), REPTILE_RATE)

        def learn(network: nn.Module, parameters: Parameters, inputs: Tensor, truth: Tensor) -> Parameters:
            speed = {name: rate.to(inputs.device) for name, rate in rates.items()}
            for _ in tools.progress.steps("adapting", range(1 if known else self._steps)):
                free = {name: value.detach().requires_grad_(name in rates) for name, value in parameters.items()}
                parameters = inner_loop(network, free, speed, inputs, truth, 1, True, tools.progress.check)
            return parameters

        begin = dict(known.parameters) if known else start
        learned = learn_from_paint(episode, tools, begin, learn, self._head_only)
        return AdaptedWeights(start, learned, episode, tools, known)


def anil() -> Maml:
    """ANIL (Raghu et al., ICLR 2020): almost no inner loop, only the head adapts."""
    return Maml("anil", ANIL_STEPS, head_only=True)
