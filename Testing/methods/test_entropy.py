"""Test-time adaptation: the entropy is that of the formula, and nothing but normalisations changes."""

from __future__ import annotations

import numpy as np
import torch

from executors.requests import a_request
from MetaSegmentLib.methods.gradient.entropy import Tent, adapts, entropy, undecided
from MetaSegmentLib.methods.gradient.inner_loop import split_weights
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.plan import SLICE_V1
from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.task.paint import read_paint
from MetaSegmentLib.task.task import make_task
from MetaSegmentLib.task.volume import check_volume


def test_the_entropy_is_that_of_a_coin() -> None:
    p = np.array([0.5, 0.1, 0.999, 1e-6])
    expected = -p * np.log(p) - (1 - p) * np.log(1 - p)
    found = entropy(torch.from_numpy(np.log(p / (1 - p))))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_decided_pixels_do_not_count() -> None:
    logits = torch.tensor([0.0, 30.0, -30.0])
    torch.testing.assert_close(undecided(logits), torch.tensor(np.log(2), dtype=torch.float32))
    assert undecided(torch.full((3,), 30.0)) == 0


def test_only_normalisations_change_and_the_answer_becomes_more_decided() -> None:
    request = a_request("tent")
    given = read_paint(request.labels, request.image.shape, None, 0)
    task = make_task(check_volume(request.image, request.spacing), given, (1,), SLICE_V1.frame)
    start, _ = split_weights(weights.load("base"))
    fitted = Tent().fit(task, Context())
    changed = {name for name, value in fitted.parameters.items() if not torch.equal(value, start[name])}
    assert changed and all(adapts(name) for name in changed)
    after = undecided(torch.from_numpy(fitted.logits(task.queries)))
    fitted.parameters = start
    assert after < undecided(torch.from_numpy(fitted.logits(task.queries)))
