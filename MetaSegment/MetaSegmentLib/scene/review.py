"""The slices of filled segments that a reader should look at first, whoever filled them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..pieces import Steps
from ..task.smoothness import misfits_steps
from .paint_grid import PaintGrid, paint_grid_of
from .presence import while_there
from .reader import has_labelmap_source, read_part_steps
from .record import record_of

_LEAST_MISFIT = 0.05
"""What fits its neighbours better than this is not worth a look."""


@dataclass(frozen=True)
class DoubtfulSlice:
    """A slice of a segment that fits its neighbours badly.

    Attributes:
        axis, index: which slice of the volume, in numpy order, from 0.
        misfit: in [0, 1], the higher the more doubtful.
    """

    segment_id: str
    name: str
    axis: int
    index: int
    misfit: float


def doubtful_slices_steps(volume: Any, segmentation: Any) -> Steps[tuple[DoubtfulSlice, ...]]:
    """The doubtful slices of all visible segments, the most doubtful first, found in pieces; those that the user
    painted are none.

    Raises:
        InputError: a segment cannot be brought onto the volume's grid.
        Cancelled: a node was removed meanwhile.
    """
    return (yield from while_there(_doubtful_steps(volume, segmentation), (volume, segmentation)))


def _doubtful_steps(volume: Any, segmentation: Any) -> Steps[tuple[DoubtfulSlice, ...]]:
    segments, display = segmentation.GetSegmentation(), segmentation.GetDisplayNode()
    if not has_labelmap_source(segments):
        return ()
    found: list[DoubtfulSlice] = []
    for segment_id in segments.GetSegmentIDs():
        segment = segments.GetSegment(segment_id)
        if segment is None or (display is not None and not display.GetSegmentVisibility(segment_id)):
            continue
        paint_grid = paint_grid_of(volume, segmentation, [segment])
        part = yield from read_part_steps(segment, paint_grid.grid)
        if part.empty:
            continue
        record = record_of(segment)
        painted: list[int] | None = None
        if record is not None:
            painted = yield from record.painted_now_steps(part)
        axis = record.axis if record is not None and painted is not None else _thick_axis(paint_grid)
        misfits = yield from misfits_steps(part, axis)
        worst: dict[tuple[int, int], float] = {}
        for index, misfit in misfits.items():
            if index not in (painted or ()):
                place = paint_grid.to_volume(axis, index)
                worst[place] = max(worst.get(place, 0.0), misfit)
        found += [
            DoubtfulSlice(segment_id, segment.GetName(), *place, misfit)
            for place, misfit in worst.items()
            if misfit > _LEAST_MISFIT
        ]
    return tuple(sorted(found, key=lambda one: -one.misfit))


def was_filled_by_run(segmentation: Any, one: DoubtfulSlice) -> bool:
    """Whether a run has filled a segment, so that its slices can be accepted as painted."""
    segment = segmentation.GetSegmentation().GetSegment(one.segment_id)
    record = None if segment is None else record_of(segment)
    return record is not None and record.axis == one.axis and bool(record.filled)


def _thick_axis(paint_grid: PaintGrid) -> int:
    """Across which slices lie furthest apart: a scan is read along it."""
    i, j, k = np.linalg.norm(paint_grid.grid.matrix[:3, :3], axis=0)
    return int(np.argmax(np.round((k, j, i), 3)))
