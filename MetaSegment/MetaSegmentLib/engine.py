"""Painted slices in, segmentation out: adapt → predict → result, in that order and nowhere else."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from . import advice, report
from .assembly import Patch, assemble
from .device import choose_device
from .episode import Episode
from .errors import InputError
from .methods import AdaptedMethod, find_method
from .progress import CancelCallback, Progress, ProgressCallback
from .region import Stack, make_region
from .runtime import Tools
from .settings import Result, Settings
from .support import Support, find_support
from .volume import Volume, check_volume

if TYPE_CHECKING:
    from .methods import MethodInfo


# Experts work side by side; more threads than this gain nothing, since parts of their work take turns.
_WORKERS = min(4, os.cpu_count() or 1)


def segment(
    image: ArrayLike,
    painted: ArrayLike,
    spacing: ArrayLike = (1.0, 1.0, 1.0),
    slices: Sequence[int] | None = None,
    axis: int | None = None,
    settings: Settings | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    names: Mapping[int, str] | None = None,
) -> Result:
    """Segment all slices of a volume from a few painted ones.

    Args:
        image: (K, J, I) real numbers.
        painted: (K, J, I) whole-number labels, 0 background; a slice with paint is taken to be complete.
        spacing: mm along each array axis.
        slices: which slices are support, also ones where the structures are absent; default every slice with paint.
        axis: the slice axis, 0, 1 or 2; found from the paint by default.
        progress: called as ``progress(stage, done, total, eta_s)``.
        cancel: returning True stops within one batch.
        names: label value → name, for the report.

    Raises:
        MetaSegmentError: anything the caller can mend; the message says how. ``Cancelled`` when cancelled.
    """
    return adapt(image, painted, spacing, slices, axis, settings, progress, cancel, names).predict()


def adapt(
    image: ArrayLike,
    painted: ArrayLike,
    spacing: ArrayLike = (1.0, 1.0, 1.0),
    slices: Sequence[int] | None = None,
    axis: int | None = None,
    settings: Settings | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    names: Mapping[int, str] | None = None,
) -> Adapted:
    """Learn from painted slices, to predict any number of times; arguments as :func:`segment`."""
    start = time.monotonic()
    settings = settings or Settings()
    method = find_method(settings.method)
    tools = Tools(choose_device(settings.device), settings.seed, Progress(progress, cancel))
    volume = check_volume(image, spacing)
    support = find_support(painted, volume.array.shape, slices, axis)
    return Adapted._learn(volume, support, settings, method, tools, dict(names or {}), start, None)


@dataclass(frozen=True)
class _Structure:
    """One label of the support and the method adapted to it."""

    value: int
    episode: Episode
    method: AdaptedMethod


class Adapted:
    """Methods adapted to the painted slices of a volume; made by :func:`adapt`."""

    def __init__(
        self,
        volume: Volume,
        support: Support,
        settings: Settings,
        method: MethodInfo,
        tools: Tools,
        names: dict[int, str],
        structures: list[_Structure],
        seconds: float,
    ) -> None:
        self._volume = volume
        self._support = support
        self._settings = settings
        self._method = method
        self._tools = tools
        self._names = names
        self._structures = structures
        self._seconds = seconds

    @classmethod
    def _learn(
        cls,
        volume: Volume,
        support: Support,
        settings: Settings,
        method: MethodInfo,
        tools: Tools,
        names: dict[int, str],
        start: float,
        before: Adapted | None,
    ) -> Adapted:
        earlier = {s.value: s for s in before._structures} if before else {}
        made = method.make()
        structures = []
        for value in support.values:
            tools.progress.check()
            known = earlier.get(value)
            region = make_region(volume, support, value, known.episode.region if known else None)
            episode = Episode(region, settings.seed, known.episode if known else None, tools.progress, _WORKERS)
            goes_on = known is not None and before is not None and before._method is method and episode.continues
            adapted = made.adapt(episode, tools, known.method if known and goes_on else None)
            structures.append(_Structure(value, episode, adapted))
        return cls(volume, support, settings, method, tools, names, structures, time.monotonic() - start)

    def update(
        self,
        painted: ArrayLike,
        slices: Sequence[int] | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelCallback | None = None,
        method: str | None = None,
    ) -> Adapted:
        """Learn again from more or other paint on the same volume, or by another ``method`` from the same paint.

        Slices that were named as empty stay so until they are painted. What depends on the image alone is kept. Where
        painted slices were only added, so is everything that was said of slices whose painted neighbours are the same.

        Raises:
            MetaSegmentError: as :func:`adapt`.
        """
        start = time.monotonic()
        settings = self._settings if method is None else replace(self._settings, method=method)
        info = find_method(settings.method)
        support = find_support(painted, self._volume.array.shape, slices, self._support.axis)
        if slices is None and (empty := self._support.empty):
            named = sorted({*support.slices, *empty})
            support = find_support(painted, self._volume.array.shape, named, self._support.axis)
        tools = self._tools.again(self._tools.progress.again(progress, cancel))
        return self._learn(self._volume, support, settings, info, tools, self._names, start, self)

    def predict(
        self,
        image: ArrayLike | None = None,
        spacing: ArrayLike = (1.0, 1.0, 1.0),
        progress: ProgressCallback | None = None,
        cancel: CancelCallback | None = None,
    ) -> Result:
        """Segment the volume that was painted on, or, given another ``image`` (K, J, I), that one.

        ``progress`` and ``cancel`` replace those given to :func:`adapt`.

        Raises:
            MetaSegmentError: as :func:`segment`; also when the structures cannot be found in the other volume.
        """
        start = time.monotonic()
        self._tools.progress.listen(progress, cancel)
        if image is None:
            return self._result(self._support.slices, start)
        return self._predict_other(check_volume(image, spacing), start)

    def _result(self, painted: tuple[int, ...], start: float, values: tuple[int, ...] | None = None) -> Result:
        """Everything about this volume; ``painted`` slices are taken as they are, ``values`` are all labels."""
        progress = self._tools.progress
        values = values or self._support.values
        patches = {s.value: Patch(s.episode.region, _logits(s, painted)) for s in self._structures}
        whole = assemble(self._volume, self._support, values, patches, painted, progress)
        estimated: dict[int, float | None] = dict.fromkeys(values)
        if painted:
            for structure in self._structures:
                promised = whole.promised[structure.value]
                estimated[structure.value] = advice.estimate_dice(structure.episode, promised)
        gap = max(s.episode.region.gap for s in self._structures)
        suggested = advice.suggest(whole.doubt, painted, self._support.axis, gap)
        about = report.make(
            self._method,
            self._settings,
            self._tools,
            self._volume,
            self._support,
            whole.labels,
            self._names,
            estimated,
            suggested,
            {**progress.seconds, "total": self._seconds + time.monotonic() - start},
        )
        return Result(whole.labels, whole.probabilities, whole.uncertainty, estimated, suggested, about)

    def _predict_other(self, target: Volume, start: float) -> Result:
        from .transfer import carry_support

        own = self._result(self._support.slices, start)
        tools = self._tools
        support = carry_support(self._volume, own.labels, target, self._support.axis, tools.progress.check)
        if support is None:
            raise InputError("The structure could not be found in the other volume; paint a slice of it there.")
        other = self._learn(target, support, self._settings, self._method, tools, self._names, time.monotonic(), None)
        result = other._result((), start, self._support.values)
        about = {**result.report, "support_slices": list(self._support.slices)}
        return replace(result, report=about)


def _logits(structure: _Structure, painted: tuple[int, ...]) -> dict[int, Stack]:
    """Slice index → (GRID, GRID) logits of all slices of the region but the ``painted`` ones."""
    region = structure.episode.region
    wanted = tuple(region.queries if painted else range(region.start, region.stop))
    found: dict[int, Stack] = {}
    if not painted and (again := structure.method.left_out()) is not None:
        found = dict(zip(structure.episode.left_out().slices, again, strict=True))
    rest = tuple(index for index in wanted if index not in found)
    if rest:
        found |= dict(zip(rest, structure.method.predict(rest), strict=True))
    return found
