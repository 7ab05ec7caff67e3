"""A volume at several times: painted on one frame or a few, segmented on all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .across import follow
from .answer.in_time import smooth_in_time
from .engine import Adapted, Slices, adapt
from .errors import InputError
from .progress import CancelCallback, Progress, ProgressCallback
from .registration.carry import ENOUGH_PAINTED
from .settings import Result, Settings
from .task.paint import Paint, read_paint


@dataclass(frozen=True, eq=False)
class SeriesResult:
    """A segmented time series.

    Attributes:
        labels: (T, K, J, I) uint8 or uint16; slices that are painted exactly as painted.
        frames: frame → its result, before it was smoothed in time.
        painted: the frames with paint, ascending.
    """

    labels: NDArray[np.unsignedinteger[Any]]
    frames: dict[int, Result]
    painted: tuple[int, ...]

    @property
    def report(self) -> dict[str, Any]:
        """Of the first painted frame, with the voxels of each segment by frame under ``series``."""
        first = self.frames[self.painted[0]].report
        values = [int(value) for value in first["segments"]]
        counts = {str(v): [int((frame == v).sum()) for frame in self.labels] for v in values}
        return {**first, "series": {"frames": len(self.labels), "painted": list(self.painted), "voxels": counts}}


def segment_series(
    images: ArrayLike,
    painted: Mapping[int, ArrayLike],
    spacing: ArrayLike = (1.0, 1.0, 1.0),
    slices: Mapping[int, Slices | None] | None = None,
    axis: int | None = None,
    settings: Settings | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    names: Mapping[int, str] | None = None,
    smooth: bool = True,
) -> SeriesResult:
    """Segment all frames of a time series, or the visits of a follow-up, from slices painted on some of them.

    A frame with enough paint is segmented from it. The others take what is carried from the nearest such frames in time
    on both sides, the nearer one counting for more, and follow their own image. To correct a frame, paint on it and
    call this again: it is then one of the painted ones.

    Args:
        images: (T, K, J, I) real numbers on one grid.
        painted: frame → (K, J, I) labels; at least one frame.
        spacing: mm along K, J, I.
        slices: frame → which of its slices are complete, as for :func:`~MetaSegmentLib.segment`.
        smooth: take out jitter from frame to frame, where nothing is painted.

    Raises:
        MetaSegmentError: as :func:`~MetaSegmentLib.segment`; also when no frame has enough paint to begin from.
    """
    volumes = _checked(images)
    shape = volumes.shape[1:]
    outside = [frame for frame in painted if not 0 <= frame < len(volumes)]
    if outside:
        raise InputError(f"There is no frame {outside[0]}; frames go from 0 to {len(volumes) - 1}.")
    named = slices or {}
    paints = {t: read_paint(painted[t], shape, named.get(t), axis, names) for t in sorted(painted) if _any(painted[t])}
    if not paints:
        raise InputError("Nothing is painted on any frame; paint the structure on a few slices of one frame.")
    axis = next(iter(paints.values())).axis
    values = {value for paint in paints.values() for value in paint.values}
    known = {
        t: adapt(volumes[t], painted[t], spacing, named.get(t), axis, settings, None, cancel, names)
        for t, paint in paints.items()
        if _suffices(paint, values)
    }
    if not known:  # the fullest one has to do
        t = max(paints, key=lambda t: len(paints[t].index))
        known = {t: adapt(volumes[t], painted[t], spacing, named.get(t), axis, settings, None, cancel, names)}
    results: dict[int, Result] = {}
    for t in Progress(progress, cancel).steps("frames", range(len(volumes))):
        if t in known:
            results[t] = known[t].predict()
        else:
            results[t] = _between(t, known, volumes[t], spacing, paints.get(t))
    labels = np.stack([results[t].labels for t in range(len(volumes))])
    if smooth:
        labels = smooth_in_time(labels, {t: (paint.axis, paint.slices) for t, paint in paints.items()}, set(known))
    return SeriesResult(labels, results, tuple(paints))


def _between(
    t: int, known: Mapping[int, Adapted], image: NDArray[Any], spacing: ArrayLike, own: Paint | None
) -> Result:
    """A frame from the nearest known ones before and after it."""
    before = [other for other in known if other < t][-1:]
    after = [other for other in known if other > t][:1]
    near = before + after
    weights = [1 / abs(t - other) for other in near]
    return follow([known[other] for other in near], image, spacing, weights, own)


def _suffices(paint: Paint, values: set[int]) -> bool:
    return all(len(paint.slices.get(value, ())) >= ENOUGH_PAINTED for value in values)


def _any(painted: ArrayLike) -> bool:
    return bool(np.asarray(painted).any())


def _checked(images: ArrayLike) -> NDArray[Any]:
    try:
        volumes = np.asarray(images)
    except ValueError as error:
        raise InputError("The frames are not of one size; resample them to the grid of the first one.") from error
    if volumes.ndim != 4 or len(volumes) < 2:
        raise InputError("A time series has four dimensions: at least two frames of a 3D volume.")
    return volumes
