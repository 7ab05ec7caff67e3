"""Painted slices in, segmentation out: adapt → predict → result, in that order and nowhere else."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from numpy.typing import ArrayLike

from . import advice, report
from .assembly import Patch, assemble
from .assignment import Assignment
from .detail import Detail, is_lost
from .device import choose_device
from .episode import Episode
from .errors import InputError
from .methods import AdaptedMethod, find_method
from .progress import CancelCallback, Progress, ProgressCallback
from .region import Stack, make_region
from .runtime import Tools
from .settings import Result, Settings
from .support import find_support
from .volume import Volume, check_volume

_ENDED = -1.0
"""A structure has ended where all logits of a slice are below this."""
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
    find_method(settings.method)  # before any work
    tools = Tools(choose_device(settings.device), settings.seed, Progress(progress, cancel))
    volume = check_volume(image, spacing)
    support = find_support(painted, volume.array.shape, slices, axis)
    return Adapted._learn(Assignment(volume, support, settings, tools, dict(names or {})), start)


@dataclass(frozen=True)
class _Structure:
    """One label of the support, the method adapted to it, and what the method's grid is too coarse for."""

    value: int
    episode: Episode
    method: AdaptedMethod
    detail: Detail | None


class Adapted:
    """Methods adapted to the painted slices of a volume; made by :func:`adapt`."""

    def __init__(self, assignment: Assignment, structures: list[_Structure], seconds: float) -> None:
        self._assignment = assignment
        self._structures = structures
        self._seconds = seconds

    @classmethod
    def _learn(cls, assignment: Assignment, start: float, before: Adapted | None = None) -> Adapted:
        support, tools, method = assignment.support, assignment.tools, assignment.method
        earlier = {s.value: s for s in before._structures} if before else {}
        same_method = before is not None and before._assignment.method is method
        made = method.make()
        structures = []
        for value in support.values:
            tools.progress.check()
            known = earlier.get(value)
            region = make_region(assignment.volume, support, value, known.episode.region if known else None)
            seed = assignment.settings.seed
            episode = Episode(region, seed, known.episode if known else None, tools.progress, _WORKERS)
            goes_on = known is not None and same_method and episode.continues
            adapted = made.adapt(episode, tools, known.method if known and goes_on else None)
            structures.append(_Structure(value, episode, adapted, _detail(assignment, value, episode, adapted)))
        return cls(assignment, structures, time.monotonic() - start)

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
        now = self._assignment
        settings = now.settings if method is None else replace(now.settings, method=method)
        find_method(settings.method)
        shape, axis = now.volume.array.shape, now.support.axis
        support = find_support(painted, shape, slices, axis)
        if slices is None and (empty := now.support.empty):
            support = find_support(painted, shape, sorted({*support.slices, *empty}), axis)
        tools = now.tools.again(now.tools.progress.again(progress, cancel))
        return self._learn(replace(now, support=support, settings=settings, tools=tools), start, self)

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
        self._assignment.tools.progress.listen(progress, cancel)
        if image is None:
            return self._result(self._assignment.support.slices, start)
        return self._predict_other(check_volume(image, spacing), start)

    def _result(self, painted: tuple[int, ...], start: float, values: tuple[int, ...] | None = None) -> Result:
        """Everything about this volume; ``painted`` slices are taken as they are, ``values`` are all labels."""
        volume, support = self._assignment.volume, self._assignment.support
        progress = self._assignment.tools.progress
        values = values or support.values
        trust = self._assignment.method.trust
        patches = {
            s.value: Patch(s.episode.region, _logits(s, painted), s.detail, trust.temperature) for s in self._structures
        }
        whole = assemble(volume, support, values, patches, painted, progress)
        estimated: dict[int, float | None] = dict.fromkeys(values)
        if painted:
            for structure in self._structures:
                promised = whole.promised[structure.value]
                filled = len(structure.episode.region.filled)
                estimated[structure.value] = advice.estimate_dice(promised, filled, trust.optimism)
        gap = max(s.episode.region.gap for s in self._structures)
        suggested = advice.suggest(whole.doubt, painted, support.axis, gap)
        seconds = {**progress.seconds, "total": self._seconds + time.monotonic() - start}
        about = report.make(self._assignment, whole.labels, painted, estimated, suggested, seconds)
        return Result(whole.labels, whole.probabilities, whole.uncertainty, estimated, suggested, about)

    def _predict_other(self, target: Volume, start: float) -> Result:
        from .transfer import carry_support

        own = self._assignment
        labels = self._result(own.support.slices, start).labels
        support = carry_support(own.volume, labels, target, own.support.axis, own.tools.progress.check)
        if support is None:
            raise InputError("The structure could not be found in the other volume; paint a slice of it there.")
        other = self._learn(replace(own, volume=target, support=support), time.monotonic())
        result = other._result((), start, own.support.values)
        return replace(result, report={**result.report, "support_slices": list(own.support.slices)})


def _detail(assignment: Assignment, value: int, episode: Episode, method: AdaptedMethod) -> Detail | None:
    """What to add on the voxels; None where the grid loses nothing, or painted slices cannot be left out."""
    if not is_lost(episode.region) or (left_out := method.left_out()) is None:
        return None
    support, slices = assignment.support, episode.left_out().slices
    masks = support.masks(value)[[support.slices.index(index) for index in slices]]
    seed, progress = assignment.settings.seed, assignment.tools.progress
    return Detail(episode.region, assignment.volume, support.axis, slices, left_out, masks, seed, progress)


def _logits(structure: _Structure, painted: tuple[int, ...]) -> dict[int, Stack]:
    """Slice index → (GRID, GRID) logits of the slices of the region but the ``painted`` ones.

    Slices beyond the end of the structure are not computed, and so are missing.
    """
    region = structure.episode.region
    if not painted:
        return _logits_everywhere(structure)
    found = _ask(structure, region.near)
    for rest, inwards in zip(region.far, (1, -1), strict=True):
        if rest and found[rest[0] + inwards].max() > _ENDED:
            found |= _ask(structure, rest)
    return found


def _logits_everywhere(structure: _Structure) -> dict[int, Stack]:
    """The same where paint came by registration and is not to be trusted: every slice, each without its own paint."""
    region = structure.episode.region
    found: dict[int, Stack] = {}
    if (again := structure.method.left_out()) is not None:
        found = dict(zip(structure.episode.left_out().slices, again, strict=True))
    return found | _ask(structure, tuple(i for i in range(region.start, region.stop) if i not in found))


def _ask(structure: _Structure, slices: tuple[int, ...]) -> dict[int, Stack]:
    return dict(zip(slices, structure.method.predict(slices), strict=True)) if slices else {}
