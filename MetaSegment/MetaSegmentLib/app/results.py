"""What the panel shows of results, found again by the state in which they left the segments.

A run leaves a record in every segment that it wrote (see record.py), which is undone and redone together with the
voxels. So the records say which result is there, after an undo and after a redo too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..scene.record import records_of
from ..settings import SuggestedSlice

_STATES = 32
"""More than Slicer's editor can undo."""
_UNCERTAINTY_BYTES = 512 * 2**20


@dataclass(eq=False)
class ShownResult:
    """A result without its labels and probabilities.

    Attributes:
        summary: what came out, for the user.
        suggested_slices: best first.
        uncertainty: (K, J, I) in [0, 1]; None when it was dropped for newer ones.
    """

    summary: str
    suggested_slices: tuple[SuggestedSlice, ...]
    uncertainty: NDArray[Any] | None


class ResultHistory:
    """The last results, by volume, segmentation and state of the segments."""

    def __init__(self) -> None:
        self._results: OrderedDict[Hashable, ShownResult] = OrderedDict()

    def add(self, volume: Any, segmentation: Any, result: ShownResult) -> None:
        """Remember what belongs to the segments as they are now; the oldest are forgotten."""
        key = _key(volume, segmentation)
        self._results[key] = result
        self._results.move_to_end(key)
        while len(self._results) > _STATES:
            self._results.popitem(last=False)
        left = _UNCERTAINTY_BYTES
        newest_first = dict.fromkeys(reversed(self._results.values()))
        for known in newest_first:
            if known.uncertainty is not None:
                left -= known.uncertainty.nbytes
                if left < 0 and known is not result:
                    known.uncertainty = None

    def find(self, volume: Any | None, segmentation: Any | None) -> ShownResult | None:
        """The result that belongs to the segments as they are now."""
        if volume is None or segmentation is None:
            return None
        return self._results.get(_key(volume, segmentation))

    def clear(self) -> None:
        """Forget all."""
        self._results.clear()


def _key(volume: Any, segmentation: Any) -> Hashable:
    return volume.GetID(), segmentation.GetID(), records_of(segmentation)
