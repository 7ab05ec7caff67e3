"""The Gaussian over weights: against closed forms, the conjugate posterior of a linear model, and MAML."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from torch import nn
from torch.func import functional_call

from MetaSegmentLib.methods.gradient import posterior as module
from MetaSegmentLib.methods.gradient.inner_loop import inner_loop
from MetaSegmentLib.methods.gradient.posterior import (
    SIGMA_PREFIX,
    Samples,
    divergence,
    draw,
    mean_of_samples,
    numbered,
    posterior,
)
from MetaSegmentLib.networks.losses import segmentation_loss


def gaussian(sigma, **means):
    """Means as given, all with one σ."""
    sigmas = {SIGMA_PREFIX + name: torch.tensor(math.log(sigma), dtype=torch.float64) for name in means}
    return {**means, **sigmas}


def test_the_divergence_is_that_of_the_closed_form():
    random = np.random.default_rng(0)
    m0, m1 = random.normal(size=(2, 5))
    s0, s1 = 0.3, 0.7
    expected = np.sum(np.log(s1 / s0) + (s0**2 + (m0 - m1) ** 2) / (2 * s1**2) - 0.5)
    one, other = (gaussian(s, w=torch.tensor(m)) for m, s in ((m0, s0), (m1, s1)))
    assert float(divergence(one, other)) == pytest.approx(expected, rel=1e-6)
    assert float(divergence(one, one)) == pytest.approx(0, abs=1e-6)


def test_samples_have_mean_and_deviation_and_are_those_of_the_seed():
    one = gaussian(0.5, w=torch.full((20000,), 2.0, dtype=torch.float64)) | {"certain": torch.ones(2)}
    drawn = draw(one, torch.Generator().manual_seed(0))
    assert set(drawn) == {"w", "certain"} and torch.equal(drawn["certain"], torch.ones(2))
    assert float(drawn["w"].mean()) == pytest.approx(2, abs=0.02)
    assert float(drawn["w"].std()) == pytest.approx(0.5, abs=0.02)
    assert torch.equal(drawn["w"], draw(one, torch.Generator().manual_seed(0))["w"])
    assert not torch.equal(drawn["w"], draw(one, torch.Generator().manual_seed(1))["w"])


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(3, dtype=torch.float64))

    def forward(self, inputs):
        return inputs @ self.w


def test_it_reaches_the_conjugate_posterior_of_a_linear_model(monkeypatch):
    """y = Xw + noise of variance s², w ~ N(m, τ²): the precision is XᵀX / s² + 1 / τ², and so is the mean known."""
    random = torch.Generator().manual_seed(0)
    x = torch.linalg.qr(torch.randn(12, 3, generator=random, dtype=torch.float64))[0] * 2  # XᵀX = 4
    y = x @ torch.tensor([1.0, -0.5, 2.0]).double() + 0.1 * torch.randn(12, generator=random, dtype=torch.float64)
    s2, tau, m = 0.5, 0.8, torch.tensor([0.2, 0.1, 0.3], dtype=torch.float64)
    monkeypatch.setattr(module, "segmentation_loss", lambda answer, truth: ((answer - truth) ** 2).mean() / (2 * s2))
    prior = gaussian(tau, w=m)
    rates, found, averaged = {"w": torch.tensor(0.4, dtype=torch.float64)}, prior, []
    for step in range(500):
        found = {name: value.detach().requires_grad_() for name, value in found.items()}
        found = posterior(Linear(), prior, rates, x, y, 1, found, random)
        if step >= 50:
            averaged.append(torch.cat([found["w"].detach(), found[SIGMA_PREFIX + "w"].detach()[None]]))
    average = torch.stack(averaged).mean(0)
    precision = 4 / s2 + 1 / tau**2
    mean = (x.T @ y / s2 + m / tau**2) / precision
    torch.testing.assert_close(average[:3], mean, atol=0.05, rtol=0)
    assert float(average[3].exp()) == pytest.approx(precision**-0.5, rel=0.1)


class Smooth(nn.Module):
    """Without kinks, so that finite differences are to be trusted."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 3, padding=1))

    def forward(self, inputs):
        return self.layers(inputs)[:, 0]


@pytest.fixture
def task():
    torch.manual_seed(0)
    network, inputs = Smooth().double(), torch.randn(3, 2, 8, 8).double()
    means = {name: value.detach().clone() for name, value in network.named_parameters()}
    return network, means, inputs, (inputs[:, 0] > 0.3).double()


def prior_of(means, sigma):
    sigmas = {SIGMA_PREFIX + name: torch.tensor(math.log(sigma), dtype=torch.float64) for name in means}
    return {name: value.clone().requires_grad_() for name, value in {**means, **sigmas}.items()}


def test_a_step_goes_down_the_slope_that_finite_differences_find(task):
    """From off the prior, where the divergence has a slope too; of a mean and of a log σ."""
    network, means, inputs, truth = task
    prior, begin = prior_of(means, 0.3), prior_of({name: value + 0.1 for name, value in means.items()}, 0.2)

    def loss(moved):
        answer = functional_call(network, draw(moved, torch.Generator().manual_seed(5)), (inputs,))
        return float((segmentation_loss(answer, truth) + divergence(moved, prior) / truth.numel()).detach())

    rates = {name: torch.tensor(0.1, dtype=torch.float64) for name in means}
    random = torch.Generator().manual_seed(5)
    after = posterior(network, prior, rates, inputs, truth, 1, begin, random)
    for name in ("layers.0.bias", SIGMA_PREFIX + "layers.0.weight", SIGMA_PREFIX + "layers.2.bias"):
        place = (0,) * begin[name].ndim
        heights = []
        for sign in (1, -1):
            moved = {key: value.detach().clone() for key, value in begin.items()}
            moved[name][place] += sign * 1e-3
            heights.append(loss(moved))
        slope = (heights[0] - heights[1]) / 2e-3
        step = float((begin[name] - after[name])[place])
        assert step == pytest.approx(0.1 * slope, rel=1e-3, abs=1e-7)


def test_without_sigma_it_is_maml_and_with_a_small_one_its_first_step_is(task):
    network, means, inputs, truth = task
    rates = {name: torch.tensor(0.3, dtype=torch.float64) for name in means}
    free = {name: value.clone().requires_grad_() for name, value in means.items()}
    for steps, prior, tolerance in ((3, free, 0.0), (1, prior_of(means, 1e-7), 1e-6)):
        expected = inner_loop(network, free, rates, inputs, truth, steps)
        found = posterior(network, prior, rates, inputs, truth, steps)
        for name in means:
            torch.testing.assert_close(found[name], expected[name], atol=tolerance, rtol=0)


def test_the_answer_is_the_logit_of_the_mean_probability(task):
    network, means, inputs, _ = task
    samples = [draw(prior_of(means, 0.5), torch.Generator().manual_seed(n)) for n in range(3)]
    each = np.stack([functional_call(network, sample, (inputs,)).detach().numpy() for sample in samples])
    found = functional_call(Samples(Smooth().double() for _ in samples), numbered(samples), (inputs,)).detach()
    np.testing.assert_allclose(found.numpy(), logit(expit(each).mean(0)), rtol=1e-9)
    assert torch.isfinite(mean_of_samples(torch.tensor([[300.0], [200.0]]))).all()
