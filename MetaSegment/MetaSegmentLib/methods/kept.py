"""What a network says of slices, kept for as long as what the experts say of them stays the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..networks.encode import Evidence, SliceEvidence
from ..task.frame import Stack


class Kept:
    """Logits (GRID, GRID) or features (F, GRID, GRID) by slice.

    Args:
        before: those of the method before it saw the latest paint; slices far from that paint keep them.
    """

    def __init__(self, before: Kept | None = None) -> None:
        self._kept: dict[int, tuple[SliceEvidence, Stack]] = dict(before._kept) if before else {}

    def of(self, evidence: Evidence, compute: Callable[[Evidence], Stack]) -> Stack:
        """(T, …) for all slices of the evidence; ``compute`` is asked for those that need it."""
        pairs = list(zip(evidence.slices, evidence.parts, strict=True))
        new = [(index, part) for index, part in pairs if not self._holds(index, part)]
        if new:
            slices, parts = zip(*new, strict=True)
            answers = compute(Evidence(evidence.region, slices, parts))
            self._kept |= {index: (part, one) for (index, part), one in zip(new, answers, strict=True)}
        return np.stack([self._kept[index][1] for index, _ in pairs])

    def _holds(self, index: int, part: SliceEvidence) -> bool:
        return index in self._kept and self._kept[index][0] is part
