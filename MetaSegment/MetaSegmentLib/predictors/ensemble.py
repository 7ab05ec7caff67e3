"""The predictors without learned weights on one task, their answers kept in the memo.

Networks see these answers, and the fusion adds them up; both meet a slice in the same way, whether it is a query,
predicted from all painted slices, or a painted one, predicted from all others.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..progress import run_all
from ..task.frame import Stack
from ..task.task import Task
from .context import Context
from .grow_from_seeds import GrowFromSeeds, is_available
from .pixel_trees import PixelTrees
from .propagation import ContourPropagation
from .protocol import Divisible, Fitted, OneByOne, Piece, Predictor
from .shape import ShapeInterpolation

BASELINES: dict[str, type[Predictor]] = {
    "shape": ShapeInterpolation,
    "propagation": ContourPropagation,
    "grow": GrowFromSeeds,
    "pixels": PixelTrees,
}
"""By the name under which plans and fusion weights refer to them."""


def missing_baselines() -> tuple[str, ...]:
    """Names of the predictors whose library is not installed; the others do without."""
    return () if is_available() else ("grow",)


class Ensemble:
    """Answers of the predictors for one task.

    Args:
        hidden: names of predictors to do without.
        stand_ins: for predictors whose library is not installed, by their names; by default they are done without.
    """

    def __init__(
        self,
        task: Task,
        context: Context,
        hidden: Collection[str] = (),
        stand_ins: Mapping[str, type[Predictor]] | None = None,
    ) -> None:
        self.task = task
        self.context = context
        missing = missing_baselines()
        self._stand_ins = {name: one for name, one in (stand_ins or {}).items() if name in missing}
        self._hidden = frozenset((*hidden, *(name for name in missing if name not in self._stand_ins)))
        self.names = tuple(name for name in BASELINES if name not in self._hidden)
        self._fitted: dict[str, Fitted] = {}

    def logits(self, name: str, slices: Sequence[int], step: int = 0) -> Stack:
        """(T, C, H, W) logits of one predictor on ``slices``, or on the slices ``step`` away from them (within the
        volume); in the precision of half floats.

        Only wide predictors have something for the slices next to those that are asked for; with a ``step`` the others
        are not to be asked.
        """
        covered = self._covered(name, slices)
        answers = self.context.memo.get(self._key(name, covered), lambda: self._compute(name, covered))
        last = self.task.frame.depth - 1
        places = [covered.index(min(max(index + step, 0), last)) for index in slices]
        return answers[places].astype(np.float32)

    def without(self, index: int) -> Ensemble:
        """The ensemble that has not seen a painted slice."""
        if index not in self.task.slices:
            return self
        return Ensemble(self.task.without(index), self.context, self._hidden, self._stand_ins)

    def prepare(self, slices: Sequence[int]) -> None:
        """Work out in parallel what predictors answer for ``slices``, and for each painted slice that is left out."""
        context = self.context
        wanted = [(self, tuple(slices)), *((self.without(index), (index,)) for index in self.task.left_out)]
        missing = [(one, some) for one, some in wanted if some and not one._has(some)]
        if not missing:
            return
        pieces: dict[Hashable, Piece] = {}
        for one, some in missing:
            for name in one.names:
                pieces |= one._pieces(name, some)
        waiting = [piece for key, piece in pieces.items() if key not in context.memo]
        run_all("reading the slices", waiting, context.progress, context.workers)
        learn = [partial(one._learn, some) for one, some in missing]
        run_all("learning from the paint", learn, context.progress, context.workers)

    def _covered(self, name: str, slices: Sequence[int]) -> tuple[int, ...]:
        """The slices to compute for an answer on ``slices``."""
        if not getattr(BASELINES[name], "wide", False):
            return tuple(slices)
        last = self.task.frame.depth - 1
        return tuple(sorted({min(max(index + step, 0), last) for index in slices for step in (-1, 0, 1)}))

    def _key(self, name: str, slices: tuple[int, ...]) -> Hashable:
        return ("logits", name, self.context.seed, self.task.digest, slices)

    def _compute(self, name: str, slices: tuple[int, ...]) -> NDArray[np.float16]:
        self.context.progress.check()
        if name not in self._fitted:
            predictor = self._stand_ins.get(name, BASELINES[name])
            self._fitted[name] = OneByOne(predictor()).fit(self.task, self.context)
        return self._fitted[name].logits(slices).astype(np.float16)

    def _has(self, slices: Sequence[int]) -> bool:
        return all(self._key(name, self._covered(name, slices)) in self.context.memo for name in self.names)

    def _learn(self, slices: Sequence[int]) -> None:
        for name in self.names:
            self.logits(name, slices)

    def _pieces(self, name: str, slices: Sequence[int]) -> dict[Hashable, Piece]:
        predictor = BASELINES[name]()
        pieces: dict[Hashable, Piece] = {}
        if isinstance(predictor, Divisible):
            for place in range(len(self.task.structures)):
                pieces |= predictor.pieces(self.task.only(place), slices, self.context)
        return pieces
