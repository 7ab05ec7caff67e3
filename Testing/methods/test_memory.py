"""The external memory of Matching Networks: attention against plain numpy, and how other volumes reach a target."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MetaSegmentLib import Settings, adapt, adapt_many
from MetaSegmentLib.across import AdaptedMany
from MetaSegmentLib.data.protocol import dice
from MetaSegmentLib.engine import Adapted
from MetaSegmentLib.methods.metric.embedded import Features
from MetaSegmentLib.methods.metric.matching import SHARPNESS, MatchingHead, matching_logits
from MetaSegmentLib.methods.metric.memory import MatchingMemory, MemoryHead, volume_weights
from MetaSegmentLib.networks.plan import SLICE_V1
from MetaSegmentLib.networks.slice_unet import SliceNetwork
from registration.bodies import SPACING, a_patient, painted

F = SLICE_V1.arguments["embedding"]
SHARP = 6.0


@pytest.fixture(scope="module")
def keys() -> list[dict[str, np.ndarray]]:
    """Keys of three volumes."""
    random = np.random.default_rng(0)
    sizes = ((5, 7), (4, 3), (6, 2))
    return [{"foreground": random.normal(size=(a, F)), "background": random.normal(size=(b, F))} for a, b in sizes]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def expected_weights(keys, painted: int) -> np.ndarray:
    own = {name: some.mean(0) for name, some in keys[0].items()}
    alike = [np.mean([cosine(own[name], some.mean(0)) for name, some in one.items()]) for one in keys[1:]]
    attention = np.exp(SHARP * np.array(alike))
    return np.array([painted, *(attention / attention.sum())]) / (painted + 1)


def tensors(one: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value).float() for name, value in one.items()}


@pytest.mark.parametrize("painted_slices", [1, 3])
def test_volumes_share_by_painted_slices_and_by_attention(keys, painted_slices: int) -> None:
    found = volume_weights([tensors(one) for one in keys], painted_slices, SHARP)
    np.testing.assert_allclose(found.numpy(), expected_weights(keys, painted_slices), rtol=1e-5)
    assert found.sum() == pytest.approx(1)


def test_a_pixel_attends_to_its_own_volume_and_to_the_memory(keys, monkeypatch) -> None:
    own, *memory = (tensors(one) for one in keys)
    monkeypatch.setattr(MatchingHead, "fit", lambda *_: dict(own))
    head, network = MemoryHead(memory), SliceNetwork()
    torch.nn.init.zeros_(network.prior)
    extra = {SHARPNESS: torch.tensor(np.log(SHARP), dtype=torch.float32)}
    query = np.random.default_rng(1).normal(size=(2, F, 3, 4))
    seen = Features(torch.zeros(2, len(SLICE_V1.inputs), 3, 4), torch.from_numpy(query).float(), torch.zeros(2))
    fitted = head.fit(network, extra, seen, torch.zeros(2, 3, 4), 0)
    found = head.answer(network, extra, fitted, seen).detach().numpy()
    weights = expected_weights(keys, 2)
    for n, row, column in np.ndindex(found.shape):
        f = query[n, :, row, column]
        read = {
            name: sum(
                w * np.mean([np.exp(SHARP * cosine(f, key)) for key in one[name]])
                for w, one in zip(weights, keys, strict=True)
            )
            for name in ("foreground", "background")
        }
        assert found[n, row, column] == pytest.approx(np.log(read["foreground"] / read["background"]), abs=1e-4)


def test_shares_that_are_alike_change_nothing() -> None:
    query, foreground, background = torch.randn(2, 5, 3, 4), torch.randn(4, 5), torch.randn(3, 5)
    shares = (torch.full((4,), 0.25), torch.full((3,), 1 / 3))
    alike = matching_logits(query, foreground, background, SHARP, shares)
    torch.testing.assert_close(alike, matching_logits(query, foreground, background, SHARP))


@pytest.fixture(scope="module")
def target() -> tuple[np.ndarray, np.ndarray]:
    return a_patient(3, (1, -2, 2), gain=0.5)


@pytest.fixture(scope="module")
def supports() -> AdaptedMany:
    image, labels = a_patient(1, size=1.1)
    return adapt_many([(image, painted(labels), SPACING)], Settings("matching-memory"))


def test_other_patients_reach_a_target_with_paint_of_its_own(supports, target) -> None:
    image, truth = target
    own = painted(truth, (8, 10, 13))
    together, again = (supports.predict(image, SPACING, own=own) for _ in range(2))
    assert np.array_equal(together.probabilities, again.probabilities)
    adapted = adapt(image, own, SPACING, settings=Settings("matching-memory"))
    alone, plain = adapted.predict(), adapted.update(own, method="matching").predict()
    assert np.array_equal(alone.probabilities, plain.probabilities), "without others it is Matching Networks"
    assert not np.array_equal(alone.probabilities, together.probabilities)
    assert np.array_equal(together.labels[[8, 10, 13]], own[[8, 10, 13]])
    assert all(dice(together.labels == value, truth == value) > 0.85 for value in (1, 2))


def test_each_structure_remembers_itself_only(supports, monkeypatch) -> None:
    (support,) = supports._supports
    given = []
    monkeypatch.setattr(MatchingMemory, "remembering", lambda self, others: given.append(others) or self)
    given_paint = (support._volume, support._paint, support._settings, support._context, {}, None)
    Adapted(*given_paint, others=(support, support.update(painted(a_patient(1, size=1.1)[1]), method="matching")))
    fitted = {part.task.values: part.fitted for part in support._frames}
    # The last ones; the other volume, of another method, is none to remember.
    assert given[-2:] == [[fitted[(1,)]], [fitted[(2,)]]]
