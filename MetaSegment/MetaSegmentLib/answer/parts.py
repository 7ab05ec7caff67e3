"""What was fitted to structures: on one frame, on tiles of it or in pieces; and the logits where they are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..predictors.ensemble import Ensemble
from ..predictors.protocol import ChecksItself, Fitted
from ..task.frame import Stack
from ..task.task import Task
from .refine import Refinement
from .sizes import Sizes

_ENDED = -1.0
"""A structure has ended where all logits of a slice are below this."""


@dataclass(frozen=True, eq=False)
class FittedPart:
    """Structures that were predicted together, on one frame.

    Attributes:
        sizes: what each structure is held to; None on a tile, where it comes and goes.
        ensemble: simple predictors to compare the answer with; None where that is not wanted.
    """

    task: Task
    fitted: Fitted
    refinements: tuple[Refinement | None, ...]
    sizes: tuple[Sizes | None, ...]
    ensemble: Ensemble | None = None

    @property
    def frames(self) -> tuple[FittedPart, ...]:
        """Itself, as the other kinds have several."""
        return (self,)


@dataclass(frozen=True, eq=False)
class FittedTiles:
    """A structure, or a piece of one, on the frame around it and on tiles that show more of it."""

    whole: FittedPart
    tiles: tuple[FittedPart, ...]

    @property
    def frames(self) -> tuple[FittedPart, ...]:
        """All of them, the whole last."""
        return (*self.tiles, self.whole)


@dataclass(frozen=True, eq=False)
class FittedPieces:
    """A structure whose pieces lie far apart.

    Attributes:
        whole: on the frame around all; pieces may join beyond the outermost painted slices.
        between: the first and the last painted slice.
    """

    whole: FittedPart
    pieces: tuple[FittedPart | FittedTiles, ...]
    between: tuple[int, int]

    @property
    def frames(self) -> tuple[FittedPart, ...]:
        """All of them, the whole last."""
        return (*(frame for piece in self.pieces for frame in piece.frames), self.whole)


AnyPart = FittedPart | FittedTiles | FittedPieces


def logits_of(part: FittedPart, trusted: bool, unwanted: range = range(0)) -> dict[int, Stack]:
    """Slice index → (C, H, W) logits of the slices of the task that are wanted and not settled.

    Slices beyond the end of the structures are not computed, and so are missing.
    """
    task = part.task
    if not trusted:
        return _logits_everywhere(part, unwanted)
    found = _predict(part, tuple(index for index in task.near if index not in unwanted))
    for rest, inwards in zip(task.far, (1, -1), strict=True):
        if rest and rest[0] + inwards in found and found[rest[0] + inwards].max() > _ENDED:
            found |= _predict(part, rest)
    return found


def _logits_everywhere(part: FittedPart, unwanted: range) -> dict[int, Stack]:
    """The same where paint came by registration and is not to be trusted: every slice, each without its own paint."""
    frame = part.task.frame
    found: dict[int, Stack] = {}
    if isinstance(part.fitted, ChecksItself) and (left_out := part.fitted.left_out()) is not None:
        found = dict(zip(part.task.left_out, left_out, strict=True))
    rest = tuple(i for i in range(frame.start, frame.stop) if i not in found and i not in unwanted)
    return found | _predict(part, rest)


def _predict(part: FittedPart, slices: Sequence[int]) -> dict[int, Stack]:
    return dict(zip(slices, np.asarray(part.fitted.logits(slices)), strict=True)) if slices else {}
