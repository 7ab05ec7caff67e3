"""What a network sees of a slice: shipped weights rely on every channel, its place, its sign and its scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.structures import region_of
from MetaSegmentLib.networks.encode import CHANNELS
from MetaSegmentLib.networks.episode import Episode
from MetaSegmentLib.task.volume import check_volume

PAINTED = [6, 9, 14]
GAP = 5


@pytest.fixture(scope="module")
def episode():
    """A cone in noise: no two slices are alike."""
    k, j, i = np.indices((24, 30, 30))
    mask = (np.hypot(j - 14, i - 16) < 4 + 0.35 * k) & (k > 2) & (k < 19)
    image = 80.0 * mask + np.random.default_rng(3).normal(0, 10, mask.shape)
    return Episode(region_of(check_volume(image, (3.0, 1.0, 1.0)), mask, 0, PAINTED))


@pytest.mark.parametrize(
    ("target", "near", "outside"), [(8, (6, 9), 0), (10, (9, 14), 0), (4, (6, 9), 1), (17, (14, 9), 1)]
)
def test_every_channel_is_where_the_weights_expect_it(episode, target, near, outside):
    region = episode.region
    assert region.gap == GAP
    logits = {name: episode.expert_logits(name, (target,))[0] for name in ("shape", "propagation", "pixels")}
    grown = [episode.expert_logits("grow", (index,))[0] for index in (target - 1, target, target + 1)]
    expected = {
        "image below": region.image(target - 1),
        "image": region.image(target),
        "image above": region.image(target + 1),
        "shape": logits["shape"] / 5,
        "propagation": logits["propagation"] / 5,
        "grow below": (grown[0] + 3) / 6,
        "grow": (grown[1] + 3) / 6,
        "grow above": (grown[2] + 3) / 6,
        "pixels": logits["pixels"] / 4,
        "painted image 1": region.image(near[0]),
        "painted shape 1": region.distances[near[0]] / 10,
        "painted image 2": region.image(near[1]),
        "painted shape 2": region.distances[near[1]] / 10,
        "distance 1": (target - near[0]) / GAP,
        "distance 2": (target - near[1]) / GAP,
        "outside": outside,
        "anisotropy": np.log(region.anisotropy) / 2,
        "painted slices": len(PAINTED) / 8,
    }
    assert tuple(expected) == CHANNELS
    seen = episode.queries((target,)).inputs[0]
    for channel, (name, value) in zip(seen, expected.items(), strict=True):
        np.testing.assert_allclose(channel, np.broadcast_to(value, channel.shape), atol=5e-3, err_msg=name)


def test_a_slice_that_is_known_to_be_empty_is_seen_as_far_from_the_structure(episode):
    """Painted neighbours without paint have no distances; their channel is the lowest that a network was shown."""
    emptied = replace(episode.region, distances={**episode.region.distances, 9: None})
    seen = Episode(emptied).queries((8,)).inputs[0]
    assert (seen[CHANNELS.index("painted shape 2")] == -1).all()
