"""Prototypical networks: every pixel is compared with prototypes of the painted classes.

Snell et al., NeurIPS 2017: the prototype c_k of class k is the mean of its support features and
p(k | x) ∝ exp(−d(f(x), c_k)), d the squared Euclidean distance (or, after PANet, Wang et al., ICCV 2019, a scaled
negative cosine). With several prototypes a class, p(k | x) ∝ mean_j exp(−d(f(x), c_kj)). Global prototypes come from
masked average pooling over all painted slices; local ones (ALPNet, Ouyang et al., ECCV 2020) from the cells of a grid
that lie almost wholly inside or outside the structure.

With positions (after the location-sensitive prototypes of Yu et al., ISBI 2021) those near the pixel count more:
p(k | x) ∝ Σ_j w_j exp(−d_j) / Σ_j w_j. A local prototype weighs w_j = exp(−|p − p_j|² / 2σ² − (z − z_j)² / 2τ²), by
the distance of its cell in the slice and by that of its slice; the global one weighs a constant.

In use, p(k | x) ∝ π_k(x) · mean_j exp(−d): the spatial prior π is a learned mixture of the predictors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

Distance = Literal["euclidean", "cosine"]
Prototypes = Literal["global", "local", "position"]
COSINE_SCALE = 20.0
CELL = 16
"""Side of the cells of local prototypes, in pixels."""
PURITY = 0.95
"""Share of a cell that must belong to a class."""
SPREAD = 24.0
"""σ, in pixels."""
SLICE_SPREAD = 1.0
"""τ, in gaps between painted slices."""
GLOBAL_WEIGHT = 0.1
"""Of the global prototype, where a local one at the very place weighs 1."""


@dataclass(frozen=True)
class PrototypeSettings:
    """How prototypes are made and compared.

    Attributes:
        distance: in the embedding.
        prototypes: one ``global`` one a class, ``local`` ones as well, or local ones that count by ``position``.
    """

    distance: Distance = "euclidean"
    prototypes: Prototypes = "local"


def masked_average(features: Tensor, mask: Tensor) -> Tensor:
    """Mean feature of the masked pixels of all slices: (S, F, H, W) features, (S, H, W) weights → (F,)."""
    return torch.einsum("sfhw,shw->f", features, mask) / mask.sum().clamp_min(1e-6)


def local_prototypes(features: Tensor, mask: Tensor, cell: int = CELL, purity: float = PURITY) -> Tensor:
    """Mean features of the grid cells that are filled by the mask: (S, F, H, W), (S, H, W) → (P, F), P may be 0."""
    pooled = torch.nn.functional.avg_pool2d(features, cell)
    return pooled.permute(0, 2, 3, 1)[_filled(mask, cell, purity)]


def local_positions(mask: Tensor, places: Tensor, cell: int = CELL, purity: float = PURITY) -> Tensor:
    """Where local prototypes lie: (S, H, W) mask, (S,) places of its slices → (P, 3), place and middle of the cell."""
    number, row, column = torch.nonzero(_filled(mask, cell, purity), as_tuple=True)
    return torch.stack([places[number], *(cell * (index + 0.5) - 0.5 for index in (row, column))], dim=1)


def _filled(mask: Tensor, cell: int, purity: float) -> Tensor:
    return torch.nn.functional.avg_pool2d(mask[:, None], cell)[:, 0] > purity


def log_weights(places: Tensor, size: tuple[int, int], positions: Tensor) -> Tensor:
    """log w_j of the global prototype and, after it, of local ones at ``positions`` (P, 3): → (N, 1 + P, H, W).

    Args:
        places: (N,) of the slices to predict.
        size: H, W.
    """
    rows, columns = (torch.arange(n, dtype=places.dtype, device=places.device) for n in size)
    along, down, across = positions.T
    far = (places[:, None] - along) ** 2 / (2 * SLICE_SPREAD**2)
    in_rows = (rows - down[:, None]) ** 2 / (2 * SPREAD**2)
    in_columns = (columns - across[:, None]) ** 2 / (2 * SPREAD**2)
    near = -(far[:, :, None, None] + in_rows[:, :, None] + in_columns[:, None, :])
    return torch.cat([near.new_full((len(near), 1, *size), math.log(GLOBAL_WEIGHT)), near], dim=1)


def distances(features: Tensor, prototypes: Tensor, distance: Distance) -> Tensor:
    """(N, F, H, W) features and (P, F) prototypes → (N, P, H, W) distances."""
    if distance == "cosine":
        return -COSINE_SCALE * cosines(features, prototypes)
    # Pixels last, side by side in memory, for sums over prototypes to be quick.
    pixels = features.flatten(2)
    # |f − c|² = |f|² − 2 f·c + |c|²
    squares = (pixels**2).sum(1, keepdim=True) + (prototypes**2).sum(-1, keepdim=True)
    return (squares - 2 * prototypes @ pixels).clamp_min(0).unflatten(2, features.shape[2:])


def cosines(features: Tensor, vectors: Tensor) -> Tensor:
    """(N, F, H, W) features and (P, F) vectors → (N, P, H, W) cosines of the angles between them."""
    found = normalize(vectors, dim=-1) @ normalize(features.flatten(2), dim=1)
    return found.unflatten(2, features.shape[2:])


def class_score(
    features: Tensor,
    prototypes: Tensor,
    distance: Distance,
    sharpness: Tensor | float = 1.0,
    weights: Tensor | None = None,
) -> Tensor:
    """log of the mean of exp(−sharpness · d_j), weighted by exp of ``weights`` (N, P, H, W) where given:
    (N, F, H, W), (P, F) → (N, H, W)."""
    nearness = -sharpness * distances(features, prototypes, distance)
    if weights is None:
        return torch.logsumexp(nearness, dim=1) - math.log(len(prototypes))
    return torch.logsumexp(nearness + weights, dim=1) - torch.logsumexp(weights, dim=1)


def sharpness_of(distance: Distance, learned: Tensor | float) -> Tensor | float:
    """The factor on distances: a learned one on Euclidean ones; the cosine has its own."""
    return learned if distance == "euclidean" else 1.0


def prototypes_of(features: Tensor, mask: Tensor, settings: PrototypeSettings) -> Tensor:
    """All prototypes of the class that ``mask`` marks on the support: (S, F, H, W), (S, H, W) → (P, F)."""
    found = masked_average(features, mask)[None]
    if settings.prototypes != "global":
        found = torch.cat([found, local_prototypes(features, mask)])
    return found


def prototype_logits(
    support: Tensor,
    truth: Tensor,
    query: Tensor,
    settings: PrototypeSettings,
    sharpness: Tensor | float = 1.0,
) -> Tensor:
    """Logits of the foreground: log p(1 | x) − log p(0 | x).

    Args:
        support: (S, F, H, W) features of painted slices.
        truth: (S, H, W) their masks, float.
        query: (N, F, H, W) features of the slices to predict.
        sharpness: factor on Euclidean distances.
    """
    factor = sharpness_of(settings.distance, sharpness)
    foreground, background = (
        class_score(query, prototypes_of(support, mask, settings), settings.distance, factor)
        for mask in (truth, 1 - truth)
    )
    return foreground - background
