"""Episodes of N ways: the softmax against plain numpy, the shared inner loop against those of single structures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import functional_call

from MetaSegmentLib import Settings, adapt
from MetaSegmentLib.data.protocol import query_dice
from MetaSegmentLib.methods.gradient.inner_loop import fixed_rates, inner_loop, mean_over_structures
from MetaSegmentLib.methods.metric.n_way import class_masks, n_way_logits
from MetaSegmentLib.methods.metric.prototypes import PrototypeSettings
from MetaSegmentLib.networks.losses import segmentation_loss

SPACING = (3.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def two_balls() -> tuple[np.ndarray, np.ndarray]:
    """Image and labels of two balls that touch."""
    z, y, x = np.indices((18, 48, 52))
    labels = np.zeros(z.shape, np.uint8)
    labels[((z - 8) / 7) ** 2 + ((y - 24) / 12) ** 2 + ((x - 17) / 10) ** 2 < 1] = 1
    labels[((z - 9) / 7) ** 2 + ((y - 24) / 10) ** 2 + ((x - 35) / 9) ** 2 < 1] = 2
    noise = np.random.default_rng(0).normal(0, 8, labels.shape)
    return (np.choose(labels, (0, 100, 60)) + noise).astype(np.float32), labels


def painted(labels: np.ndarray, own: dict[int, tuple[int, ...]]) -> np.ndarray:
    paint = np.zeros_like(labels)
    for value, slices in own.items():
        for index in slices:
            paint[index][labels[index] == value] = value
    return paint


def test_all_classes_compete_in_one_softmax() -> None:
    random = np.random.default_rng(0)
    query, sharpness = random.normal(size=(2, 5, 3, 4)), 0.7
    prototypes = [random.normal(size=(n, 5)) for n in (3, 1, 2, 1)]
    expected = np.empty((2, 4, 3, 4))
    for n, row, column in np.ndindex(2, 3, 4):
        squares = [((query[n, :, row, column] - one) ** 2).sum(1) for one in prototypes]
        likelihood = np.array([np.exp(-sharpness * d).mean() for d in squares])
        expected[n, :, row, column] = likelihood / likelihood.sum()
    tensors = [torch.from_numpy(one) for one in prototypes]
    logits = n_way_logits(torch.from_numpy(query), tensors, PrototypeSettings(), sharpness)
    found = torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1).softmax(1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_what_is_known_of_no_structure_is_background_by_the_prior() -> None:
    masks = np.array([[[True, False, False, False]], [[False, True, False, False]]])
    known = np.array([[[True, True, True, False]], [[True, True, False, False]]])
    prior = np.log(np.array([[[9.0, 9.0, 9.0, 1.0]], [[9.0, 9.0, 3.0, 3.0]]]))
    found = class_masks(masks, known, prior)
    np.testing.assert_allclose(found[0], [[0, 0, 0.25, 0.125]], rtol=1e-6)
    assert np.array_equal(found[1:], masks)
    whole = class_masks(masks[:1], np.ones_like(known[:1]), prior[:1])
    assert np.array_equal(whole[0], 1 - whole[1])


class Affine(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = torch.nn.Parameter(torch.tensor(0.5)), torch.nn.Parameter(torch.tensor(-0.2))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.scale * inputs[:, 0] + self.shift


def test_the_shared_step_is_the_mean_of_the_steps_of_single_structures() -> None:
    torch.manual_seed(0)
    network, counts = Affine().double(), (1, 3, 2)
    start = {name: value.detach() for name, value in network.named_parameters()}
    inputs = torch.randn(6, 1, 8, 8, dtype=torch.float64)
    truth = (inputs[:, 0] + torch.randn(6, 8, 8) > 0.5).double()
    rates = {name: rate.double() for name, rate in fixed_rates(start, 0.1).items()}

    def step(some: torch.Tensor, masks: torch.Tensor, **more: object) -> dict[str, torch.Tensor]:
        free = {name: value.clone().requires_grad_() for name, value in start.items()}
        return inner_loop(network, free, rates, some, masks, 1, **more)

    shared = step(inputs, truth, support_loss=mean_over_structures(counts))
    single = [step(*pair) for pair in zip(inputs.split(counts), truth.split(counts), strict=True)]

    def mean_loss(change: float, name: str) -> float:
        moved = {**start, name: start[name] + change}
        pairs = zip(inputs.split(counts), truth.split(counts), strict=True)
        return float(np.mean([segmentation_loss(functional_call(network, moved, (a,)), b).item() for a, b in pairs]))

    for name in start:
        torch.testing.assert_close(shared[name], torch.stack([one[name] for one in single]).mean())
        slope = (mean_loss(1e-5, name) - mean_loss(-1e-5, name)) / 2e-5
        assert (start[name] - shared[name]).item() == pytest.approx(0.1 * slope, rel=1e-5)


@pytest.mark.parametrize(("joint", "single"), [("protonet-joint", "protonet"), ("maml-joint", "maml")])
def test_with_one_structure_it_is_the_method_itself(two_balls, joint: str, single: str) -> None:
    image, labels = two_balls
    adapted = adapt(image, painted(labels, {1: (4, 8, 12)}), SPACING, settings=Settings(single, device="cpu"))
    alone = adapted.predict()
    together = adapted.update(painted(labels, {1: (4, 8, 12)}), method=joint).predict()
    assert np.array_equal(together.probabilities, alone.probabilities)
    assert together.estimated_dice == alone.estimated_dice


@pytest.fixture(scope="module")
def unevenly(two_balls):
    """Painted on slices of their own, of which they share one, and each method that predicts them together."""
    image, labels = two_balls
    paint = painted(labels, {1: (3, 8, 13), 2: (5, 8, 12)})
    adapted = adapt(image, paint, SPACING, settings=Settings("protonet-joint", device="cpu"))
    return {"protonet-joint": adapted, "maml-joint": adapted.update(paint, method="maml-joint")}


@pytest.mark.parametrize("method", ["protonet-joint", "maml-joint"])
def test_structures_painted_on_slices_of_their_own_are_found_together(two_balls, unevenly, method: str) -> None:
    _, labels = two_balls
    found = unevenly[method].predict().labels
    for value, slices in {1: (3, 8, 13), 2: (5, 8, 12)}.items():
        assert query_dice(found == value, labels == value, slices) > 0.9


@pytest.mark.parametrize("method", ["protonet-joint", "maml-joint"])
def test_a_left_out_slice_is_answered_as_if_it_had_not_been_painted(unevenly, method: str) -> None:
    """By the same prototypes, or by the network before it adapted."""
    (part,) = unevenly[method]._parts
    task, context = part.task, unevenly[method]._context
    left_out = part.fitted.left_out()
    assert left_out.shape[:2] == (len(task.left_out), 2)
    predictor = unevenly[method]._method.make()
    if method == "maml-joint":
        predictor._steps = 0
    place = task.left_out.index(12)
    afresh = predictor.fit(task.without(12), context).logits((12,))[0]
    inside = np.abs(afresh) < 8
    if method == "protonet-joint":  # its other slices are seen without that one as well, which changes them a little
        assert np.mean((afresh > 0) == (left_out[place] > 0)) > 0.97
    else:
        np.testing.assert_allclose(left_out[place][inside], afresh[inside], atol=0.05)
