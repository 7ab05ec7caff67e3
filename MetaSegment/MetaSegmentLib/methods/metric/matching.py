"""Matching Networks: a pixel takes the label of the painted pixels that it resembles.

Vinyals et al., NeurIPS 2016: p(y | x) = Σ_i a(x, x_i) [y_i = y] with attention a(x, x_i) ∝ exp(s · cos(f(x), f(x_i)))
over the support. Here x_i are painted pixels, both classes count alike however many of their pixels were drawn, the
sharpness s is meta-learned, and a spatial prior π, a learned mixture of the predictors, stands beside the
attention as it does beside prototypes: logit = log mean_fg exp(s · cos) − log mean_bg exp(s · cos) + logit π.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...networks.slice_unet import SliceNetwork
from ..gradient.inner_loop import Parameters
from .embedded import Embedded, Features
from .prototypes import cosines
from .sampling import pixels_of

PIXELS = 256
"""About so many painted pixels of each class are attended to, shared among the slices."""
FIRST_SHARPNESS = 10.0
SHARPNESS = "matching/sharpness"


def matching_logits(
    query: Tensor,
    foreground: Tensor,
    background: Tensor,
    sharpness: Tensor | float,
    shares: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """log p(1 | x) − log p(0 | x) by attention.

    Args:
        query: (N, F, H, W) features.
        foreground, background: (P, F) features of painted pixels; 0 is answered where one of them is empty.
        shares: (P,) how much each pixel counts within its class, adding up to 1; alike by default.
    """
    if not len(foreground) or not len(background):
        return query.new_zeros(len(query), *query.shape[2:])
    classes = (foreground, background)
    alike = (one.new_full((len(one),), 1 / len(one)) for one in classes)
    chances = torch.cat(tuple(alike) if shares is None else shares).log()[:, None, None]
    keys, counts = torch.cat(classes), [len(one) for one in classes]
    # Slice by slice, so that the attention to all pixels stays small.
    return torch.cat([_attend(one, keys, chances, counts, sharpness) for one in query.split(1)])


def _attend(query: Tensor, keys: Tensor, chances: Tensor, counts: list[int], sharpness: Tensor | float) -> Tensor:
    foreground, background = (sharpness * cosines(query, keys) + chances).split(counts, dim=1)
    return torch.logsumexp(foreground, dim=1) - torch.logsumexp(background, dim=1)


class MatchingHead:
    """Attention over a sample of painted pixels."""

    positional = False

    def first_extra(self) -> Parameters:
        return {SHARPNESS: torch.tensor(math.log(FIRST_SHARPNESS))}

    def fit(self, network: SliceNetwork, extra: Parameters, painted: Features, truth: Tensor, seed: int) -> Parameters:
        each = max(1, PIXELS // len(truth))
        names = ("background", "foreground")
        return {name: pixels_of(painted.embedded, truth, value, each, seed) for value, name in enumerate(names)}

    def answer(self, network: SliceNetwork, extra: Parameters, fitted: Parameters, seen: Features) -> Tensor:
        sharpness = extra[SHARPNESS].exp()
        likelihood = matching_logits(seen.embedded, fitted["foreground"], fitted["background"], sharpness)
        return likelihood + network.mixed_predictors(seen.inputs, network.prior)


def make() -> Embedded:
    return Embedded(MatchingHead(), "matching")
