"""Features without labels: the loss is that of the formula, and what it asks for is what it rewards."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MetaSegmentLib.networks.architectures import slice_network
from MetaSegmentLib.networks.plan import RESNET_V1
from MetaSegmentLib.training.augment import recoloured_there
from MetaSegmentLib.training.objectives import OBJECTIVES, Batch
from MetaSegmentLib.training.twins import HIDDEN, OTHERS, PIXELS, seen_anew, twin_features, twin_loss


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return slice_network(RESNET_V1)


@pytest.fixture
def inputs():
    return torch.randn(3, len(RESNET_V1.inputs), 96, 96, generator=torch.Generator().manual_seed(1))


def test_the_loss_is_that_of_barlow_twins():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(200, 5)) * (1, 2, 3, 4, 5) + 7
    second = first + rng.normal(size=(200, 5))
    c = np.corrcoef(first.T, second.T)[:5, 5:]
    expected = sum((1 - c[i, i]) ** 2 for i in range(5))
    expected += OTHERS * sum(c[i, j] ** 2 for i in range(5) for j in range(5) if i != j)
    found = twin_loss(torch.from_numpy(first), torch.from_numpy(second))
    assert float(found) == pytest.approx(expected / 5, rel=1e-4)


def test_the_same_features_twice_and_different_ones_are_best():
    x = torch.from_numpy(np.linalg.qr(np.random.default_rng(0).normal(size=(300, 4)))[0]) * 17
    x = x - x.mean(0)
    alike = twin_loss(x, x)
    assert alike < twin_loss(x, -x)
    assert alike < twin_loss(x[:, [0, 0, 1, 1]], x[:, [0, 0, 1, 1]])


def test_a_view_changes_images_alone_alike_in_all_slices_but_for_hidden_squares(network, inputs):
    random = torch.Generator().manual_seed(4)
    seen = seen_anew(network, inputs, random)
    images = list(RESNET_V1.image_places)
    others = [place for place in range(inputs.shape[1]) if place not in images]
    assert torch.equal(seen[:, others], inputs[:, others])
    hidden = (seen[:, images] == 0).all(1)
    assert 0.3 * HIDDEN < hidden.float().mean() < 3 * HIDDEN
    expected = recoloured_there(inputs[:, images], torch.Generator().manual_seed(4))
    shown = ~hidden[:, None].expand_as(expected)
    assert torch.equal(seen[:, images][shown], expected[shown])


def test_what_is_drawn_follows_the_seed(network, inputs):
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        with torch.no_grad():
            drawn.append(twin_features(network, inputs))
    assert drawn[0][0].shape == (PIXELS, network.embedding)
    assert torch.equal(drawn[0][0], drawn[1][0]) and torch.equal(drawn[0][1], drawn[1][1])
    assert not torch.equal(drawn[0][0], drawn[2][0])
    assert not torch.equal(drawn[0][0], drawn[0][1]), "two views"


def test_it_teaches_the_backbone_and_asks_for_no_labels(network, inputs):
    torch.manual_seed(0)
    network.zero_grad()
    nothing = torch.full((3, 96, 96), float("nan"))
    OBJECTIVES["resnet"].loss.backward(network, {}, Batch(inputs[:1], nothing[:1], inputs[1:], nothing[1:]), 1.0)
    taught = {name for name, value in network.named_parameters() if value.grad is not None and value.grad.any()}
    assert taught and all(name.startswith("backbone.") for name in taught)
