"""Run every method and the tools it is compared with on a case, and score them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.protocol import Mask, paint, query_dice
from ..errors import MetaSegmentError
from . import tools
from .measure import Measured
from .metrics import probability_scores, surface_scores
from .origin import origin_of
from .records import Painted, Record
from .tools import PEERS

__all__ = ["PEERS", "Comparison", "failure"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Comparison:
    """What is run on each case.

    Attributes:
        methods: names that ``find_method`` knows; the tools to compare with are always run.
        surface: whether surface distances are scored too.
        weights: folder of weights that take the place of the shipped ones.
    """

    methods: tuple[str, ...]
    device: str = "auto"
    seed: int = 0
    surface: bool = True
    weights: str = ""

    def complete(self, record: Record) -> bool:
        return not self._missing(record)

    def fill(self, record: Record, painted: Painted) -> None:
        methods = record.setdefault("methods", {})
        for name in self._missing(record):
            methods[name] = self._attempt(name, painted)

    def _missing(self, record: Record) -> list[str]:
        done = record.get("methods", {})
        return [name for name in (*tools.available(), *self.methods) if not self._done(name, done.get(name, {}))]

    def _done(self, name: str, scores: Record) -> bool:
        """Whether the scores are all there and were made with what is shipped and installed now."""
        scored = ("hausdorff_95_mm" if self.surface else "dice") in scores
        return scored and origin_of(name, self.weights).items() <= scores.items()

    def _attempt(self, name: str, painted: Painted) -> Record:
        truth, slices, axis = painted.truth, painted.slices, painted.axis
        try:
            with Measured() as measured:
                prediction, probability, estimate = self.predict(name, painted)
            scores: Record = {"dice": query_dice(prediction, truth, slices, axis)}
            if self.surface:
                scores.update(surface_scores(prediction, truth, slices, axis, painted.spacing))
            scores.update(probability_scores(probability, truth, slices, axis))
            if not tools.is_tool(name):
                scores.update(estimated_dice=estimate)
            scores.update(origin_of(name, self.weights))
        except Exception as error:  # one method's failure is a result, and must not end the comparison
            return failure(name, error)
        scores["seconds"] = round(measured.seconds, 4)
        scores["peak_memory_mb"] = measured.peak_memory_mb and round(measured.peak_memory_mb, 1)
        return scores

    def predict(self, name: str, painted: Painted) -> tuple[Mask, NDArray[np.floating[Any]], float | None]:
        """Mask, probability (a mask's own 0 and 1 for the tools that give none) and estimated Dice."""
        if tools.is_tool(name):
            mask = tools.apply(name, painted)
            return mask, mask.astype(np.float32), None

        from ..engine import segment
        from ..settings import Settings

        axis = painted.axis
        settings = Settings(name, self.device, self.seed, self.weights)
        labels = paint(painted.truth, painted.slices, axis)
        result = segment(painted.image, labels, spacing=painted.spacing, axis=axis, settings=settings)
        return result.labels == 1, result.probabilities[1], result.estimated_dice.get(1)


def failure(name: str, error: Exception) -> Record:
    """What is recorded of a method that failed; the message of an error that is not ours may name files."""
    log.debug("%s failed", name, exc_info=error)
    reason = f": {error}" if isinstance(error, MetaSegmentError) else ""
    return {"error": f"{type(error).__name__}{reason}"}
