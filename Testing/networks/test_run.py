"""Running a network: large slices go through it in smaller batches, to the same answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MetaSegmentLib.device import BATCH, Device
from MetaSegmentLib.networks.run import run_network
from MetaSegmentLib.networks.weights import Weights
from MetaSegmentLib.predictors.context import product_context
from MetaSegmentLib.progress import Progress


@pytest.mark.parametrize(("size", "largest"), [(96, BATCH), (144, BATCH), (176, 4), (224, 1)])
def test_fewer_large_slices_go_through_at_once(size: int, largest: int):
    seen = []

    class Doubled(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(len(x))
            return 2 * x

    context = product_context(0, Device("cpu"), Progress(), Weights.of(""))
    inputs = list(np.random.default_rng(0).normal(size=(9, 1, size, size)).astype(np.float16))
    answer = run_network(Doubled(), {}, inputs, "predicting", context)
    assert max(seen) == largest and sum(seen) == 9
    np.testing.assert_array_equal(answer, 2 * np.stack(inputs).astype(np.float32))
