"""A bounded, repeatable choice of painted pixels, for heads that weigh pixels one by one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def pixels_of(features: Tensor, truth: Tensor, value: int, most: int, seed: int) -> Tensor:
    """(n, F) features of at most ``most`` pixels of a class in each slice, drawn evenly.

    Args:
        features: (S, F, H, W) of painted slices.
        truth: (S, H, W) their masks, in {0, 1}.
        value: the class, 0 or 1.
    """
    rows = []
    for place, (slice_features, mask) in enumerate(zip(features, truth, strict=True)):
        found = torch.nonzero((mask.reshape(-1) > 0.5) == bool(value))[:, 0]
        if len(found) > most:
            random = np.random.default_rng((seed, place, value))
            picked = np.sort(random.permutation(len(found))[:most])
            found = found[torch.from_numpy(picked).to(found.device)]
        rows.append(slice_features.flatten(1).T[found])
    return torch.cat(rows)
