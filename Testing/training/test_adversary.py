"""The adversary against closed forms: for a linear model its step is the worst of all that it may take."""

from __future__ import annotations

import numpy as np
import torch

from MetaSegmentLib.networks.plan import SLICE_V1
from MetaSegmentLib.networks.slice_unet import SliceNetwork
from MetaSegmentLib.training.adversary import SIZE, disturbed
from MetaSegmentLib.training.objectives import OBJECTIVES, Batch


def test_the_logistic_loss_of_a_linear_model_becomes_the_worst_within_reach() -> None:
    """max over |δ| ≤ ε of log(1 + exp(−y w·(x + δ))) = log(1 + exp(ε |w|₁ − y w·x)) (Goodfellow et al., section 5)."""
    random = np.random.default_rng(0)
    w, x, y = random.normal(size=(3, 4, 4)), random.normal(size=(5, 3, 4, 4)), np.array([1, -1, 1, -1, 1])

    def loss(inputs: torch.Tensor) -> torch.Tensor:
        margins = torch.from_numpy(y) * (inputs * torch.from_numpy(w)).sum((1, 2, 3))
        return torch.log1p(torch.exp(-margins)).sum()

    for places in ((0, 1, 2), (0, 2)):
        after = disturbed(loss, torch.from_numpy(x), places, 0.05)
        reach = 0.05 * np.abs(w[list(places)]).sum()
        expected = np.log1p(np.exp(reach - y * (x * w).sum((1, 2, 3)))).sum()
        np.testing.assert_allclose(loss(after).item(), expected, rtol=1e-12)
        moved = np.abs(after.numpy() - x)
        np.testing.assert_allclose(moved[:, list(places)], 0.05, rtol=1e-12)
        assert not np.delete(moved, places, axis=1).any()


def test_robust_training_disturbs_intensities_of_painted_and_query_slices_and_nothing_else() -> None:
    torch.manual_seed(0)
    network = SliceNetwork()
    torch.nn.init.normal_(network.head.weight, std=0.3)
    inputs = torch.randn(5, len(SLICE_V1.inputs), 32, 32)
    inputs[:, SLICE_V1.place("outside")] = 0
    truth = (inputs[:, 1] > 0).float()
    batch, seen = Batch(inputs[:3], truth[:3], inputs[3:], truth[3:]), []
    network.register_forward_hook(lambda _, given, answer: seen.append(given[0].detach()))
    robust, plain = OBJECTIVES["robust"].loss, OBJECTIVES["fomaml"].loss
    own = robust.extra_parameters(network)
    hard = robust.backward(network, own, batch, 1.0)
    moved = {"painted": (seen[1] - batch.support).abs(), "query": (seen[-1] - batch.query).abs()}
    images = list(SLICE_V1.image_places)
    for planes in moved.values():
        torch.testing.assert_close(planes.max(), torch.tensor(SIZE))
        assert planes[:, images].mean() > 0.9 * SIZE
        assert planes.sum((0, 2, 3)).nonzero().flatten().tolist() == images
    assert hard > plain.backward(network, own, batch, 1.0)
