"""Logits of structures that were predicted together, on the slices where they are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..predictors.protocol import ChecksItself, Fitted
from ..task.frame import Stack
from ..task.task import Task
from .refine import Refinement
from .sizes import Sizes

_ENDED = -1.0
"""A structure has ended where all logits of a slice are below this."""


@dataclass(frozen=True, eq=False)
class FittedPart:
    """Structures that were predicted together.

    Attributes:
        sizes: what each structure is held to; None on a tile, where it comes and goes.
        whole_of: the first and the last painted slice, where the parts before this one are pieces of its structure.
        tiled: the parts before this one are tiles of its structure.
    """

    task: Task
    fitted: Fitted
    refinements: tuple[Refinement | None, ...]
    sizes: tuple[Sizes | None, ...]
    whole_of: tuple[int, int] | None = None
    tiled: bool = False

    def answers(self, index: int) -> bool:
        """Whether the answer on a slice is wanted; between painted slices that of the pieces is."""
        return self.whole_of is None or not self.whole_of[0] <= index <= self.whole_of[1]


def logits_of(part: FittedPart, trusted: bool) -> dict[int, Stack]:
    """Slice index → (C, H, W) logits of the slices of the task that are not settled.

    Slices beyond the end of the structures are not computed, and so are missing.
    """
    task = part.task
    if not trusted:
        return _logits_everywhere(part)
    found = _predict(part, tuple(index for index in task.near if part.answers(index)))
    for rest, inwards in zip(task.far, (1, -1), strict=True):
        if rest and rest[0] + inwards in found and found[rest[0] + inwards].max() > _ENDED:
            found |= _predict(part, rest)
    return found


def _logits_everywhere(part: FittedPart) -> dict[int, Stack]:
    """The same where paint came by registration and is not to be trusted: every slice, each without its own paint."""
    frame = part.task.frame
    found: dict[int, Stack] = {}
    if isinstance(part.fitted, ChecksItself) and (left_out := part.fitted.left_out()) is not None:
        found = dict(zip(part.task.left_out, left_out, strict=True))
    rest = tuple(i for i in range(frame.start, frame.stop) if i not in found and part.answers(i))
    return found | _predict(part, rest)


def _predict(part: FittedPart, slices: Sequence[int]) -> dict[int, Stack]:
    return dict(zip(slices, np.asarray(part.fitted.logits(slices)), strict=True)) if slices else {}
