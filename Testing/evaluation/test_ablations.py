"""The default without each of its parts: what is left out is in neither the sum nor the network's eyes."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib import Settings, adapt
from MetaSegmentLib.data.protocol import paint, painted_slices, query_dice
from MetaSegmentLib.evaluation.command import _methods
from MetaSegmentLib.methods.fusion import NETWORKS
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.encode import encode
from MetaSegmentLib.networks.plan import SLICE_V1
from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.ensemble import BASELINES, Ensemble
from MetaSegmentLib.predictors.registry import ABLATIONS, METHODS, find_method
from MetaSegmentLib.settings import DEFAULT_METHOD
from MetaSegmentLib.task.paint import read_paint
from MetaSegmentLib.task.task import make_task
from MetaSegmentLib.task.volume import check_volume


@pytest.fixture(scope="module")
def ball():
    """Image and mask of a bright ball, and three slices of it to paint."""
    k, j, i = np.indices((18, 40, 40)) - np.array([9, 20, 20]).reshape(3, 1, 1, 1)
    mask = (1.6 * k) ** 2 + j**2 + i**2 < 12**2
    image = 100 * mask + np.random.default_rng(0).normal(0, 20, mask.shape)
    return image, mask, painted_slices(mask, 3)


@pytest.fixture(scope="module")
def learned(ball):
    """The default, adapted to the ball."""
    image, mask, slices = ball
    return adapt(image, paint(mask, slices), settings=Settings(method="fusion"))


@pytest.fixture(scope="module")
def a_task(ball):
    image, mask, slices = ball
    return make_task(check_volume(image), read_paint(paint(mask, slices), mask.shape), (1,))


@pytest.fixture(scope="module")
def context():
    return Context()


def test_all_names_every_method_and_ablation_the_parts():
    assert _methods(["all"], only_default=False) == tuple(METHODS) == _methods(None, only_default=False)
    assert _methods(["shape", "ablation"], only_default=False) == ("shape", DEFAULT_METHOD, *ABLATIONS)


def test_every_part_of_the_default_has_its_ablation_and_no_user_is_offered_one():
    parts = {name.removeprefix("fusion-without-") for name in ABLATIONS}
    fused = weights.load_plan(NETWORKS[0]).calibration["fusion"]
    assert {*fused.fusion_weights, *fused.few_fusion_weights, "prior", "networks", "detail"} <= parts
    assert not set(ABLATIONS) & set(METHODS)
    assert all(find_method(name) is info for name, info in ABLATIONS.items())


@pytest.mark.parametrize("name", BASELINES)
def test_a_hidden_predictor_is_out_of_the_sum_and_of_the_inputs(a_task, context, name):
    whole, blind = Ensemble(a_task, context), Ensemble(a_task, context, [name])
    seen, unseen = (encode(one, a_task.near, SLICE_V1).array() for one in (whole, blind))
    shown = [n for n, one in enumerate(SLICE_V1.inputs) if one.source == name]
    others = [n for n in range(len(SLICE_V1.inputs)) if n not in shown]
    assert shown and not unseen[:, shown].any() and seen[:, shown].any()
    assert np.array_equal(unseen[:, others], seen[:, others])
    assert set(blind.names) == set(BASELINES) - {name} and set(whole.names) == set(BASELINES)


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_segments_in_its_own_way(ball, learned, a_task, context, name):
    _, mask, slices = ball
    result = learned.update(paint(mask, slices), method=name).predict()
    if name != "fusion-without-prior":  # no network was trained to do without all of it at once
        assert query_dice(result.labels == 1, mask, slices) > 0.5
    same = np.array_equal(result.probabilities, learned.predict().probabilities)
    assert same == (name == "fusion-without-detail"), "the frame shows all of a ball as small as this one"
    part = name.removeprefix("fusion-without-")
    gone = {"prior": set(BASELINES), "networks": set(NETWORKS)}.get(part, {part})
    fused = find_method(name).make().fit(a_task, context).weights
    assert not gone & set(fused) and (set(NETWORKS) - gone <= set(fused))
