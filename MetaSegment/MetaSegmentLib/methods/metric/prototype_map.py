"""ProtoNet with a prototype for every position of the frame.

The prototype of class k at position p is a masked average over the painted slices near p,

    c_k(p) = (Σ_s w_s [G ∗ m_s f_s](p) + ε c_k) / (Σ_s w_s [G ∗ m_s](p) + ε),

where f_s are features of a painted slice, m_s is its mask of the class, G a Gaussian in the slice, w_s is
exp(−(z − z_s)² / 2τ²) with z in gaps between painted slices, and c_k the global prototype (Snell et al., NeurIPS 2017),
towards which positions go that saw little of the class. It takes further what location-sensitive prototypes do with
grid cells (Yu et al., ISBI 2021). Slices of one volume lie on each other as they are; those of other patients come laid
on by registration.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, normalize

from ...networks.slice_unet import SliceNetwork
from ..gradient.inner_loop import Parameters
from .embedded import Embedded, Features
from .prototypes import COSINE_SCALE, SLICE_SPREAD, Distance, masked_average, sharpness_of

SPREAD = 4.0
"""σ of the Gaussian, in pixels."""
TOWARDS_GLOBAL = 0.05
"""ε: so much of a pixel's weight the global prototype has everywhere."""
_CLASSES = ("background", "foreground")


class PrototypeMapHead:
    """Prototype maps of both classes beside a mixture of the predictors."""

    positional = True

    def __init__(self, distance: Distance) -> None:
        self._distance = distance

    def first_extra(self) -> Parameters:
        return {}

    def fit(self, network: SliceNetwork, extra: Parameters, painted: Features, truth: Tensor, seed: int) -> Parameters:
        fitted = {"places": painted.places}
        for name, mask in zip(_CLASSES, (1 - truth, truth), strict=True):
            fitted[f"{name} sums"] = smoothed(painted.embedded, mask)
            fitted[f"{name} global"] = masked_average(painted.embedded, mask)
        return fitted

    def answer(self, network: SliceNetwork, extra: Parameters, fitted: Parameters, seen: Features) -> Tensor:
        sharpness = sharpness_of(self._distance, network.sharpness.exp())
        scores = []
        for name in _CLASSES:
            sums, shared = fitted[f"{name} sums"], fitted[f"{name} global"]
            prototypes = prototype_map(sums, shared, fitted["places"], seen.places)
            scores.append(-sharpness * distance_to_map(seen.embedded, prototypes, self._distance))
        return scores[1] - scores[0] + network.mixed_predictors(seen.inputs, network.prior)


def smoothed(features: Tensor, mask: Tensor, spread: float = SPREAD) -> Tensor:
    """G ∗ (m f) and, as the last channel, G ∗ m: (S, F, H, W) features, (S, H, W) weights → (S, F + 1, H, W)."""
    planes = torch.cat([features * mask[:, None], mask[:, None]], dim=1)
    reach = int(3 * spread)
    steps = torch.arange(-reach, reach + 1, dtype=features.dtype, device=features.device)
    kernel = torch.exp(-(steps**2) / (2 * spread**2))
    kernel = kernel / kernel.sum()
    flat = planes.flatten(0, 1)[:, None]
    flat = conv2d(flat, kernel[None, None, :, None], padding=(reach, 0))
    flat = conv2d(flat, kernel[None, None, None, :], padding=(0, reach))
    return flat[:, 0].unflatten(0, planes.shape[:2])


def prototype_map(sums: Tensor, shared: Tensor, places: Tensor, wanted: Tensor) -> Tensor:
    """c(p) on slices at ``wanted`` (N,) gaps: → (N, F, H, W).

    Args:
        sums: (S, F + 1, H, W) of :func:`smoothed`.
        shared: (F,) the global prototype.
        places: (S,) of the painted slices, in gaps.
    """
    near = torch.exp(-((wanted[:, None] - places) ** 2) / (2 * SLICE_SPREAD**2))
    total = torch.einsum("ns,sfhw->nfhw", near, sums)
    above = total[:, :-1] + TOWARDS_GLOBAL * shared[:, None, None]
    return above / (total[:, -1:] + TOWARDS_GLOBAL)


def distance_to_map(features: Tensor, prototypes: Tensor, distance: Distance) -> Tensor:
    """Distances of (N, F, H, W) features to prototypes of the same shape, (N, H, W)."""
    if distance == "cosine":
        return -COSINE_SCALE * (normalize(features, dim=1) * normalize(prototypes, dim=1)).sum(1)
    return ((features - prototypes) ** 2).sum(1)


def make(distance: Distance = "euclidean") -> Embedded:
    """The method; its weights are those of the stage ``base``, trained with local prototypes."""
    return Embedded(PrototypeMapHead(distance), "base")
