"""The default without each of its parts: what is left out is in neither the sum nor the network's eyes."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib import Settings, adapt
from MetaSegmentLib.data.protocol import paint, painted_slices, query_dice
from MetaSegmentLib.methods import ABLATIONS, METHODS, find_method
from MetaSegmentLib.methods.fusion import FUSED_WEIGHTS
from MetaSegmentLib.networks.encode import CHANNELS, EXPERTS


@pytest.fixture(scope="module")
def learned():
    """The default, adapted to three slices of a bright ball, and the ball."""
    k, j, i = np.indices((18, 40, 40)) - np.array([9, 20, 20]).reshape(3, 1, 1, 1)
    ball = (1.6 * k) ** 2 + j**2 + i**2 < 12**2
    image = 100 * ball + np.random.default_rng(0).normal(0, 20, ball.shape)
    slices = painted_slices(ball, 3)
    return adapt(image, paint(ball, slices), settings=Settings(method="fusion")), ball, slices


def test_every_part_of_the_default_has_its_ablation_and_no_user_is_offered_one():
    parts = {name.removeprefix("fusion-without-") for name in ABLATIONS}
    assert {*FUSED_WEIGHTS, "prior", "adaptation", "networks", "detail"} - {"maml"} <= parts
    assert not set(ABLATIONS) & set(METHODS)
    assert all(find_method(name) is info for name, info in ABLATIONS.items())


@pytest.mark.parametrize("expert", EXPERTS)
def test_a_hidden_expert_is_out_of_the_sum_and_of_the_channels(learned, expert):
    episode = learned[0]._structures[0].episode
    whole, blind = episode.queries(), episode.without([expert]).queries()
    shown = [n for n, name in enumerate(CHANNELS) if name.split()[0] == expert]
    others = [n for n in range(len(CHANNELS)) if n not in shown]
    assert shown and not blind.inputs[:, shown].any()
    assert np.array_equal(blind.inputs[:, others], whole.inputs[:, others])
    assert all({name.split()[0] for name in part.answers} == set(EXPERTS) - {expert} for part in blind.parts)
    assert whole.inputs[:, shown].any(), "the episode itself must not change"


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_segments_in_its_own_way(learned, name):
    default, ball, slices = learned
    one = default.update(paint(ball, slices), method=name)
    result = one.predict()
    if name != "fusion-without-prior":  # no network was trained to do without all of it at once
        assert query_dice(result.labels == 1, ball, slices) > 0.5
    same = np.array_equal(result.probabilities, default.predict().probabilities)
    assert same == (name == "fusion-without-detail"), "the grid shows all of a ball as small as this one"
    part = name.removeprefix("fusion-without-")
    gone = set(EXPERTS) if part == "prior" else {part}
    weights = one._structures[0].method._weights
    assert not gone & set(weights) and ("maml" in weights) == (part != "networks")
