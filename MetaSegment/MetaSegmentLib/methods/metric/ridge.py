"""R2D2: a ridge regression on meta-learned features, solved in closed form for every case.

Bertinetto et al., ICLR 2019: W = (ZᵀZ + λI)⁻¹ZᵀY, Z the features of painted pixels, Y their labels ±1; the answer for
a query is a · (z W) + b. Features, λ, a and b are meta-learned through the solve. A row of Z holds the embedding of a
pixel, the logits of the predictors, and 1; a learned mixture of the predictors is added to the answer, as it is beside
prototypes. All painted slices are seen, by at most 512 pixels of each class and slice.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...networks.slice_unet import SliceNetwork
from ..gradient.inner_loop import Parameters
from .embedded import Embedded, Features
from .sampling import pixels_of

PIXELS = 512
"""At most so many pixels of each class in a painted slice."""
_STRENGTH, _SCALE, _BIAS = "ridge/strength", "ridge/scale", "ridge/bias"


def ridge_weights(rows: Tensor, labels: Tensor, strength: Tensor | float) -> Tensor:
    """(ZᵀZ + λI)⁻¹ZᵀY: (n, F) rows Z, (n,) labels Y, λ ``strength`` → (F,)."""
    # Single precision even where the network runs in half: the solve needs it.
    with torch.autocast(rows.device.type, enabled=False):
        rows, labels = (value if value.dtype == torch.float64 else value.float() for value in (rows, labels))
        normal = rows.T @ rows + strength * torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
        return torch.linalg.solve(normal, rows.T @ labels)


def _described(network: SliceNetwork, seen: Features) -> Tensor:
    """(N, F, H, W): the embedding, the predictors' logits brought within ±1, and 1."""
    predictors = torch.tanh(network.predictor_logits(seen.inputs) / 4)
    return torch.cat([seen.embedded, predictors, torch.ones_like(predictors[:, :1])], dim=1)


class RidgeHead:
    """A linear classifier of pixels, fitted to the painted ones."""

    positional = False

    def first_extra(self) -> Parameters:
        return {
            _STRENGTH: torch.tensor(math.log(300.0)),
            _SCALE: torch.tensor(math.log(3.0)),
            _BIAS: torch.tensor(0.0),
        }

    def fit(self, network: SliceNetwork, extra: Parameters, painted: Features, truth: Tensor, seed: int) -> Parameters:
        described = _described(network, painted)
        classes = [pixels_of(described, truth, value, PIXELS, seed) for value in (0, 1)]
        labels = torch.cat([one.new_full((len(one),), 2.0 * value - 1) for value, one in enumerate(classes)])
        return {"line": ridge_weights(torch.cat(classes), labels, extra[_STRENGTH].exp())}

    def answer(self, network: SliceNetwork, extra: Parameters, fitted: Parameters, seen: Features) -> Tensor:
        score = torch.einsum("nfhw,f->nhw", _described(network, seen), fitted["line"])
        return extra[_SCALE].exp() * score + extra[_BIAS] + network.mixed_predictors(seen.inputs, network.prior)


def make() -> Embedded:
    return Embedded(RidgeHead(), "ridge")
