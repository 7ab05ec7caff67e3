"""The trained network without adaptation: the start that gradient methods improve on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from torch import Tensor, nn

from ...networks.architectures import make_network
from ...networks.encode import Encoded, encode, encode_without
from ...networks.plan import Plan
from ...networks.run import run_network
from ...predictors.context import Context
from ...predictors.ensemble import Ensemble
from ...predictors.protocol import SideBySide
from ...task.frame import Stack
from ...task.task import Task
from .inner_loop import split_weights


class Unadapted:
    """Predicts queries with the weights as they were trained.

    Args:
        weights: their name.
        hidden: predictors of which the network shall know nothing.
    """

    def __init__(self, weights: str = "base", hidden: Collection[str] = ()) -> None:
        self._weights = weights
        self._hidden = hidden

    def fit(self, task: Task, context: Context) -> FittedNetwork:
        plan = context.weights.load_plan(self._weights)
        ensemble = Ensemble(task, context, self._hidden)
        ensemble.prepare(task.near)
        parameters, _ = split_weights(context.weights.load(self._weights))
        return FittedNetwork(make_network(plan), parameters, ensemble, plan)


class FittedNetwork:
    """A network with parameters of its own for one task.

    Args:
        unseen: parameters that have not seen the paint, for painted slices; by default the same.
        checked: the painted slices that are left out; by default all that can be.
    """

    def __init__(
        self,
        network: nn.Module,
        parameters: Mapping[str, Tensor],
        ensemble: Ensemble,
        plan: Plan,
        unseen: Mapping[str, Tensor] | None = None,
        checked: Sequence[int] | None = None,
    ) -> None:
        self.parameters = parameters
        self._network = network.eval()
        self._ensemble = ensemble
        self._plan = plan
        self._unseen = parameters if unseen is None else unseen
        self._checked = ensemble.task.left_out if checked is None else checked

    def logits(self, slices: Sequence[int]) -> Stack:
        self._ensemble.prepare(slices)
        return self._run(encode(self._ensemble, slices, self._plan), self.parameters, "predicting")

    def left_out(self) -> Stack | None:
        encoded = encode_without(self._ensemble, self._checked, self._plan)
        return self._run(encoded, self._unseen, "checking on the painted slices") if len(encoded) else None

    def _run(self, inputs: Encoded, parameters: Mapping[str, Tensor], stage: str) -> Stack:
        answer = run_network(self._network, parameters, inputs, stage, self._ensemble.context)
        return answer if answer.ndim == 4 else answer[:, None]


class FittedTogether(SideBySide):
    """Structures that share one network, each found by its own inputs.

    Args:
        each: by structure, all with the same parameters and the same slices to check on.
    """

    def __init__(self, each: Sequence[FittedNetwork]) -> None:
        super().__init__(each)
        self.parameters = each[0].parameters
        self._networks = each

    def left_out(self) -> Stack | None:
        answers = [answer for one in self._networks if (answer := one.left_out()) is not None]
        return np.concatenate(answers, axis=1) if answers else None
