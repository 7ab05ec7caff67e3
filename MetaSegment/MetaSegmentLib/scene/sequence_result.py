"""What is computed of a sequence: a series on the grid of the paint, and as the volumes see it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..answer.report import with_voxel_volume
from ..pieces import Steps
from ..progress import CancelCallback, ProgressCallback
from ..settings import Settings
from .reader import all_warnings
from .sequence_reader import Frames

if TYPE_CHECKING:
    from ..series import SeriesResult


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
    series = replace(series, labels=_without_absent(frames, series.labels))
    measured = {t: with_voxel_volume(one, frames.voxel_ml) for t, one in series.frames.items()}
    first = series.painted[0]
    warnings = all_warnings(frames.paint_grid, frames.warnings, series.warnings)  # the first one has them all
    measured[first] = replace(measured[first], report={**measured[first].report, "warnings": warnings})
    return replace(series, frames=measured)


def _without_absent(frames: Frames, labels: NDArray[Any]) -> NDArray[Any]:
    """(T, K, J, I) labels without what lies on slices that are stated to be empty: what is not painted at a time point
    follows other ones, which know nothing of them."""
    if not frames.absent or frames.axis is None:
        return labels
    labels = labels.copy()
    for t, stated in frames.absent.items():
        planes = np.moveaxis(labels[t], frames.axis, 0)
        for label, slices in stated.items():
            planes[slices] = np.where(planes[slices] == label, 0, planes[slices])
    return labels


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
