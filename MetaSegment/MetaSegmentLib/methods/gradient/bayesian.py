"""Bayesian MAML as a method: predictions are averaged over weights that fit the paint; see ``posterior.py``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...networks.architectures import slice_network
from ...predictors.context import Context
from ...predictors.ensemble import Ensemble
from ...task.task import Task
from .adapting import learn_from_paint
from .inner_loop import STEPS, Parameters, split_weights
from .posterior import SIGMA_PREFIX, Samples, draw, numbered, posterior
from .unadapted import FittedNetwork


class Bayesian:
    """Answers with the mean probability of samples of the posterior; painted slices left out, of the prior.

    Args:
        weights: their name; with step sizes and standard deviations.
        samples: of the weights.
    """

    def __init__(self, weights: str = "bayesian", samples: int = 8) -> None:
        self._weights = weights
        self._samples = samples

    def fit(self, task: Task, context: Context) -> FittedNetwork:
        plan = context.weights.load_plan(self._weights)
        ensemble = Ensemble(task, context)
        ensemble.prepare(task.near)
        stored = context.weights.load(self._weights)
        start, rates = split_weights(stored)
        prior = {**start, **{name: value for name, value in stored.items() if name.startswith(SIGMA_PREFIX)}}

        def learn(network: nn.Module, begin: Parameters, inputs: Tensor, truth: Tensor) -> Parameters:
            speed = {name: rate.to(inputs.device) for name, rate in rates.items()}
            random = torch.Generator().manual_seed(context.seed)
            found = begin
            for _ in context.progress.steps("adapting", range(STEPS)):
                free = {
                    name: value.detach().requires_grad_(name.removeprefix(SIGMA_PREFIX) in rates)
                    for name, value in found.items()
                }
                found = posterior(network, begin, speed, inputs, truth, 1, free, random, context.progress.check)
            return found

        found = learn_from_paint(ensemble, plan, prior, learn)
        networks = Samples(slice_network(plan) for _ in range(self._samples))
        samples = self._draw(found, context.seed)
        return FittedNetwork(networks, samples, ensemble, plan, unseen=self._draw(prior, context.seed))

    def _draw(self, gaussian: Parameters, seed: int) -> Parameters:
        random = torch.Generator().manual_seed(seed)
        return numbered([draw(gaussian, random) for _ in range(self._samples)])
