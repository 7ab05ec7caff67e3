"""Amortised Bayesian meta-learning (Ravi & Beatson, ICLR 2019): a Gaussian over adapted weights.

The prior p(φ | θ) = N(μ, σ²) is meta-learned, with one σ for each parameter tensor. The posterior of a case begins
there, and a few steps of gradient descent on its mean and log σ lower

    −E_q log p(D | φ) + KL(q(φ) ‖ p(φ | θ)),   φ = μ_q + σ_q ε,   ε ~ N(0, 1),

D the painted slices, each predicted from the others. The loss of the inner loop is a mean over pixels, so the
divergence is divided by their number. Without any σ this is MAML.

A Gaussian is one dictionary: means by parameter name, and log σ under the names with SIGMA_PREFIX. A parameter without
σ is certain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.func import functional_call
from torch.nn.functional import logsigmoid

from ...networks.losses import segmentation_loss
from .inner_loop import STEPS, Parameters, descend

SIGMA_PREFIX = "sigma/"
"""Standard deviations are stored beside the weights under this prefix, as logarithms."""
FIRST_SIGMA = 0.03


def posterior(
    network: nn.Module,
    prior: Mapping[str, Tensor],
    rates: Mapping[str, Tensor],
    inputs: Tensor,
    truth: Tensor,
    steps: int = STEPS,
    begin: Mapping[str, Tensor] | None = None,
    random: torch.Generator | None = None,
    check: Callable[[], None] = lambda: None,
) -> Parameters:
    """Some steps from the prior, or from where earlier ones led, towards what painted slices say; of first order.

    Args:
        network: gives the architecture; its own weights are neither used nor changed.
        prior: a Gaussian; what has no rate stays as it is.
        rates: step size by parameter name, for its log σ too.
        inputs: (S, channels, H, W) leave-one-out inputs of the painted slices.
        truth: (S, H, W) their masks, float.
        begin: the posterior so far; by default the prior.
        random: of the samples; by default torch's own.
        check: called before every step; raises to stop.
    """

    def loss(gaussian: Parameters) -> Tensor:
        answer = functional_call(network, draw(gaussian, random), (inputs,))
        return segmentation_loss(answer, truth) + divergence(gaussian, prior) / truth.numel()

    both = {name: rates[name.removeprefix(SIGMA_PREFIX)] for name in prior if name.removeprefix(SIGMA_PREFIX) in rates}
    return descend(prior if begin is None else begin, both, loss, steps, check=check)


def draw(gaussian: Mapping[str, Tensor], random: torch.Generator | None = None) -> Parameters:
    """A sample μ + σ ε of the parameters; the same whatever the device."""
    drawn = {name: value for name, value in gaussian.items() if not name.startswith(SIGMA_PREFIX)}
    for name in sigmas(gaussian):
        mean = drawn[name]
        noise = torch.randn(mean.shape, generator=random, dtype=mean.dtype).to(mean.device)
        drawn[name] = mean + gaussian[SIGMA_PREFIX + name].exp() * noise
    return drawn


def divergence(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> Tensor:
    """KL(one ‖ other) of two Gaussians, in nats."""
    parts = [kl_divergence(_normal(one, name), _normal(other, name)).sum() for name in sigmas(one)]
    return torch.stack(parts).sum() if parts else torch.zeros(())


def first_sigmas(names: Iterable[str]) -> Parameters:
    """Log σ to begin meta-training with, by the name that it is stored under."""
    return {SIGMA_PREFIX + name: torch.full((), math.log(FIRST_SIGMA), requires_grad=True) for name in names}


def sigmas(stored: Iterable[str]) -> list[str]:
    """The parameters among stored names that have a σ."""
    return [name.removeprefix(SIGMA_PREFIX) for name in stored if name.startswith(SIGMA_PREFIX)]


def mean_of_samples(logits: Tensor) -> Tensor:
    """(M, …) logits of M samples → (…) logit of the mean of their probabilities."""
    return logsigmoid(logits).logsumexp(0) - logsigmoid(-logits).logsumexp(0)


class Samples(nn.ModuleList):
    """Networks of one plan, whose probabilities are averaged."""

    def each(self, inputs: Tensor) -> Tensor:
        """(N, channels, H, W) inputs → (M, N, H, W) logits of every network."""
        return torch.stack([network(inputs) for network in self])

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, channels, H, W) inputs → (N, H, W) logits of the mean probability."""
        return mean_of_samples(self.each(inputs))


def numbered(samples: Sequence[Mapping[str, Tensor]]) -> Parameters:
    """Parameters of several networks, by the names that :class:`Samples` has for them."""
    return {f"{n}.{name}": value for n, sample in enumerate(samples) for name, value in sample.items()}


def _normal(gaussian: Mapping[str, Tensor], name: str) -> Normal:
    mean = gaussian[name]
    return Normal(mean, gaussian[SIGMA_PREFIX + name].exp().expand_as(mean), validate_args=False)
