"""MAML and its relatives as methods: the inner loop on the painted slices; see ``inner_loop.py`` for the formulas.

They differ in how the weights were meta-trained, in which of them adapt, and in the number of steps.
"""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor, nn

from ...networks.architectures import slice_network
from ...networks.plan import Plan
from ...predictors.context import Context
from ...predictors.ensemble import Ensemble
from ...task.frame import Stack
from ...task.task import Task
from .adapting import learn_from_paint
from .inner_loop import ANIL_STEPS, REPTILE_RATE, STEPS, Parameters, adaptable, fixed_rates, inner_loop, split_weights
from .unadapted import FittedNetwork


class Maml:
    """Adapts meta-learned weights to the inner painted slices; with fewer than three there is nothing to adapt on.

    Painted slices that are left out are answered by the weights it started from, which have not seen them.

    Args:
        weights: their name; with step sizes, unless they were trained with fixed ones.
        steps: of the inner loop.
        head_only: only the parameters of HEAD adapt.
        hidden: predictors of which the network shall know nothing.
    """

    def __init__(
        self, weights: str = "maml", steps: int = STEPS, head_only: bool = False, hidden: Collection[str] = ()
    ) -> None:
        self._weights = weights
        self._steps = steps
        self._head_only = head_only
        self._hidden = hidden

    def fit(self, task: Task, context: Context) -> FittedNetwork:
        plan = context.weights.load_plan(self._weights)
        ensemble = Ensemble(task, context, self._hidden)
        ensemble.prepare(task.near)
        stored = context.weights.load(self._weights)
        start, rates = split_weights(stored)
        rates = rates or fixed_rates(adaptable(start), REPTILE_RATE)

        def learn(network: nn.Module, parameters: Parameters, inputs: Tensor, truth: Tensor) -> Parameters:
            speed = {name: rate.to(inputs.device) for name, rate in rates.items()}
            for _ in context.progress.steps("adapting", range(self._steps)):
                free = {name: value.detach().requires_grad_(name in rates) for name, value in parameters.items()}
                parameters = inner_loop(network, free, speed, inputs, truth, 1, True, context.progress.check)
            return parameters

        more = self.more_support(ensemble, plan, stored)
        learned = learn_from_paint(ensemble, plan, start, learn, self._head_only, more)
        return FittedNetwork(slice_network(plan), learned, ensemble, plan, unseen=start)

    def more_support(self, ensemble: Ensemble, plan: Plan, stored: Parameters) -> tuple[Stack, Stack] | None:
        """Inputs and truth of slices to learn from besides the painted ones."""
        return None


def anil() -> Maml:
    """ANIL (Raghu et al., ICLR 2020): almost no inner loop, only the head adapts."""
    return Maml("anil", ANIL_STEPS, head_only=True)
