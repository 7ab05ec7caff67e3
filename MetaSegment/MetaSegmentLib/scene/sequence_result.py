"""What is computed of a sequence: a series on the grid of the paint, and as the volumes see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..answer.report import with_voxel_volume
from ..pieces import Steps
from ..progress import CancelCallback, ProgressCallback
from ..settings import Result, Settings
from .reader import all_warnings
from .sequence_reader import Frames

if TYPE_CHECKING:
    from ..series import SeriesResult

Labels = NDArray[np.unsignedinteger[Any]]


def segment_frames(
    frames: Frames, settings: Settings, progress: ProgressCallback | None = None, cancel: CancelCallback | None = None
) -> SeriesResult:
    """Segment all time points, on the grid of the paint; in any thread.

    Raises:
        MetaSegmentError: see :func:`MetaSegmentLib.segment_series`.
    """
    from ..series import segment_series

    given = (frames.images, frames.painted, frames.spacing, frames.slices, frames.axis)
    series = segment_series(*given, settings, progress, cancel, frames.names)
    series = _without_absent(frames, series)
    measured = {t: with_voxel_volume(one, frames.voxel_ml) for t, one in series.frames.items()}
    first = series.painted[0]
    warnings = all_warnings(frames.paint_grid, frames.warnings, series.warnings)  # the first one has them all
    measured[first] = replace(measured[first], report={**measured[first].report, "warnings": warnings})
    return replace(series, frames=measured)


def _without_absent(frames: Frames, series: SeriesResult) -> SeriesResult:
    """A series without what lies on slices that are stated to be empty: what is not painted at a time point follows
    other ones, which know nothing of them."""
    if not frames.absent or frames.axis is None:
        return series
    labels, results = series.labels.copy(), dict(series.frames)
    for t, stated in frames.absent.items():
        labels[t] = _emptied(labels[t], frames.axis, stated)
        results[t] = _with_labels(results[t], _emptied(results[t].labels, frames.axis, stated))
    return replace(series, labels=labels, frames=results)


def _emptied(labels: Labels, axis: int, stated: Mapping[int, Sequence[int]]) -> Labels:
    """(K, J, I) labels without each label on its slices."""
    labels = labels.copy()
    planes = np.moveaxis(labels, axis, 0)
    for label, slices in stated.items():
        planes[slices] = np.where(planes[slices] == label, 0, planes[slices])
    return labels


def _with_labels(result: Result, labels: Labels) -> Result:
    """A result with less on slices that are not painted, counted anew but for its millilitres."""
    segments = {}
    for value, segment in result.report["segments"].items():
        less = np.count_nonzero(result.labels == int(value)) - np.count_nonzero(labels == int(value))
        counts = {name: segment[name] - int(less) for name in ("voxels", "filled_voxels")}
        segments[value] = {**segment, **counts}
    return replace(result, labels=labels, report={**result.report, "segments": segments})


def on_volume_steps(frames: Frames, series: SeriesResult) -> Steps[SeriesResult]:
    """A series on the grid of the paint as the volumes see it, in pieces."""
    grid = frames.paint_grid
    if grid.is_volumes:
        return series
    results, labels = {}, []
    for t, result in series.frames.items():
        results[t] = yield from grid.result_steps(result)
    for one in series.labels:
        labels.append(grid.on_volume(one))
        yield
    return replace(series, labels=np.stack(labels), frames=results)
