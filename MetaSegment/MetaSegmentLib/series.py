"""A volume at several times: painted on one frame or a few, segmented on all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from .settings import Result, Settings, checked_settings
from .task.paint import Paint, read_paint
from .task.volume import check_volume


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
    def warnings(self) -> list[str]:
        """Of all painted frames, each sentence once."""
        return [*dict.fromkeys(sentence for t in self.painted for sentence in self.frames[t].report["warnings"])]

    @property
    def report(self) -> dict[str, Any]:
        """Of the first painted frame, with the warnings of all painted ones, and under ``series`` the voxels of each
        segment by frame, which are counted when this is asked for."""
        first = self.frames[self.painted[0]].report
        values = [int(value) for value in first["segments"]]
        counts = {str(v): [int((frame == v).sum()) for frame in self.labels] for v in values}
        return {
            **first,
            "warnings": self.warnings,
            "series": {"frames": len(self.labels), "painted": list(self.painted), "voxels": counts},
        }


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

    A structure is segmented from its paint on each frame that has enough of it. The other frames take what is carried
    from the nearest such ones in time on both sides, the nearer one counting for more, and follow their own image; so
    structures may be painted on different frames. To correct a frame, paint on it and call this again: it is then one
    of the painted ones.

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
    settings, named = checked_settings(settings), slices or {}
    for by_frame in (painted, named):
        if not isinstance(by_frame, Mapping) or any(isinstance(t, str | float | bool) for t in by_frame):
            raise InputError("Paint, and slices, of a series are given by frame: {0: labels}.")
    outside = [frame for frame in (*painted, *named) if not 0 <= frame < len(volumes)]
    if outside:
        raise InputError(f"There is no frame {outside[0]}; frames go from 0 to {len(volumes) - 1}.")
    unpainted = [t for t, some in named.items() if _names(some) and not (t in painted and _any(painted[t]))]
    if unpainted:
        raise InputError(
            f"Slices are named for frame {unpainted[0]}, on which nothing is painted; paint there, or leave them out."
        )
    paints = {t: read_paint(painted[t], shape, named.get(t), axis, names) for t in sorted(painted) if _any(painted[t])}
    if not paints:
        raise InputError("Nothing is painted on any frame; paint the structure on a few slices of one frame.")
    if len(axes := {paint.axis for paint in paints.values()}) > 1:
        raise InputError("The frames were painted across different axes; paint all of them across one.")
    (axis,) = axes
    for t, volume in enumerate(volumes):  # before any work: the last frame may be the one that cannot be used
        try:
            check_volume(volume, spacing)
        except InputError as error:
            raise InputError(f"Frame {t}: {error}") from error
    holders = _holders(paints)
    known = {}
    for t in sorted({t for frames in holders.values() for t in frames}):
        own = [value for value, frames in holders.items() if t in frames]
        given, chosen = _only(own, paints[t], painted[t], named.get(t))
        known[t] = adapt(volumes[t], given, spacing, chosen, axis, settings, None, cancel, names)
    results: dict[int, Result] = {}
    for t in Progress(progress, cancel).steps("frames", range(len(volumes))):
        near = {other for frames in holders.values() if t not in frames for other in _nearest(t, frames)}
        if near:
            results[t] = _between(
                t, {other: known[other] for other in sorted(near)}, volumes[t], spacing, paints.get(t)
            )
        else:
            results[t] = known[t].predict()
    labels = np.stack([results[t].labels for t in range(len(volumes))])
    if smooth:
        labels = smooth_in_time(labels, {t: (paint.axis, paint.slices) for t, paint in paints.items()}, set(known))
    return SeriesResult(labels, results, tuple(paints))


def _holders(paints: Mapping[int, Paint]) -> dict[int, list[int]]:
    """Label value → the frames with enough paint of it, ascending; where none has, the one with most."""
    counts: dict[int, dict[int, int]] = {}
    for t, paint in paints.items():
        for value, slices in paint.slices.items():
            counts.setdefault(value, {})[t] = len(slices)
    found = {}
    for value, count in sorted(counts.items()):
        enough = [t for t, n in count.items() if n >= ENOUGH_PAINTED]
        found[value] = enough or [max(count, key=count.__getitem__)]
    return found


def _only(
    own: Sequence[int], paint: Paint, painted: ArrayLike, slices: Slices | None
) -> tuple[ArrayLike, Slices | None]:
    """The labels of a frame without what has too little paint there, and the slices named for the rest."""
    scarce = [value for value in paint.values if value not in own]
    labels = np.where(np.isin(painted, scarce), 0, painted) if scarce else painted
    if isinstance(slices, Mapping):
        slices = {value: some for value, some in slices.items() if value in own}
    return labels, slices


def _nearest(t: int, frames: Sequence[int]) -> list[int]:
    """The nearest of ``frames``, ascending, before and after ``t``."""
    return [other for other in frames if other < t][-1:] + [other for other in frames if other > t][:1]


def _between(t: int, near: Mapping[int, Adapted], image: NDArray[Any], spacing: ArrayLike, own: Paint | None) -> Result:
    """A frame from others, of which the nearer ones count for more."""
    weights = [1 / abs(t - other) for other in near]
    return follow([*near.values()], image, spacing, weights, own)


def _names(slices: Slices | None) -> bool:
    return bool(slices.size if isinstance(slices, np.ndarray) else slices)  # an array is not true or false as a whole


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
