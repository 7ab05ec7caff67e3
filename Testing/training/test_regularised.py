"""Meta-regularisation: the price is the divergence of the formula, and shared weights are noisy and do not adapt."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from MetaSegmentLib.methods.gradient.inner_loop import learned_rates
from MetaSegmentLib.networks.plan import SLICE_V1
from MetaSegmentLib.networks.slice_unet import SliceNetwork
from MetaSegmentLib.training.objectives import Batch, RegularisedLoss
from MetaSegmentLib.training.regularised import SPREAD_PREFIX, drawn_weights, information, kernels


def test_the_price_is_the_mean_divergence_from_a_standard_normal() -> None:
    means, spread = np.array([0.0, 0.7, -2.0]), 0.3

    def divergence(mean: float) -> float:
        def integrand(x: float) -> float:
            return norm.pdf(x, mean, spread) * (norm.logpdf(x, mean, spread) - norm.logpdf(x))

        return quad(integrand, mean - 12 * spread, mean + 12 * spread)[0]

    parameters = {"one": torch.tensor(means), "free": torch.tensor([9.0])}
    own = {SPREAD_PREFIX + "one": torch.tensor(np.log(spread))}
    expected = np.mean([divergence(mean) for mean in means])
    assert information(parameters, own).item() == pytest.approx(expected, rel=1e-7)
    assert information({"one": torch.zeros(4)}, {SPREAD_PREFIX + "one": torch.zeros(())}) == 0


def test_shared_weights_are_drawn_around_their_means() -> None:
    torch.manual_seed(0)
    parameters = {"one": torch.full((20000,), 3.0), "free": torch.ones(2)}
    drawn = drawn_weights(parameters, {SPREAD_PREFIX + "one": torch.tensor(0.2).log()})
    assert torch.equal(drawn["free"], parameters["free"])
    assert drawn["one"].mean().item() == pytest.approx(3, abs=0.01)
    assert drawn["one"].std().item() == pytest.approx(0.2, rel=0.02)


def test_without_noise_the_loss_is_that_of_the_queries_and_the_price() -> None:
    torch.manual_seed(0)
    network, objective = SliceNetwork(), RegularisedLoss(price=0.5)
    torch.nn.init.normal_(network.head.weight, std=0.3)
    inputs = torch.randn(5, len(SLICE_V1.inputs), 32, 32)
    inputs[:, SLICE_V1.place("outside")] = 0
    truth = (inputs[:, 1] > 0).float()
    batch = Batch(inputs[:3], truth[:3], inputs[3:], truth[3:])
    own = objective.extra_parameters(network)
    shared = kernels(dict(network.named_parameters()))
    assert shared and not set(shared) & set(learned_rates(own)), "weights that cost something adapt"

    quiet = {name: value - 30 if name.startswith(SPREAD_PREFIX) else value for name, value in own.items()}
    means = np.concatenate([network.get_parameter(name).detach().double().numpy().ravel() for name in shared])
    paid = np.mean(0.5 * means**2 - 0.5) - quiet[SPREAD_PREFIX + shared[0]].item()
    free = RegularisedLoss(price=0).of(network, quiet, batch).item()
    assert objective.of(network, quiet, batch).item() - free == pytest.approx(0.5 * paid, rel=1e-4)

    objective.backward(network, own, batch, 1.0)
    assert all(own[SPREAD_PREFIX + name].grad for name in shared), "the noise does not learn"
