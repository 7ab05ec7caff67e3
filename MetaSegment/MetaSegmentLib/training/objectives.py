"""What each stage of meta-training minimises, episode by episode.

A stage trains the network together with tensors of its own (learned step sizes, for example), which are stored beside
the weights under names with a slash. The loop, the optimiser and the data are the trainer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor
from torch.func import functional_call

from ..methods.gradient.adapting import HeadOnly
from ..methods.gradient.clustered import attention, first_experts, mixture, task_embedding
from ..methods.gradient.drawn_slices import drawn, first_vae, stored_vae
from ..methods.gradient.inner_loop import (
    ANIL_FIRST_RATE,
    ANIL_STEPS,
    HEAD,
    RATE_PREFIX,
    REPTILE_RATE,
    STEPS,
    Parameters,
    adaptable,
    first_rates,
    fixed_rates,
    inner_loop,
    learned_rates,
    reptile_gradient,
)
from ..methods.gradient.posterior import SIGMA_PREFIX, divergence, draw, first_sigmas, mean_of_samples, posterior
from ..methods.metric.embedded import Features, Head
from ..methods.metric.matching import MatchingHead
from ..methods.metric.prototypes import PrototypeSettings, prototype_logits
from ..methods.metric.ridge import RidgeHead
from ..networks.losses import segmentation_loss
from ..networks.slice_unet import SliceNetwork
from ..networks.slice_vae import Bound, Neighbours, SliceVae
from .adversary import disturbed
from .regularised import drawn_weights, first_spreads, information, kernels
from .twins import twin_features, twin_loss


@dataclass(frozen=True)
class Batch:
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
    def extra_parameters(self, network: SliceNetwork) -> Parameters:
        """Trainable tensors beyond the network, to begin with, by the name they are stored under."""

    def backward(self, network: SliceNetwork, own: Parameters, batch: Batch, share: float) -> float:
        """Add ``share`` times the gradient of one episode's loss to ``.grad`` of the network and of ``own``.

        Returns the loss.
        """

    def backward_together(self, network: SliceNetwork, own: Parameters, batches: Sequence[Batch]) -> float:
        """Add the gradient of the mean loss of several episodes, at once where that is quicker; returns that loss."""

    def predict(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        """(N, H, W) logits of the query slices, as the stage's method would find them."""


@dataclass(frozen=True)
class Objective:
    """One stage.

    Attributes:
        loss: what is minimised.
        start: weights to begin with; None for a random initialisation.
        own_rate: learning rate of the tensors beyond the network, over that of the network.
    """

    loss: Loss
    start: str | None = "base"
    own_rate: float = 100.0


class _OneByOne:
    """A loss of one episode after the other."""

    def backward(self, network: SliceNetwork, own: Parameters, batch: Batch, share: float) -> float:
        raise NotImplementedError

    def backward_together(self, network: SliceNetwork, own: Parameters, batches: Sequence[Batch]) -> float:
        share = 1 / len(batches)
        return share * sum(self.backward(network, own, batch, share) for batch in batches)


class _Differentiable(_OneByOne):
    """A loss that automatic differentiation can handle."""

    def extra_parameters(self, network: SliceNetwork) -> Parameters:
        return {}

    def predict(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        raise NotImplementedError

    def of(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        return segmentation_loss(self.predict(network, own, batch), batch.query_truth)

    def backward(self, network: SliceNetwork, own: Parameters, batch: Batch, share: float) -> float:
        loss = self.of(network, own, batch)
        torch.autograd.backward(loss * share)
        return float(loss.detach())


class DirectLoss(_Differentiable):
    """Queries predicted directly, through the head and through prototypes (Snell et al., NeurIPS 2017)."""

    def predict(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        return network(batch.query)

    def of(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        inputs = torch.cat([batch.support, batch.query])
        features = network.embed(inputs)
        logits = network.decide(inputs, features)
        n = len(batch.support)
        truth = batch.support_truth
        direct = segmentation_loss(logits[n:], batch.query_truth) + 0.3 * segmentation_loss(logits[:n], truth)
        if truth.sum() < 1:
            return direct
        sharpness = network.sharpness.exp()
        likelihood = prototype_logits(features[:n], truth, features[n:], PrototypeSettings(), sharpness)
        compared = likelihood + network.mixed_predictors(batch.query, network.prior)
        return direct + 0.5 * segmentation_loss(compared, batch.query_truth)


class QueryLoss(_Differentiable):
    """Queries predicted directly, and nothing else: painted slices teach by what they show the network. To learn from
    the outermost ones, left out, would teach it to run past the ends."""

    def predict(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        return network(batch.query)

    def backward_together(self, network: SliceNetwork, own: Parameters, batches: Sequence[Batch]) -> float:
        """Slices do not see each other in the network, so all of one size go through it together."""
        total = 0.0
        for size in dict.fromkeys(batch.query.shape[2:] for batch in batches):
            alike = [batch for batch in batches if batch.query.shape[2:] == size]
            logits = network(torch.cat([one.query for one in alike])).split([len(one.query) for one in alike])
            pairs = zip(logits, alike, strict=True)
            loss = torch.stack([segmentation_loss(found, one.query_truth) for found, one in pairs]).sum() / len(batches)
            torch.autograd.backward(loss)
            total += float(loss.detach())
        return total


@dataclass(frozen=True)
class AdaptedLoss(_Differentiable):
    """Queries predicted after the inner loop on the painted slices (MAML, Finn et al., ICML 2017)."""

    first_order: bool = False

    def extra_parameters(self, network: SliceNetwork) -> Parameters:
        return _stored(first_rates(adaptable(dict(network.named_parameters()))))

    def predict(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        return _adapted(network, learned_rates(own), batch, self.first_order)


class RobustLoss(AdaptedLoss):
    """The same on images that are made hard: painted slices for the start, queries for what was learned from them
    (adversarial querying, Goldblum et al., NeurIPS 2020)."""

    def of(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        places = network.plan.image_places

        def harder(parameters: Parameters, inputs: Tensor, truth: Tensor) -> Tensor:
            if not len(inputs):
                return inputs
            fixed = {name: value.detach() for name, value in parameters.items()}
            return disturbed(lambda x: segmentation_loss(functional_call(network, fixed, (x,)), truth), inputs, places)

        start: Parameters = dict(network.named_parameters())
        batch = replace(batch, support=harder(start, batch.support, batch.support_truth))
        learned = _learned(network, start, learned_rates(own), batch, self.first_order)
        query = harder(learned, batch.query, batch.query_truth)
        return segmentation_loss(functional_call(network, learned, (query,)), batch.query_truth)


@dataclass(frozen=True)
class RegularisedLoss(_Differentiable):
    """Queries predicted after an inner loop on all but the convolutions, which are noisy, and pay for what they know
    (meta-regularisation, Yin et al., ICLR 2020).

    Attributes:
        price: of a nat a weight.
    """

    price: float = 0.01

    def extra_parameters(self, network: SliceNetwork) -> Parameters:
        parameters: Parameters = dict(network.named_parameters())
        shared = kernels(parameters)
        free = [name for name in adaptable(parameters) if name not in shared]
        return _stored(first_rates(free)) | first_spreads(shared)

    def predict(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        return _adapted(network, learned_rates(own), batch, first_order=True)

    def of(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        means: Parameters = dict(network.named_parameters())
        learned = _learned(network, drawn_weights(means, own), learned_rates(own), batch, first_order=True)
        loss = segmentation_loss(functional_call(network, learned, (batch.query,)), batch.query_truth)
        return loss + self.price * information(means, own)


class ClusteredLoss(_Differentiable):
    """Queries predicted after an inner loop that starts from a mixture of experts; see ``clustered.py``."""

    def extra_parameters(self, network: SliceNetwork) -> Parameters:
        parameters: Parameters = dict(network.named_parameters())
        return _stored(first_rates(adaptable(parameters))) | first_experts(network.plan, parameters)

    def predict(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        start: Parameters = dict(network.named_parameters())
        if len(batch.support):
            with torch.no_grad():
                features = network.embed(batch.support)
            shares = attention(own, task_embedding(network.plan, batch.support, features, batch.support_truth))
            start = mixture(start, own, shares)
        learned = _learned(network, start, learned_rates(own), batch, first_order=True)
        return functional_call(network, learned, (batch.query,))


class AdaptedHeadLoss(_Differentiable):
    """Queries predicted after an inner loop on the head alone (ANIL, Raghu et al., ICLR 2020); second order."""

    def extra_parameters(self, network: SliceNetwork) -> Parameters:
        return _stored(first_rates(HEAD, ANIL_FIRST_RATE))

    def predict(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        parameters: Parameters = {name: value for name, value in network.named_parameters() if name in HEAD}
        head = HeadOnly(network.plan).to(batch.query.device)
        inner = _inner_painted(network, batch)
        if inner is not None:
            inputs, truth = inner
            seen = torch.cat([inputs, network.embed(inputs)], dim=1)
            parameters = inner_loop(head, parameters, learned_rates(own), seen, truth, ANIL_STEPS, first_order=False)
        query = torch.cat([batch.query, network.embed(batch.query)], dim=1)
        return functional_call(head, parameters, (query,))


class ReptileLoss(_OneByOne):
    """After k gradient steps on parts of the episode, painted and query slices alike, the weights move towards where
    the steps led (Reptile, Nichol et al., 2018): θ += ε (φ − θ), as a gradient for whatever optimiser there is."""

    def extra_parameters(self, network: SliceNetwork) -> Parameters:
        return {}

    def predict(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        return _adapted(network, _reptile_rates(network), batch, first_order=True)

    def backward(self, network: SliceNetwork, own: Parameters, batch: Batch, share: float) -> float:
        start: Parameters = dict(network.named_parameters())
        moved = {name: value.detach().clone() for name, value in start.items()}
        rates = _reptile_rates(network)
        painted = _inner_painted(network, batch)
        halves = zip(batch.query.tensor_split(2), batch.query_truth.tensor_split(2), strict=True)
        for inputs, truth in (*([painted] * STEPS if painted else ()), *halves):
            free = {name: value.detach().requires_grad_(name in rates) for name, value in moved.items()}
            moved = inner_loop(network, free, rates, inputs, truth, 1)
        for name in rates:
            value, change = start[name], share * reptile_gradient(start[name], moved[name], REPTILE_RATE).detach()
            value.grad = change if value.grad is None else value.grad + change
        with torch.no_grad():
            return float(segmentation_loss(functional_call(network, start, (batch.query,)), batch.query_truth))


class VariationalLoss(_Differentiable):
    """An auto-encoder learns what slices between painted ones look like, and the weights to adapt to what it draws
    beside what was painted (in the manner of VILM); first order, and nothing flows back through what is drawn."""

    most = 2
    """Slices drawn."""
    judged = 4
    """Queries that the adapted weights are judged by; the auto-encoder, which is cheap, learns from all."""

    def extra_parameters(self, network: SliceNetwork) -> Parameters:
        vae = {name: value.detach().clone().requires_grad_() for name, value in first_vae().items()}
        return {**_stored(first_rates(adaptable(dict(network.named_parameters())))), **vae}

    def predict(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        support = [part for part in (_inner_painted(network, batch), self._drawn(network, own, batch)) if part]
        parameters: Parameters = dict(network.named_parameters())
        if support:
            inputs, truth = (torch.cat(parts) for parts in zip(*support, strict=True))
            parameters = inner_loop(network, parameters, learned_rates(own), inputs, truth)
        return functional_call(network, parameters, (batch.query,))

    def of(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        few = replace(batch, query=batch.query[: self.judged], query_truth=batch.query_truth[: self.judged])
        loss = super().of(network, own, few)
        inside = network.lies_inside(batch.query)
        if not inside.any():
            return loss
        inputs, truth, plan = batch.query[inside], batch.query_truth[inside], network.plan
        seen = (inputs[:, plan.place("image")], truth, Neighbours.of(inputs, plan))
        found: Bound = functional_call(SliceVae(), stored_vae(own), seen)
        return loss + found.total / truth[0].numel()

    def _drawn(self, network: SliceNetwork, own: Parameters, batch: Batch) -> tuple[Tensor, Tensor] | None:
        inside = batch.query[network.lies_inside(batch.query)][: self.most]
        return drawn(inside, network.plan, stored_vae(own)) if len(inside) else None


class BayesianLoss(_Differentiable):
    """Queries predicted by the mean of samples of the posterior that the painted slices lead to, and its divergence
    from the prior, which keeps σ as large as tasks are different (Ravi & Beatson, ICLR 2019); first order."""

    samples = 2

    def extra_parameters(self, network: SliceNetwork) -> Parameters:
        names = adaptable(dict(network.named_parameters()))
        return {**_stored(first_rates(names)), **first_sigmas(names)}

    def predict(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        return self._predict(network, self._posterior(network, own, batch), batch)

    def of(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        found = self._posterior(network, own, batch)
        loss = segmentation_loss(self._predict(network, found, batch), batch.query_truth)
        return loss + divergence(found, self._prior(network, own)) / batch.query_truth.numel()

    def _prior(self, network: SliceNetwork, own: Parameters) -> Parameters:
        return {
            **dict(network.named_parameters()),
            **{name: own[name] for name in own if name.startswith(SIGMA_PREFIX)},
        }

    def _posterior(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Parameters:
        prior, painted = self._prior(network, own), _inner_painted(network, batch)
        return prior if painted is None else posterior(network, prior, learned_rates(own), *painted)

    def _predict(self, network: SliceNetwork, found: Parameters, batch: Batch) -> Tensor:
        samples = [functional_call(network, draw(found), (batch.query,)) for _ in range(self.samples)]
        return mean_of_samples(torch.stack(samples))


class TwinLoss(_Differentiable):
    """Features of the same pixels in two views are alike, without labels; see ``twins.py``. Its queries are answered by
    a head that learned from the painted slices, on features as they are."""

    def predict(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        rates = _stored(first_rates(HEAD, ANIL_FIRST_RATE))
        return AdaptedHeadLoss().predict(network, rates, batch)

    def of(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        return twin_loss(*twin_features(network, torch.cat([batch.support, batch.query])))


@dataclass(frozen=True)
class HeadLoss(_Differentiable):
    """Queries answered by a head that learned from the painted slices in closed form."""

    head: Head

    def extra_parameters(self, network: SliceNetwork) -> Parameters:
        return {name: value.clone().requires_grad_() for name, value in self.head.first_extra().items()}

    def predict(self, network: SliceNetwork, own: Parameters, batch: Batch) -> Tensor:
        inputs = torch.cat([batch.support, batch.query])
        whole = Features(inputs, network.embed(inputs), inputs.new_zeros(len(inputs)))
        n = len(batch.support)
        fitted = self.head.fit(network, own, whole.only(range(n)), batch.support_truth, 0)
        return self.head.answer(network, own, fitted, whole.only(range(n, len(inputs))))


def _adapted(network: SliceNetwork, rates: Parameters, batch: Batch, first_order: bool) -> Tensor:
    """Logits of the queries after the inner loop on the painted slices."""
    learned = _learned(network, dict(network.named_parameters()), rates, batch, first_order)
    return functional_call(network, learned, (batch.query,))


def _learned(
    network: SliceNetwork, start: Parameters, rates: Parameters, batch: Batch, first_order: bool
) -> Parameters:
    """The start after the inner loop on the painted slices."""
    painted = _inner_painted(network, batch)
    return start if painted is None else inner_loop(network, start, rates, *painted, STEPS, first_order)


def _reptile_rates(network: SliceNetwork) -> Parameters:
    rates = fixed_rates(adaptable(dict(network.named_parameters())), REPTILE_RATE)
    return {name: rate.to(network.mix.device) for name, rate in rates.items()}


def _inner_painted(network: SliceNetwork, batch: Batch) -> tuple[Tensor, Tensor] | None:
    """Inputs and truth of the painted slices that lie between others; None when there are none."""
    inside = network.lies_inside(batch.support)
    return (batch.support[inside], batch.support_truth[inside]) if inside.any() else None


def _stored(rates: Parameters) -> Parameters:
    return {RATE_PREFIX + name: rate for name, rate in rates.items()}


OBJECTIVES: dict[str, Objective] = {
    "base": Objective(DirectLoss(), start=None),
    "context": Objective(QueryLoss()),
    "resnet": Objective(TwinLoss(), start=None),
    "maml": Objective(AdaptedLoss()),
    "bayesian": Objective(BayesianLoss(), start="maml"),
    "variational": Objective(VariationalLoss(), start="maml", own_rate=10.0),
    "fomaml": Objective(AdaptedLoss(first_order=True)),
    "anil": Objective(AdaptedHeadLoss()),
    "reptile": Objective(ReptileLoss()),
    "robust": Objective(RobustLoss(first_order=True), start="maml"),
    "meta-regularised": Objective(RegularisedLoss(), start="maml"),
    "clustered": Objective(ClusteredLoss(), start="maml", own_rate=10.0),
    "ridge": Objective(HeadLoss(RidgeHead()), own_rate=30.0),
    "matching": Objective(HeadLoss(MatchingHead()), own_rate=30.0),
}
"""By the name of the stage, which is the name of the weights it makes."""
