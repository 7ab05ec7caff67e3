"""Run every method and the tools it is compared with on a case, and score them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.protocol import Mask, paint, query_dice
from ..errors import MetaSegmentError
from ..networks import weights
from ..predictors.registry import find_method
from . import peers
from .measure import Measured
from .metrics import probability_scores, surface_scores
from .records import Painted, Record

log = logging.getLogger(__name__)

PEERS: dict[str, Callable[[NDArray[Any], Mask, Sequence[int], Sequence[float]], Mask]] = {
    "fill_between_slices": lambda image, mask, painted, spacing: peers.fill_between_slices(mask, painted),
    "grow_from_seeds": peers.grow_from_seeds,
    "signed_distance": lambda image, mask, painted, spacing: peers.signed_distance_interpolation(mask, painted),
    "average": peers.average,
}


@dataclass(frozen=True)
class Comparison:
    """What is run on each case.

    Attributes:
        methods: names that ``find_method`` knows; the tools to compare with are always run.
        surface: whether surface distances are scored too.
    """

    methods: tuple[str, ...]
    device: str = "auto"
    seed: int = 0
    surface: bool = True

    def complete(self, record: Record) -> bool:
        return not self._missing(record)

    def fill(self, record: Record, painted: Painted) -> None:
        methods = record.setdefault("methods", {})
        for name in self._missing(record):
            methods[name] = self._attempt(name, painted)

    def _missing(self, record: Record) -> list[str]:
        done = record.get("methods", {})
        return [name for name in (*PEERS, *self.methods) if not self._done(name, done.get(name, {}))]

    def _done(self, name: str, scores: Record) -> bool:
        """Whether the scores are all there and were made with the weights that are shipped now."""
        scored = ("hausdorff_95_mm" if self.surface else "dice") in scores
        return scored and (name in PEERS or scores.get("weights") == _weights_of(name))

    def _attempt(self, name: str, painted: Painted) -> Record:
        truth, slices, axis = painted.truth, painted.slices, painted.axis
        try:
            with Measured() as measured:
                prediction, probability, estimate = self._predict(name, painted)
            scores: Record = {"dice": query_dice(prediction, truth, slices, axis)}
            if self.surface:
                scores.update(surface_scores(prediction, truth, slices, axis, painted.spacing))
            scores.update(probability_scores(probability, truth, slices, axis))
            if name not in PEERS:
                scores.update(estimated_dice=estimate, weights=_weights_of(name))
        except Exception as error:  # one method's failure is a result, and must not end the comparison
            log.debug("%s failed", name, exc_info=True)
            # The message of any other error may name files.
            reason = f": {error}" if isinstance(error, MetaSegmentError) else ""
            return {"error": f"{type(error).__name__}{reason}"}
        scores["seconds"] = round(measured.seconds, 4)
        scores["peak_memory_mb"] = measured.peak_memory_mb and round(measured.peak_memory_mb, 1)
        return scores

    def _predict(self, name: str, painted: Painted) -> tuple[Mask, NDArray[np.floating[Any]], float | None]:
        """Mask, probability (a mask's own 0 and 1 for the tools that give none) and estimated Dice."""
        axis, spacing = painted.axis, painted.spacing
        if name in PEERS:
            front = np.ascontiguousarray(np.moveaxis(painted.truth, axis, 0))
            image = np.ascontiguousarray(np.moveaxis(painted.image, axis, 0))
            steps = [spacing[axis], *(step for other, step in enumerate(spacing) if other != axis)]
            mask = np.moveaxis(PEERS[name](image, front, painted.slices, steps), 0, axis)
            return mask, mask.astype(np.float32), None

        from ..engine import segment
        from ..settings import Settings

        settings = Settings(method=name, device=self.device, seed=self.seed)
        labels = paint(painted.truth, painted.slices, axis)
        result = segment(painted.image, labels, spacing=spacing, axis=axis, settings=settings)
        return result.labels == 1, result.probabilities[1], result.estimated_dice.get(1)


def _weights_of(method: str) -> dict[str, str]:
    """Name → SHA-256 of the weights that a method uses."""
    return {name: weights.checksum(name) for name in find_method(method).weights}
