"""Turning a volume so that its axes run as those of another one do, and its result back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..settings import Result, SuggestedSlice
from .grids import Grid


def along(array: NDArray[Any], grid: Grid, other: Grid) -> tuple[NDArray[Any], Grid]:
    """(K, J, I) and its grid with the axes in the order and the sense of another grid's; every voxel stays in place.

    Programs store one volume in different ways: Slicer turns left-handed ones over when it reads them.
    """
    turn = Turn.onto(grid, other)
    if turn == AS_IT_IS:
        return array, grid
    return turn.apply(array), turn.grid(grid)


@dataclass(frozen=True)
class Turn:
    """A permutation of array axes and then a reversal of some, without resampling.

    Attributes:
        order: which axis of the volume comes first, second and third.
        reversed_axes: axes, after that, that run the other way.
    """

    order: tuple[int, int, int]
    reversed_axes: tuple[int, ...]

    @classmethod
    def onto(cls, grid: Grid, other: Grid) -> Turn:
        """The turn after which each array axis of ``grid`` points as nearly as possible as that of ``other``."""
        mine, theirs = (np.reshape(g.direction, (3, 3))[:, ::-1] for g in (grid, other))  # columns in array order
        cosines = theirs.T @ mine
        order = linear_sum_assignment(-np.abs(cosines))[1]
        against = tuple(axis for axis in range(3) if cosines[axis, order[axis]] < 0)
        return cls((int(order[0]), int(order[1]), int(order[2])), against)

    def grid(self, grid: Grid) -> Grid:
        """The grid of what :meth:`apply` makes of an array on ``grid``."""
        axes = [2 - axis for axis in reversed(self.order)]  # i, j, k afterwards: which they were before
        turned = np.eye(4)
        turned[:3, :3] = np.eye(3)[:, axes]
        for axis in self.reversed_axes:
            before = axes[2 - axis]
            turned[before, 2 - axis], turned[before, 3] = -1, grid.size[before] - 1
        return Grid.from_matrix([grid.size[axis] for axis in axes], grid.matrix @ turned)

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """(K, J, I) turned."""
        return np.flip(array.transpose(self.order), self.reversed_axes)

    def slices(self, axis: int, slices: Iterable[int], shape: Sequence[int]) -> tuple[int, tuple[int, ...]]:
        """Where slices of a volume of this shape, before it was turned, lie after that: axis and ascending indices."""
        after, last = self.order.index(axis), shape[axis] - 1
        return after, tuple(sorted(last - i if after in self.reversed_axes else i for i in slices))

    def undo(self, array: NDArray[Any]) -> NDArray[Any]:
        """(…, K, J, I) turned back."""
        ahead = array.ndim - 3
        flipped = np.flip(array, tuple(axis + ahead for axis in self.reversed_axes))
        back = np.argsort(self.order)
        return np.ascontiguousarray(flipped.transpose(*range(ahead), *(int(axis) + ahead for axis in back)))

    def undo_result(self, result: Result) -> Result:
        """A result of the turned volume, as one of the volume; what the report says of the paint stays."""
        shape = result.labels.shape
        suggested: list[SuggestedSlice] = []
        for one in result.suggested_slices:
            axis = one["axis"]
            index = shape[axis] - 1 - one["index"] if axis in self.reversed_axes else one["index"]
            suggested.append({"axis": self.order[axis], "index": index, "score": one["score"]})
        return replace(
            result,
            labels=self.undo(result.labels),
            uncertainty=self.undo(result.uncertainty),
            suggested_slices=suggested,
            report={**result.report, "suggested_slices": suggested},
            compute_probabilities=lambda: self.undo(result.probabilities),
        )


AS_IT_IS = Turn((0, 1, 2), ())
COUNTED_OTHERWISE = (
    "The axes of a painted volume run otherwise than the image's; painted slices are counted in the volume that they "
    "were painted on, suggested ones in the image."
)
