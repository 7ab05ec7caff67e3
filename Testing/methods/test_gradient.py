"""The inner loop against finite differences in float64."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call

from MetaSegmentLib.methods.gradient.inner_loop import RATE_PREFIX, first_rates, inner_loop, split_weights
from MetaSegmentLib.networks.losses import segmentation_loss


class Smooth(nn.Module):
    """Without kinks, so that finite differences are to be trusted."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 3, padding=1))

    def forward(self, inputs):
        return self.layers(inputs)[:, 0]


@pytest.fixture
def task():
    torch.manual_seed(0)
    network = Smooth().double()
    support, query = torch.randn(3, 2, 8, 8).double(), torch.randn(4, 2, 8, 8).double()
    truths = [(x[:, 0] + 0.5 * x[:, 1] > 0.3).double() for x in (support, query)]
    return network, support, truths[0], query, truths[1]


def meta_loss(task, parameters, rates, first_order, steps=3):
    network, support, support_truth, query, query_truth = task
    adapted = inner_loop(network, parameters, rates, support, support_truth, steps, first_order)
    return segmentation_loss(functional_call(network, adapted, (query,)), query_truth)


def fresh(network):
    return {name: value.detach().clone().requires_grad_() for name, value in network.named_parameters()}


def fixed_rates(network, rate=0.3):
    return {name: torch.tensor(rate, dtype=torch.float64) for name, _ in network.named_parameters()}


def test_the_meta_gradient_is_the_derivative_of_the_query_loss_after_adaptation(task):
    network = task[0]
    parameters, rates = fresh(network), fixed_rates(network)
    gradients = torch.autograd.grad(meta_loss(task, parameters, rates, first_order=False), list(parameters.values()))
    torch.manual_seed(1)
    direction = {name: torch.randn_like(value) for name, value in parameters.items()}
    step = 1e-6

    def moved(sign):
        shifted = {n: (v + sign * step * direction[n]).detach().requires_grad_() for n, v in parameters.items()}
        return meta_loss(task, shifted, rates, first_order=True).item()

    slope = (moved(1) - moved(-1)) / (2 * step)
    expected = sum((g * direction[n]).sum().item() for n, g in zip(parameters, gradients, strict=True))
    assert slope == pytest.approx(expected, rel=1e-5)


def test_step_sizes_have_a_meta_gradient_too(task):
    network = task[0]
    parameters = fresh(network)
    rate = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    rates = dict.fromkeys(parameters, rate)
    (gradient,) = torch.autograd.grad(meta_loss(task, parameters, rates, first_order=False), rate)

    def at(value):
        return meta_loss(
            task, fresh(network), dict.fromkeys(parameters, torch.tensor(value, dtype=torch.float64)), True
        ).item()

    assert (at(0.3 + 1e-6) - at(0.3 - 1e-6)) / 2e-6 == pytest.approx(gradient.item(), rel=1e-5)


def test_first_order_is_the_gradient_at_the_adapted_weights_and_differs_from_second_order(task):
    network, support, support_truth, query, query_truth = task
    rates = fixed_rates(network)
    gradients = {}
    for first_order in (True, False):
        parameters = fresh(network)
        loss = meta_loss(task, parameters, rates, first_order)
        gradients[first_order] = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(parameters.values()))])
    adapted = inner_loop(network, fresh(network), rates, support, support_truth, 3, True)
    adapted = {name: value.detach().requires_grad_() for name, value in adapted.items()}
    loss = segmentation_loss(functional_call(network, adapted, (query,)), query_truth)
    there = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(adapted.values()))])
    torch.testing.assert_close(gradients[True], there)
    difference = (gradients[True] - gradients[False]).norm() / gradients[False].norm()
    assert difference > 1e-3


def test_adaptation_lowers_the_support_loss_and_leaves_the_network_alone(task):
    network, support, truth, *_ = task
    before = {name: value.clone() for name, value in network.state_dict().items()}
    losses = [
        segmentation_loss(
            functional_call(
                network, inner_loop(network, fresh(network), fixed_rates(network), support, truth, n), (support,)
            ),
            truth,
        ).item()
        for n in (0, 1, 5)
    ]
    assert losses[0] > losses[1] > losses[2]
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_parameters_without_a_step_size_stay(task):
    network, support, truth, *_ = task
    rates = {name: rate for name, rate in fixed_rates(network).items() if name.startswith("layers.2")}
    parameters = fresh(network)
    adapted = inner_loop(network, parameters, rates, support, truth)
    assert torch.equal(adapted["layers.0.weight"], parameters["layers.0.weight"])
    assert not torch.equal(adapted["layers.2.weight"], parameters["layers.2.weight"])


def test_step_sizes_are_stored_as_logarithms(task):
    rates = first_rates(fresh(task[0]), 0.02)
    stored = {**fresh(task[0]), **{RATE_PREFIX + name: rate for name, rate in rates.items()}}
    parameters, read = split_weights(stored)
    assert set(parameters) == set(rates) == set(read)
    assert all(rate.item() == pytest.approx(0.02) for rate in read.values())
