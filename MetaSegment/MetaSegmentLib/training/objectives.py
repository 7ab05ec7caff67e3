"""What each stage of meta-training minimises, episode by episode.

A stage trains the network together with tensors of its own (learned step sizes, for example), which are stored beside
the weights under names with a slash. The loop, the optimiser and the data are the trainer's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.func import functional_call

from ..episode import lies_inside
from ..methods.gradient import RATE_PREFIX, STEPS, Parameters, first_rates, inner_loop, learned_rates
from ..methods.prototypes import PrototypeSettings, prototype_logits
from ..networks import SliceNetwork, mixed_experts, segmentation_loss


@dataclass(frozen=True)
class Drawn:
    """What one update sees of an episode, after augmentation.

    Attributes:
        support: (S, channels, H, W) leave-one-out inputs of painted slices.
        support_truth: (S, H, W) their masks, float.
        query: (N, channels, H, W) inputs of slices to predict.
        query_truth: (N, H, W) their masks, float.
    """

    support: Tensor
    support_truth: Tensor
    query: Tensor
    query_truth: Tensor


class Loss(Protocol):
    def own(self, network: SliceNetwork) -> Parameters:
        """Trainable tensors beyond the network, to begin with, by the name they are stored under."""

    def backward(self, network: SliceNetwork, own: Parameters, drawn: Drawn, share: float) -> float:
        """Add ``share`` times the gradient of one episode's loss to ``.grad`` of the network and of ``own``.

        Returns the loss.
        """

    def predict(self, network: SliceNetwork, own: Parameters, drawn: Drawn) -> Tensor:
        """(N, H, W) logits of the query slices, as the stage's method would find them."""


@dataclass(frozen=True)
class Objective:
    """One stage.

    Attributes:
        loss: what is minimised.
        start: weights to begin with; None for a random initialisation.
        defaults: settings of the trainer that differ for this stage.
        own_rate: learning rate of the tensors beyond the network, over that of the network.
    """

    loss: Loss
    start: str | None = "base"
    defaults: dict[str, Any] = field(default_factory=dict)
    own_rate: float = 100.0


class _Differentiable:
    """A loss that automatic differentiation can handle."""

    def own(self, network: SliceNetwork) -> Parameters:
        return {}

    def predict(self, network: SliceNetwork, own: Parameters, drawn: Drawn) -> Tensor:
        raise NotImplementedError

    def of(self, network: SliceNetwork, own: Parameters, drawn: Drawn) -> Tensor:
        return segmentation_loss(self.predict(network, own, drawn), drawn.query_truth)

    def backward(self, network: SliceNetwork, own: Parameters, drawn: Drawn, share: float) -> float:
        loss = self.of(network, own, drawn)
        torch.autograd.backward(loss * share)
        return float(loss.detach())


class DirectLoss(_Differentiable):
    """Queries predicted directly, through the head and through prototypes (Snell et al., NeurIPS 2017)."""

    def predict(self, network: SliceNetwork, own: Parameters, drawn: Drawn) -> Tensor:
        return network(drawn.query)

    def of(self, network: SliceNetwork, own: Parameters, drawn: Drawn) -> Tensor:
        inputs = torch.cat([drawn.support, drawn.query])
        features = network.embed(inputs)
        logits = network.decide(inputs, features)
        n = len(drawn.support)
        truth = drawn.support_truth
        direct = segmentation_loss(logits[n:], drawn.query_truth) + 0.3 * segmentation_loss(logits[:n], truth)
        if truth.sum() < 1:
            return direct
        sharpness = network.sharpness.exp()
        likelihood = prototype_logits(features[:n], truth, features[n:], PrototypeSettings(), sharpness)
        compared = likelihood + mixed_experts(drawn.query, network.prior)
        return direct + 0.5 * segmentation_loss(compared, drawn.query_truth)


@dataclass(frozen=True)
class AdaptedLoss(_Differentiable):
    """Queries predicted after the inner loop on the painted slices (MAML, Finn et al., ICML 2017)."""

    first_order: bool = False

    def own(self, network: SliceNetwork) -> Parameters:
        return {RATE_PREFIX + name: rate for name, rate in first_rates(network).items()}

    def predict(self, network: SliceNetwork, own: Parameters, drawn: Drawn) -> Tensor:
        parameters: Parameters = dict(network.named_parameters())
        inside = lies_inside(drawn.support)
        steps = STEPS if inside.any() else 0
        painted = (drawn.support[inside], drawn.support_truth[inside])
        adapted = inner_loop(network, parameters, learned_rates(own), *painted, steps, self.first_order)
        return functional_call(network, adapted, (drawn.query,))


_BRIEF: dict[str, Any] = {"steps": 1500, "tasks": 1, "support": 4, "queries": 5, "rate": 3e-4}

OBJECTIVES: dict[str, Objective] = {
    "base": Objective(DirectLoss(), start=None),
    "maml": Objective(AdaptedLoss(), defaults=_BRIEF),
    "fomaml": Objective(AdaptedLoss(first_order=True), defaults=_BRIEF),
}
"""By the name of the stage, which is the name of the weights it makes."""
