"""Logits kept from one prediction to the next, for as long as what the experts say of a slice stays the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..episode import Evidence, SliceEvidence
from ..region import Stack


class KeptLogits:
    """(GRID, GRID) logits by slice.

    Args:
        before: those of the method before it saw the latest paint; slices far from that paint keep them.
    """

    def __init__(self, before: KeptLogits | None = None) -> None:
        self._kept: dict[int, tuple[SliceEvidence, Stack]] = dict(before._kept) if before else {}

    def of(self, evidence: Evidence, compute: Callable[[list[NDArray[Any]]], Stack]) -> Stack:
        """(T, GRID, GRID) logits, computed from the inputs (channels, GRID, GRID) of those slices that need it."""
        pairs = list(zip(evidence.slices, evidence.parts, strict=True))
        new = [(index, part) for index, part in pairs if not self._holds(index, part)]
        if new:
            logits = compute([part.inputs for _, part in new])
            self._kept |= {index: (part, one) for (index, part), one in zip(new, logits, strict=True)}
        return np.stack([self._kept[index][1] for index, _ in pairs])

    def _holds(self, index: int, part: SliceEvidence) -> bool:
        return index in self._kept and self._kept[index][0] is part
