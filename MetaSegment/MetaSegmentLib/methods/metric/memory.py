"""Matching Networks with an external memory: a pixel attends to painted pixels of other volumes beside its own.

Matching Networks (Vinyals et al., NeurIPS 2016) read their support by attention. Here they read a memory as well, which
earlier episodes have written, as in Santoro et al. (ICML 2016): each other painted volume m, of another patient as a
rule, is remembered by keys, the features x_mi of a sample of its painted pixels, and values, their labels. What is read
of class k at a pixel with features f is

    p(f | k) ∝ Σ_m w_m · mean_i∈k exp(s · cos(f, x_mi)),    logit = log p(f | 1) − log p(f | 0) + logit π,

over the volume itself (m = 0) and the memory. With K painted slices the volume itself weighs
w_0 = K / (K + MEMORY_SLICES). The volumes of the memory share the rest by attention, too,

    w_m ∝ exp(s · ½ Σ_k cos(c_0k, c_mk)),    c_mk the mean key of class k in volume m.

Without a memory that is ``matching``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ...networks.slice_unet import SliceNetwork
from ...predictors.protocol import Fitted
from ..gradient.inner_loop import Parameters
from .embedded import Embedded, Features, FittedHead
from .matching import SHARPNESS, MatchingHead, matching_logits

MEMORY_SLICES = 1.0
"""So many painted slices the memory is worth."""
_CLASSES = ("foreground", "background")


class MemoryHead(MatchingHead):
    """Attention over a sample of painted pixels, and over those of other volumes.

    Args:
        memory: what :class:`MatchingHead` has learned from each other volume.
    """

    def __init__(self, memory: Sequence[Parameters] = ()) -> None:
        self._memory = [one for one in memory if all(len(one[name]) for name in _CLASSES)]

    def fit(self, network: SliceNetwork, extra: Parameters, painted: Features, truth: Tensor, seed: int) -> Parameters:
        own = super().fit(network, extra, painted, truth, seed)
        if not self._memory or not all(len(own[name]) for name in _CLASSES):
            return own
        volumes = [own, *self._memory]
        weights = volume_weights(volumes, len(truth), extra[SHARPNESS].exp())
        joined = {name: torch.cat([one[name] for one in volumes]) for name in _CLASSES}
        return joined | {f"{name} shares": key_shares(weights, [len(v[name]) for v in volumes]) for name in _CLASSES}

    def answer(self, network: SliceNetwork, extra: Parameters, fitted: Parameters, seen: Features) -> Tensor:
        foreground, background = (fitted[name] for name in _CLASSES)
        shares = None
        if "foreground shares" in fitted:
            shares = (fitted["foreground shares"], fitted["background shares"])
        likelihood = matching_logits(seen.embedded, foreground, background, extra[SHARPNESS].exp(), shares)
        return likelihood + network.mixed_predictors(seen.inputs, network.prior)


def volume_weights(volumes: Sequence[Parameters], painted: int, sharpness: Tensor | float) -> Tensor:
    """(1 + M,) w_m of the volume itself, on which so many slices are painted, and of those in the memory."""
    own, *memory = (torch.stack([one[name].mean(0) for name in _CLASSES]) for one in volumes)
    alike = torch.stack([cosine_similarity(own, one, dim=1).mean() for one in memory])
    share = painted / (painted + MEMORY_SLICES)
    return torch.cat([alike.new_full((1,), share), (1 - share) * (sharpness * alike).softmax(0)])


def key_shares(weights: Tensor, counts: Sequence[int]) -> Tensor:
    """(P,) how much each key of a class counts, where so many of each volume are."""
    return torch.cat([(weight / count).expand(count) for weight, count in zip(weights, counts, strict=True)])


class MatchingMemory(Embedded):
    """Matching Networks that remember other volumes."""

    def __init__(self, memory: Sequence[Parameters] = ()) -> None:
        super().__init__(MemoryHead(memory), "matching")

    def remembering(self, others: Sequence[Fitted]) -> MatchingMemory:
        """The same with a memory of what it has learned from other volumes."""
        return MatchingMemory([one.learned for one in others if isinstance(one, FittedHead)])
