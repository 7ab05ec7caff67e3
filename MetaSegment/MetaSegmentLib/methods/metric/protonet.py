"""ProtoNet as a method; see ``prototypes.py`` for the formulas."""

from __future__ import annotations

import torch
from torch import Tensor

from ...networks.slice_unet import SliceNetwork
from ..gradient.inner_loop import Parameters
from .embedded import Embedded, Features
from .prototypes import (
    Distance,
    Prototypes,
    PrototypeSettings,
    class_score,
    local_positions,
    log_weights,
    prototypes_of,
    sharpness_of,
)

_CLASSES = ("background", "foreground")


class ProtoNetHead:
    """Prototypes of both classes beside a mixture of the predictors."""

    def __init__(self, settings: PrototypeSettings) -> None:
        self._settings = settings
        self.positional = settings.prototypes == "position"

    def first_extra(self) -> Parameters:
        return {}

    def fit(self, network: SliceNetwork, extra: Parameters, painted: Features, truth: Tensor, seed: int) -> Parameters:
        fitted = {}
        for name, mask in zip(_CLASSES, (1 - truth, truth), strict=True):
            fitted[name] = prototypes_of(painted.embedded, mask, self._settings)
            if self.positional:
                fitted[f"{name} positions"] = local_positions(mask, painted.places)
        return fitted

    def answer(self, network: SliceNetwork, extra: Parameters, fitted: Parameters, seen: Features) -> Tensor:
        # Slice by slice, so that the distances to all prototypes stay in the processor's cache.
        slices = zip(seen.embedded.split(1), seen.places.split(1), strict=True)
        likelihood = torch.cat([self._compare(network, fitted, *one) for one in slices])
        return likelihood + network.mixed_predictors(seen.inputs, network.prior)

    def _compare(self, network: SliceNetwork, fitted: Parameters, features: Tensor, place: Tensor) -> Tensor:
        distance = self._settings.distance
        sharpness = sharpness_of(distance, network.sharpness.exp())
        scores = []
        for name in _CLASSES:
            weights = None
            if self.positional:
                height, width = features.shape[2:]
                weights = log_weights(place, (height, width), fitted[f"{name} positions"])
            scores.append(class_score(features, fitted[name], distance, sharpness, weights))
        return scores[1] - scores[0]


def make(distance: Distance = "euclidean", prototypes: Prototypes = "local") -> Embedded:
    """ProtoNet as a method; its weights are those of the stage ``base``, trained with local prototypes."""
    return Embedded(ProtoNetHead(PrototypeSettings(distance, prototypes)), "base")
