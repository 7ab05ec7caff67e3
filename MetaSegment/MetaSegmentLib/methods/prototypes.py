"""Prototypical networks: every pixel is compared with prototypes of the painted classes.

Snell et al., NeurIPS 2017: the prototype c_k of class k is the mean of its support features and
p(k | x) ∝ exp(−d(f(x), c_k)), d the squared Euclidean distance (or, after PANet, Wang et al., ICCV 2019, a scaled
negative cosine). With several prototypes a class, p(k | x) ∝ mean_j exp(−d(f(x), c_kj)). Global prototypes come from
masked average pooling over all painted slices; local ones (ALPNet, Ouyang et al., ECCV 2020) from the cells of a grid
that lie almost wholly inside or outside the structure.

In use, p(k | x) ∝ π_k(x) · mean_j exp(−d): the spatial prior π is a learned mixture of what the experts say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Distance = Literal["euclidean", "cosine"]
COSINE_SCALE = 20.0
CELL = 16
"""Side of the cells of local prototypes, in pixels."""
PURITY = 0.95
"""Share of a cell that must belong to a class."""


@dataclass(frozen=True)
class PrototypeSettings:
    """How prototypes are made: ``distance`` in the embedding, and whether ``local`` ones join the global ones."""

    distance: Distance = "euclidean"
    local: bool = True


def masked_average(features: Tensor, mask: Tensor) -> Tensor:
    """Mean feature of the masked pixels of all slices: (S, F, H, W) features, (S, H, W) weights → (F,)."""
    return torch.einsum("sfhw,shw->f", features, mask) / mask.sum().clamp_min(1e-6)


def local_prototypes(features: Tensor, mask: Tensor, cell: int = CELL, purity: float = PURITY) -> Tensor:
    """Mean features of the grid cells that are filled by the mask: (S, F, H, W), (S, H, W) → (P, F), P may be 0."""
    pooled = torch.nn.functional.avg_pool2d(features, cell)
    filled = torch.nn.functional.avg_pool2d(mask[:, None], cell)[:, 0] > purity
    return pooled.permute(0, 2, 3, 1)[filled]


def distances(features: Tensor, prototypes: Tensor, distance: Distance) -> Tensor:
    """(N, F, H, W) features and (P, F) prototypes → (N, H, W, P) distances."""
    features = features.permute(0, 2, 3, 1)
    if distance == "cosine":
        features = torch.nn.functional.normalize(features, dim=-1)
        prototypes = torch.nn.functional.normalize(prototypes, dim=-1)
        return -COSINE_SCALE * (features @ prototypes.T)
    # |f − c|² = |f|² − 2 f·c + |c|²
    squares = (features**2).sum(-1, keepdim=True) + (prototypes**2).sum(-1)
    return (squares - 2 * (features @ prototypes.T)).clamp_min(0)


def class_score(features: Tensor, prototypes: Tensor, distance: Distance, sharpness: Tensor | float = 1.0) -> Tensor:
    """log mean_j exp(−sharpness · d_j): (N, F, H, W), (P, F) → (N, H, W)."""
    nearness = -sharpness * distances(features, prototypes, distance)
    return torch.logsumexp(nearness, dim=-1) - math.log(len(prototypes))


def logits_of(
    query: Tensor, foreground: Tensor, background: Tensor, distance: Distance, sharpness: Tensor | float = 1.0
) -> Tensor:
    """log p(1 | x) − log p(0 | x) from the prototypes (P, F) of both classes: (N, F, H, W) → (N, H, W).

    ``sharpness`` is a factor on Euclidean distances; the cosine has its own.
    """
    if distance == "cosine":
        sharpness = 1.0
    of_foreground = class_score(query, foreground, distance, sharpness)
    return of_foreground - class_score(query, background, distance, sharpness)


def prototypes_of(features: Tensor, mask: Tensor, settings: PrototypeSettings) -> Tensor:
    """All prototypes of the class that ``mask`` marks on the support: (S, F, H, W), (S, H, W) → (P, F)."""
    found = masked_average(features, mask)[None]
    if settings.local:
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
        sharpness: factor on Euclidean distances (the cosine has its own).
    """
    foreground, background = (prototypes_of(support, mask, settings) for mask in (truth, 1 - truth))
    return logits_of(query, foreground, background, settings.distance, sharpness)
