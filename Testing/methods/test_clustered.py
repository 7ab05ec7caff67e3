"""Clusters of tasks: embedding, attention and mixture against numpy, and what equal experts give."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MetaSegmentLib.methods.gradient.clustered import (
    ATTENTION,
    EXPERT_PREFIX,
    EXPERTS,
    Clustered,
    attention,
    first_experts,
    mixture,
    task_embedding,
)
from MetaSegmentLib.methods.gradient.maml import Maml
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.encode import SCALARS
from MetaSegmentLib.networks.plan import SLICE_V1
from MetaSegmentLib.networks.slice_unet import SliceNetwork
from MetaSegmentLib.networks.weights import Weights
from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.memo import Memo
from MetaSegmentLib.task.paint import read_paint
from MetaSegmentLib.task.task import make_task
from MetaSegmentLib.task.volume import check_volume
from MetaSegmentLib.training.objectives import OBJECTIVES, Batch


@pytest.fixture(scope="module")
def random():
    return np.random.default_rng(0)


def a_task(hole=False):
    """A painted ball in noise, on the middle slice perhaps with a hole."""
    z, y, x = np.indices((16, 40, 40))
    ball = ((z - 8) / 7) ** 2 + ((y - 20) / 11) ** 2 + ((x - 18) / 9) ** 2 < 1
    image = 100.0 * ball + np.random.default_rng(0).normal(0, 10, ball.shape)
    painted = np.zeros(ball.shape, np.uint8)
    painted[[4, 8, 12]] = ball[[4, 8, 12]]
    if hole:
        painted[8, 18:22, 16:20] = 0
    return make_task(check_volume(image, (2.0, 1.0, 1.0)), read_paint(painted, ball.shape), (1,))


MEMO = Memo()


def a_context(folder, difference):
    """With MAML's weights and experts that differ by so much; without any difference, they are all MAML."""
    folder.mkdir(exist_ok=True)
    start = weights.load("maml")
    experts = first_experts(SLICE_V1, start)
    torch.manual_seed(0)
    own = {
        name: value if name == ATTENTION else difference * torch.randn_like(value) for name, value in experts.items()
    }
    weights.store("clustered", {**start, **own}, weights.load_plan("maml"), folder)
    return Context(memo=MEMO, weights=Weights(folder))


def test_the_mixture_is_the_weighted_sum_of_the_experts(random) -> None:
    shared, differences, shares = (
        random.normal(size=(3, 2)),
        random.normal(size=(4, 3, 2)),
        random.dirichlet(np.ones(4)),
    )
    own = {EXPERT_PREFIX + "one": torch.from_numpy(differences)}
    found = mixture({"one": torch.from_numpy(shared), "other": torch.ones(2)}, own, torch.from_numpy(shares))
    expected = sum(share * (shared + difference) for share, difference in zip(shares, differences, strict=True))
    np.testing.assert_allclose(found["one"].numpy(), expected)
    assert torch.equal(found["other"], torch.ones(2))


def test_attention_is_a_softmax_over_the_experts(random) -> None:
    matrix, embedding = random.normal(size=(4, 7)), random.normal(size=7)
    found = attention({ATTENTION: torch.from_numpy(matrix)}, torch.from_numpy(embedding)).numpy()
    expected = np.exp(matrix @ embedding)
    np.testing.assert_allclose(found, expected / expected.sum())
    assert found.sum() == pytest.approx(1)


def test_the_embedding_is_the_features_inside_and_outside(random) -> None:
    inputs = random.normal(size=(3, len(SLICE_V1.inputs), 8, 8)).astype(np.float32)
    features, truth = random.normal(size=(3, 16, 8, 8)), random.random((3, 8, 8)) > 0.6
    found = task_embedding(
        SLICE_V1, torch.from_numpy(inputs).double(), torch.from_numpy(features), torch.from_numpy(truth).double()
    ).numpy()
    pixels = np.moveaxis(features, 1, -1)
    means = [pixels[truth].mean(0), pixels[~truth].mean(0)]
    normal = [(mean - mean.mean()) / np.sqrt(mean.var() + 1e-5) for mean in means]
    places = [place for place, one in enumerate(SLICE_V1.inputs) if one.source in SCALARS]
    np.testing.assert_allclose(found, np.concatenate([*normal, inputs[:, places, 0, 0].mean(0)]), rtol=1e-5)


def test_equal_experts_are_maml_and_others_are_not(tmp_path) -> None:
    task = a_task()
    expected = Maml().fit(task, Context(memo=MEMO)).logits(task.queries)
    for difference in (0.0, 0.3):
        found = Clustered().fit(task, a_context(tmp_path / str(difference), difference)).logits(task.queries)
        assert np.array_equal(found, expected) == (difference == 0)


def test_a_painted_slice_that_is_left_out_does_not_choose_the_experts(tmp_path) -> None:
    context = a_context(tmp_path, 0.3)
    answers = [Clustered().fit(a_task(hole), context) for hole in (False, True)]
    place = a_task().left_out.index(8)
    one, two = (fitted.left_out()[place] for fitted in answers)
    np.testing.assert_array_equal(one, two)
    name = "head.weight"
    assert not torch.equal(*(fitted.parameters[name] for fitted in answers))


def test_the_stage_with_equal_experts_is_first_order_maml_and_all_its_parts_learn() -> None:
    torch.manual_seed(0)
    network = SliceNetwork()
    torch.nn.init.normal_(network.head.weight, std=0.3)
    inputs = torch.randn(5, len(SLICE_V1.inputs), 32, 32)
    inputs[:, SLICE_V1.place("outside")] = 0
    truth = (inputs[:, 1] > 0).float()
    batch = Batch(inputs[:3], truth[:3], inputs[3:], truth[3:])
    loss = OBJECTIVES["clustered"].loss
    own = loss.extra_parameters(network)
    equal = {name: torch.zeros_like(v) if name.startswith(EXPERT_PREFIX) else v for name, v in own.items()}
    torch.testing.assert_close(
        loss.predict(network, equal, batch), OBJECTIVES["fomaml"].loss.predict(network, own, batch)
    )
    loss.backward(network, own, batch, 1.0)
    experts = [own[name] for name in own if name.startswith(EXPERT_PREFIX)]
    assert own[ATTENTION].grad.any() and all(len(one) == EXPERTS and one.grad.any() for one in experts)
