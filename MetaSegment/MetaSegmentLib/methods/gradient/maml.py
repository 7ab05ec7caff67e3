"""MAML and its relatives as methods: the inner loop on the painted slices; see ``inner_loop.py`` for the formulas.

They differ in how the weights were meta-trained, in which of them adapt, and in the number of steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ...networks.architectures import slice_network
from ...networks.plan import Plan
from ...predictors.context import Context
from ...predictors.ensemble import Ensemble
from ...progress import Progress
from ...task.task import Task
from .adapting import LearnTogether, Slices, learn_together
from .inner_loop import (
    ANIL_STEPS,
    REPTILE_RATE,
    STEPS,
    Parameters,
    adaptable,
    fixed_rates,
    inner_loop,
    mean_over_structures,
    split_weights,
)
from .unadapted import FittedNetwork, FittedTogether


class Maml:
    """Adapts meta-learned weights to the inner painted slices; with fewer than three there is nothing to adapt on.

    Several structures share one inner loop, so one adapted network answers for all. The network looks for one structure
    at a time, given by its inputs, and the support loss is the mean over them: θ' = θ − α ∇ (1/N) Σ_k L_k(θ).

    Painted slices that are left out are answered by the weights it started from, which have not seen them.

    Args:
        weights: their name; with step sizes, unless they were trained with fixed ones.
        steps: of the inner loop.
        head_only: only the parameters of HEAD adapt.
    """

    def __init__(self, weights: str = "maml", steps: int = STEPS, head_only: bool = False) -> None:
        self._weights = weights
        self._steps = steps
        self._head_only = head_only

    def fit(self, task: Task, context: Context) -> FittedTogether:
        plan = context.weights.load_plan(self._weights)
        ensembles = [Ensemble(task.only(place), context) for place in range(len(task.structures))]
        for ensemble in ensembles:
            ensemble.prepare(task.near)
        stored = context.weights.load(self._weights)
        start, rates = split_weights(stored)
        rates = rates or fixed_rates(adaptable(start), REPTILE_RATE)
        learn = descent(rates, context.progress, self._steps)
        more = [self.more_support(one, plan, stored) for one in ensembles]
        learned = learn_together(ensembles, plan, start, learn, self._head_only, more)
        network, checked = slice_network(plan), task.left_out
        return FittedTogether([FittedNetwork(network, learned, one, plan, start, checked) for one in ensembles])

    def more_support(self, ensemble: Ensemble, plan: Plan, stored: Parameters) -> Slices | None:
        """Slices to learn from besides the painted ones."""
        return None


def descent(rates: Parameters, progress: Progress, steps: int = STEPS) -> LearnTogether:
    """The inner loop as a way to learn from paint; step sizes by parameter name."""

    def learn(
        network: nn.Module, parameters: Parameters, inputs: Tensor, truth: Tensor, counts: Sequence[int]
    ) -> Parameters:
        speed = {name: rate.to(inputs.device) for name, rate in rates.items()}
        loss = mean_over_structures(counts)
        for _ in progress.steps("adapting", range(steps)):
            free = {name: value.detach().requires_grad_(name in rates) for name, value in parameters.items()}
            parameters = inner_loop(network, free, speed, inputs, truth, 1, True, progress.check, loss)
        return parameters

    return learn


def anil() -> Maml:
    """ANIL (Raghu et al., ICLR 2020): almost no inner loop, only the head adapts."""
    return Maml("anil", ANIL_STEPS, head_only=True)
