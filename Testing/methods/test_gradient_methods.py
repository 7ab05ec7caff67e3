"""What the relatives of MAML, and learning without meta-learning, change and what they leave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from MetaSegmentLib.methods.gradient import fine_tuning
from MetaSegmentLib.methods.gradient.adapting import HeadOnly
from MetaSegmentLib.methods.gradient.inner_loop import HEAD, REPTILE_RATE, adaptable, inner_loop
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.plan import SLICE_V1
from MetaSegmentLib.networks.slice_unet import SliceNetwork
from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.registry import METHODS
from MetaSegmentLib.task.paint import read_paint
from MetaSegmentLib.task.task import make_task
from MetaSegmentLib.task.volume import check_volume
from MetaSegmentLib.training.objectives import OBJECTIVES, Batch, ReptileLoss


@pytest.fixture(scope="module")
def a_case():
    """A painted ball in noise."""
    z, y, x = np.indices((16, 40, 40))
    ball = ((z - 8) / 7) ** 2 + ((y - 20) / 11) ** 2 + ((x - 18) / 9) ** 2 < 1
    image = 100.0 * ball + np.random.default_rng(0).normal(0, 10, ball.shape)
    painted = np.zeros(ball.shape, np.uint8)
    painted[[4, 8, 12]] = ball[[4, 8, 12]]
    volume = check_volume(image, (2.0, 1.0, 1.0))
    return make_task(volume, read_paint(painted, ball.shape), (1,))


@pytest.fixture
def batch():
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(5, len(SLICE_V1.inputs), 32, 32, generator=random)
    inputs[:, SLICE_V1.place("outside")] = 0
    truth = (inputs[:, 1] + inputs[:, 3] > 0).float()
    return Batch(inputs[:3], truth[:3], inputs[3:], truth[3:])


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = SliceNetwork()
    torch.nn.init.normal_(made.head.weight, std=0.3)
    return made


def changed(method, case, weights_name):
    """Names of the parameters that adaptation changed."""
    adapted = METHODS[method].make().fit(case, Context())
    start = weights.load(weights_name)
    return {name for name, value in adapted.parameters.items() if not torch.equal(value, start[name])}


@pytest.mark.parametrize(("method", "start"), [("anil", "anil"), ("transfer-head", "base")])
def test_only_the_head_learns(a_case, method, start):
    assert changed(method, a_case, start) == set(HEAD)


@pytest.mark.parametrize(("method", "start"), [("fomaml", "fomaml"), ("reptile", "reptile"), ("transfer", "base")])
def test_features_learn_too(a_case, method, start):
    found = changed(method, a_case, start)
    assert set(HEAD) < found <= set(adaptable(weights.load(start)))


def test_from_scratch_reads_no_weights_and_starts_by_its_seed(a_case, monkeypatch):
    monkeypatch.setattr(weights, "load", lambda *_: pytest.fail("weights were read"))
    monkeypatch.setattr(fine_tuning, "SCRATCH_STEPS", 2)
    one, same, other = (METHODS["scratch"].make().fit(a_case, Context(seed)).parameters for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["unet.conv_0.conv_0.conv.weight"], other["unet.conv_0.conv_0.conv.weight"])
    assert METHODS["scratch"].weights == ("baselines",), "a plan, for its calibration, without a network"
    assert not weights.load_plan("baselines").architecture


def test_a_head_by_itself_answers_as_the_whole_network(network, batch):
    head = HeadOnly(SLICE_V1)
    whole = network.state_dict()
    head.load_state_dict({name: whole[name] for name in head.state_dict()})
    seen = torch.cat([batch.query, network.embed(batch.query)], dim=1)
    torch.testing.assert_close(head(seen), network(batch.query))


def gradient(stage, network, batch):
    objective = OBJECTIVES[stage].loss
    own = objective.extra_parameters(network)
    network.zero_grad()
    objective.backward(network, own, batch, 1.0)
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def test_first_order_leaves_out_second_derivatives_only(network, batch):
    """With vanishing step sizes both are the gradient of the query loss."""
    first, second = (gradient(stage, network, batch) for stage in ("fomaml", "maml"))
    assert 1e-6 < (first - second).norm() / second.norm() < 0.3


def test_every_stage_teaches_the_network_and_shares_add_up(network, batch):
    for stage, objective in OBJECTIVES.items():
        own = objective.loss.extra_parameters(network)
        found = []
        for shares in ((1.0,), (0.25, 0.75)):
            network.zero_grad()
            for share in shares:
                torch.manual_seed(0)  # as the trainer does, for losses that draw samples
                objective.loss.backward(network, own, batch, share)
            found.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
        assert found[0].any(), stage
        torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("stage", ["maml", "fomaml", "robust", "meta-regularised", "clustered", "context"])
def test_a_stage_of_queries_does_without_painted_slices(network, batch, stage):
    none = replace(batch, support=batch.support[:0], support_truth=batch.support_truth[:0])
    assert gradient(stage, network, none).any()


def test_reptile_moves_the_weights_towards_where_the_inner_steps_led(network, batch):
    """A plain descent with ε · α on its gradient is θ += ε (φ − θ)."""
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    rates = {name: torch.tensor(REPTILE_RATE) for name in adaptable(before)}
    end = before
    parts = [(batch.support, batch.support_truth)] * 2
    parts += zip(batch.query.tensor_split(2), batch.query_truth.tensor_split(2), strict=True)
    for inputs, truth in parts:
        free = {name: value.detach().requires_grad_() for name, value in end.items()}
        end = inner_loop(network, free, rates, inputs, truth, 1)
    ReptileLoss().backward(network, {}, batch, 1.0)
    torch.optim.SGD(network.parameters(), lr=0.5 * REPTILE_RATE).step()
    for name, value in network.named_parameters():
        torch.testing.assert_close(value, before[name] + 0.5 * (end[name] - before[name]))
