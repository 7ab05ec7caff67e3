"""Transfer learning from a residual network: what is read of it, what stays frozen, and that it is the same twice."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate

from executors.requests import a_request
from MetaSegmentLib.methods.gradient.fine_tuning import Round, Transfer
from MetaSegmentLib.methods.gradient.inner_loop import HEAD, adaptable, split_weights
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.architectures import slice_network
from MetaSegmentLib.networks.plan import RESNET_V1, SLICE_V1
from MetaSegmentLib.networks.resnet import SEEN, enlarged
from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.registry import METHODS
from MetaSegmentLib.task.paint import read_paint
from MetaSegmentLib.task.task import make_task
from MetaSegmentLib.task.volume import check_volume


@pytest.fixture(scope="module")
def task():
    request = a_request("resnet")
    given = read_paint(request.labels, request.image.shape, None, 0)
    return make_task(check_volume(request.image, request.spacing), given, (1,), SLICE_V1.frame)


@pytest.fixture(scope="module")
def start():
    return split_weights(weights.load("resnet"))[0]


def test_frozen_means_that_the_backbone_stays_bit_for_bit(task, start):
    fitted = METHODS["resnet-frozen"].make().fit(task, Context())
    changed = {name for name, value in fitted.parameters.items() if not torch.equal(value, start[name])}
    assert changed == set(HEAD)


def test_then_all_is_tuned(task, start):
    learned = Transfer("resnet", Round(2, 0.003, head_only=True), Round(1, 3e-4)).fit(task, Context()).parameters
    changed = {name for name, value in learned.items() if not torch.equal(value, start[name])}
    assert changed == set(adaptable(start))
    largest = max(float((learned[name] - start[name]).abs().max()) for name in changed - set(HEAD))
    assert largest == pytest.approx(3e-4, rel=1e-2), "a step of Adam"


def test_the_same_twice(task):
    rounds = (Round(2, 0.003, head_only=True), Round(1, 3e-4))
    one, other = (Transfer("resnet", *rounds).fit(task, Context()).parameters for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_features_of_all_scales_are_those_of_the_slice_and_its_neighbours():
    torch.manual_seed(0)
    network = slice_network(RESNET_V1)
    inputs = torch.randn(2, len(RESNET_V1.inputs), 96, 96)
    with torch.no_grad():
        features = network.embed(inputs)
        scales = network.backbone(inputs[:, [RESNET_V1.place(name) for name in SEEN]])
    assert [tuple(one.shape[1:]) for one in scales] == [
        (16, 48, 48),
        (16, 48, 48),
        (32, 24, 24),
        (64, 12, 12),
        (128, 6, 6),
    ]
    expected = [interpolate(one, (96, 96), mode="bilinear", align_corners=False) for one in scales]
    torch.testing.assert_close(features, torch.cat(expected, 1), rtol=1e-4, atol=1e-4)
    blind = inputs.clone()
    blind[:, [place for place, one in enumerate(RESNET_V1.inputs) if one.name not in SEEN]] = 0
    with torch.no_grad():
        assert torch.equal(network.embed(blind), features)


def test_what_has_the_size_already_stays():
    features = torch.randn(1, 2, 5, 7)
    assert enlarged(features, (5, 7)) is features


def test_an_untrained_head_says_what_the_predictors_say_together(start):
    network = slice_network(RESNET_V1)
    inputs = torch.randn(1, len(RESNET_V1.inputs), 96, 96)
    with torch.no_grad():
        found = network(inputs)
        assert torch.equal(found, network.mixed_predictors(inputs, network.mix))
    assert not start["head.weight"].any()


def test_slices_do_not_see_each_other_and_nothing_is_kept_of_them(start):
    network = slice_network(RESNET_V1)
    network.load_state_dict(start)
    inputs = torch.randn(3, len(RESNET_V1.inputs), 96, 96)
    with torch.no_grad():
        together = network.embed(inputs)
        torch.testing.assert_close(network.embed(inputs[:1]), together[:1], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(network.eval().embed(inputs), together, rtol=1e-3, atol=1e-4)
