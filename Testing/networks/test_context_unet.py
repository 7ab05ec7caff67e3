"""The network that attends to all painted slices: begins as the one it grew from, and sees them as a set."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MetaSegmentLib.errors import SettingsError
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.architectures import make_network
from MetaSegmentLib.networks.encode import ABSENT, encode, encode_left_out, spread
from MetaSegmentLib.networks.grown import grown
from MetaSegmentLib.networks.plan import CONTEXT_V1, CONTEXT_V2, SLICE_V1, SUPPORTS
from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.ensemble import Ensemble
from MetaSegmentLib.task.volume import check_volume
from task.structures import task_of

PAINTED = [6, 9, 14]
KINDS = ("support image", "support shape", "support place")


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    k, j, i = np.indices((24, 30, 30))
    mask = (np.hypot(j - 14, i - 16) < 4 + 0.35 * k) & (k > 2) & (k < 19)
    image = 80.0 * mask + np.random.default_rng(3).normal(0, 10, mask.shape)
    return Ensemble(task_of(check_volume(image, (3.0, 1.0, 1.0)), mask, 0, PAINTED), Context())


@pytest.fixture(scope="module")
def inputs(ensemble: Ensemble) -> torch.Tensor:
    return torch.from_numpy(encode(ensemble, (7, 10, 17), CONTEXT_V1).array()).double()


@pytest.fixture
def network() -> torch.nn.Module:
    """One that has learned to attend."""
    torch.manual_seed(0)
    made = make_network(CONTEXT_V1).eval().double()
    for module in (made.near, made.far):
        torch.nn.init.normal_(module.answer.weight, std=0.5)
    torch.nn.init.normal_(made.head.weight, std=0.5)
    return made


def slots(n: int) -> list[int]:
    return [CONTEXT_V1.place(f"{kind} {n}") for kind in KINDS]


def test_every_painted_slice_is_where_it_is_expected(ensemble: Ensemble, inputs: torch.Tensor) -> None:
    task = ensemble.task
    for n, index in enumerate(PAINTED, start=1):
        image, shape, place = (inputs[:, one] for one in slots(n))
        for row, target in enumerate((7, 10, 17)):
            np.testing.assert_allclose(image[row], task.slice_image(index), atol=5e-3)
            np.testing.assert_allclose(shape[row], task.structure.distances[index] / 10, atol=5e-3)
            np.testing.assert_allclose(place[row], np.clip((target - index) / 5, -3, 3), atol=5e-3)
    for n in range(len(PAINTED) + 1, SUPPORTS + 1):
        image, shape, place = (inputs[:, one] for one in slots(n))
        assert not image.any() and not shape.any() and (place == ABSENT).all()
    left_out = encode_left_out(ensemble, CONTEXT_V1)
    assert [(one[slots(3)[2]] == ABSENT).all() for one in left_out] == [True] * 3


def test_of_many_painted_slices_some_are_seen_the_outermost_among_them() -> None:
    assert spread(range(10, 40, 3), 8) == (10, 13, 19, 22, 25, 28, 34, 37)
    assert spread((4, 5), 8) == (4, 5)


def test_grown_weights_answer_as_before(inputs: torch.Tensor) -> None:
    tensors = weights.load("base")
    before, after = make_network(SLICE_V1).eval().double(), make_network(CONTEXT_V1).eval().double()
    before.load_state_dict(tensors)
    after.load_state_dict(grown(tensors, SLICE_V1, CONTEXT_V1))
    seen = inputs[:, [CONTEXT_V1.place(one.name) for one in SLICE_V1.inputs]]
    with torch.no_grad():
        assert torch.allclose(before(seen), after(inputs), atol=1e-4)
    assert grown(tensors, SLICE_V1, SLICE_V1).keys() == tensors.keys()


def test_wider_weights_answer_as_before_and_all_that_is_new_is_learned(inputs: torch.Tensor) -> None:
    torch.manual_seed(0)
    before, after = make_network(CONTEXT_V1).eval(), make_network(CONTEXT_V2).eval()
    with torch.no_grad():
        for parameter in before.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    after.load_state_dict(grown(dict(before.named_parameters()), CONTEXT_V1, CONTEXT_V2))
    before, after = before.double(), after.double()
    with torch.no_grad():
        assert torch.allclose(before(inputs), after(inputs), atol=1e-4)
    for _ in range(3):  # what reads new channels begins at 0, so they are heard of after the first step
        after.zero_grad()
        after(inputs).square().mean().backward()
        with torch.no_grad():
            for parameter in after.parameters():
                if parameter.grad is not None:
                    parameter -= 1e-5 * parameter.grad
    wider = {name: old.shape for name, old in before.named_parameters()}
    new = [p.grad for name, p in after.named_parameters() if p.ndim == 4 and p.shape != wider[name]]
    assert new and all((grad.abs().amax((2, 3)) > 0).float().mean() > 0.9 for grad in new if grad is not None)


def test_weights_too_wide_for_a_plan_are_one_sentence() -> None:
    wide = dict(make_network(CONTEXT_V2).named_parameters())
    with pytest.raises(SettingsError, match=r"context-v2 are too wide for context-v1"):
        grown(wide, CONTEXT_V2, CONTEXT_V1)


def test_the_order_of_painted_slices_does_not_matter_but_their_paint_does(
    network: torch.nn.Module, inputs: torch.Tensor
) -> None:
    turned, repainted = inputs.clone(), inputs.clone()
    turned[:, slots(1) + slots(3)] = inputs[:, slots(3) + slots(1)]
    repainted[:, slots(2)[1]] = -1
    with torch.no_grad():
        answer = network(inputs)
        assert torch.allclose(network(turned), answer, atol=1e-3)
        assert not torch.allclose(network(repainted), answer, atol=1e-1)


def test_a_slot_without_a_painted_slice_counts_for_nothing(network: torch.nn.Module, inputs: torch.Tensor) -> None:
    """Also where another slice of the batch has one in that slot."""
    alone, beside = inputs[:1].clone(), inputs[:2].clone()
    alone[:, slots(2)[2]] = ABSENT
    beside[0, slots(2)[2]] = ABSENT
    scribbled = alone.clone()
    scribbled[:, slots(2)[:2]] = 1.0
    with torch.no_grad():
        answer = network(alone)
        assert torch.allclose(network(beside)[:1], answer, atol=1e-3)
        assert torch.allclose(network(scribbled), answer, atol=1e-3)
        assert not torch.allclose(network(inputs[:1]), answer, atol=1e-2)


def test_slices_with_supports_of_their_own_are_answered_as_alone(
    network: torch.nn.Module, ensemble: Ensemble, inputs: torch.Tensor
) -> None:
    left_out = torch.from_numpy(encode_left_out(ensemble, CONTEXT_V1).array()).double()
    with torch.no_grad():
        together = network(torch.cat([left_out, inputs]))
        for place, one in enumerate(torch.cat([left_out, inputs])):
            assert torch.allclose(together[place], network(one[None])[0], atol=1e-3)


def test_a_slice_sees_how_right_predictors_were_on_the_other_painted_slices(ensemble: Ensemble) -> None:
    """Between painted slices on the inner ones, beyond them on the outermost; on its own paint never."""
    task = ensemble.task
    right = {}
    for index in PAINTED:
        found = ensemble.without(index).logits("shape", (index,))[0, 0] > 0
        truth = task.masks(index)[0]
        right[index] = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    first, inner, last = PAINTED
    assert len({round(dice, 3) for dice in right.values()}) == 3
    outermost = (right[first] + right[last]) / 2
    expected = {7: right[inner], 10: right[inner], 17: outermost}
    place = CONTEXT_V1.place("shape score")
    for target, seen in zip(expected, encode(ensemble, tuple(expected), CONTEXT_V1), strict=True):
        np.testing.assert_allclose(seen[place], (expected[target] - 0.8) / 0.2, atol=2e-3)
    left_out = dict(zip(PAINTED, encode_left_out(ensemble, CONTEXT_V1), strict=True))
    np.testing.assert_allclose(left_out[inner][place], (outermost - 0.8) / 0.2, atol=2e-3)
    np.testing.assert_allclose(left_out[first][place], (right[last] - 0.8) / 0.2, atol=2e-3)


def test_without_a_painted_slice_to_leave_out_scores_are_unknown(ensemble: Ensemble) -> None:
    alone = Ensemble(ensemble.task.without(6).without(14), Context())
    (seen,) = encode(alone, (10,), CONTEXT_V1)
    assert not seen[[CONTEXT_V1.place(f"{name} score") for name in ("shape", "propagation", "pixels")]].any()
