"""What can answer a task: anything with ``fit(task, context)`` that gives something with ``logits(slices)``."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..task.frame import Stack
from ..task.task import Task
from .context import Context

Piece = Callable[[], object]
"""A part of the work that does not wait for any other."""


class Fitted(Protocol):
    """A predictor that has seen the paint of a task."""

    def logits(self, slices: Sequence[int]) -> Stack:
        """(T, C, H, W) logits of the task's C structures on slices of its frame."""


class Predictor(Protocol):
    """Answers tasks: shapes, registration, trees, networks, and sums of these."""

    def fit(self, task: Task, context: Context) -> Fitted:
        """Learn from what is known in a task."""


@runtime_checkable
class ChecksItself(Protocol):
    """A fitted predictor that knows a cheaper way to leave one out than to fit again without each slice."""

    def left_out(self) -> Stack | None:
        """(S, C, H, W) logits of ``task.left_out``, each predicted without its own paint; None where too few are."""


@runtime_checkable
class Divisible(Protocol):
    """A predictor whose work falls into pieces that several threads can do beforehand, into the memo."""

    def pieces(self, task: Task, slices: Sequence[int], context: Context) -> dict[Hashable, Piece]:
        """What fitting and then asking for ``slices`` will look for in the memo, by its key there."""


@runtime_checkable
class Remembers(Protocol):
    """A predictor that can make use of what it has learned of the same structure in other volumes."""

    def remembering(self, others: Sequence[Fitted]) -> Predictor:
        """The same with a memory of ``others``, each of which it has fitted to another volume."""


def leave_one_out(predictor: Predictor, fitted: Fitted, task: Task, context: Context) -> Stack | None:
    """(S, C, H, W) logits of ``task.left_out``, each predicted from the other painted slices, or None."""
    if isinstance(fitted, ChecksItself):
        return fitted.left_out()
    parts = [predictor.fit(task.without(index), context).logits((index,)) for index in task.left_out]
    return np.concatenate(parts) if parts else np.zeros((0, len(task.structures), *task.frame.shape), np.float32)


class OneByOne:
    """Lifts a predictor of one structure to any number, each by itself."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def fit(self, task: Task, context: Context) -> Fitted:
        if len(task.structures) == 1:
            return self._predictor.fit(task, context)
        return SideBySide([self._predictor.fit(task.only(place), context) for place in range(len(task.structures))])


class SideBySide:
    """Fitted predictors of one structure each, side by side."""

    def __init__(self, each: Sequence[Fitted]) -> None:
        self._each = each

    def logits(self, slices: Sequence[int]) -> NDArray[np.float32]:
        return np.concatenate([one.logits(slices) for one in self._each], axis=1)
