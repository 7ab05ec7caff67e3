"""Painted slices in, segmentation out: adapt → predict → fuse → result, in that order and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import advice, report
from .device import choose_device
from .episode import Episode
from .methods import AdaptedMethod, find_method
from .progress import CancelCallback, Progress, ProgressCallback
from .region import Region, Stack, make_region
from .runtime import Tools
from .settings import Result, Settings
from .support import Support, find_support
from .volume import Volume, check_volume

if TYPE_CHECKING:
    from .methods import MethodInfo

_FAR = -12.0
"""Logit outside every window: certainly background."""


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


@dataclass(frozen=True)
class _Patch:
    """Logits of one structure on the voxels of its window; slices [start, start + len)."""

    region: Region
    logits: dict[int, Stack]


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
        start: float,
    ) -> None:
        self._volume = volume
        self._support = support
        self._settings = settings
        self._method = method
        self._tools = tools
        self._names = names
        self._structures = structures
        self._start = start

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
        earlier = {s.value: s.episode for s in before._structures} if before else {}
        made = method.make()
        structures = []
        for value in tools.progress.steps("reading the painted slices", support.values):
            known = earlier.get(value)
            region = make_region(volume, support, value, known.region if known else None)
            episode = Episode(region, settings.seed, known, tools.progress.check)
            structures.append(_Structure(value, episode, made.adapt(episode, tools)))
        return cls(volume, support, settings, method, tools, names, structures, start)

    def update(
        self,
        painted: ArrayLike,
        slices: Sequence[int] | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelCallback | None = None,
    ) -> Adapted:
        """Learn again after more slices were painted on the same volume; what depends on the image alone is kept."""
        start = time.monotonic()
        support = find_support(painted, self._volume.array.shape, slices, self._support.axis)
        tools = self._tools.again(Progress(progress, cancel))
        return self._learn(self._volume, support, self._settings, self._method, tools, self._names, start, self)

    def predict(self, image: ArrayLike | None = None, spacing: ArrayLike = (1.0, 1.0, 1.0)) -> Result:
        """Segment the volume that was painted on, or, given another ``image`` (K, J, I), that one."""
        if image is not None:
            from .transfer import predict_other

            return predict_other(self, check_volume(image, spacing))
        progress = self._tools.progress
        patches = {}
        for structure in self._structures:
            region = structure.episode.region
            queries = region.queries
            logits: dict[int, Stack] = {}
            if queries:
                on_grid = structure.method.predict(queries)
                logits = dict(zip(queries, on_grid, strict=True))
            patches[structure.value] = _Patch(region, logits)
        result = _assemble(self._volume, self._support, patches, progress)
        estimated = self._estimate(result)
        gap = max(s.episode.region.gap for s in self._structures)
        suggested = advice.suggest(result.doubt, self._support.slices, self._support.axis, gap)
        seconds = {**progress.seconds, "total": time.monotonic() - self._start}
        about = report.make(
            self._method, self._settings, self._tools, self._volume, self._support, result.labels, self._names, estimated, suggested, seconds
        )
        return Result(result.labels, result.probabilities, result.uncertainty, estimated, suggested, about)

    def _estimate(self, result: _Assembled) -> dict[int, float | None]:
        estimated: dict[int, float | None] = {}
        for structure in self._structures:
            promised = result.promised[structure.value]
            estimated[structure.value] = advice.estimate_dice(structure.episode, structure.method, promised)
        return estimated


@dataclass(frozen=True)
class _Assembled:
    labels: NDArray[np.unsignedinteger[Any]]
    probabilities: NDArray[np.float16]
    uncertainty: NDArray[np.float16]
    doubt: NDArray[np.float64]
    promised: dict[int, float]


def _assemble(volume: Volume, support: Support, patches: dict[int, _Patch], progress: Progress) -> _Assembled:
    """Put the structures' logits into the volume: p = softmax over background (logit 0) and structures.

    Only slices that some region covers are computed; everywhere else is background.
    """
    values = list(patches)
    shape = volume.array.shape
    kind = np.uint8 if values[-1] < 256 else np.uint16
    labels = np.zeros(shape, kind)
    probabilities = np.zeros((1 + len(values), *shape), np.float16)
    probabilities[0] = 1
    uncertainty = np.zeros(shape, np.float16)
    axis = support.axis
    labels_front, doubt_front = np.moveaxis(labels, axis, 0), np.moveaxis(uncertainty, axis, 0)
    probabilities_front = np.moveaxis(probabilities, axis + 1, 1)
    doubt = np.zeros(shape[axis])
    halves = {value: np.zeros(2) for value in values}
    lookup = np.array([0, *values], kind)
    plane = labels_front.shape[1:]
    covered = sorted({index for patch in patches.values() for index in patch.logits})
    for index in progress.steps("combining", covered):
        if index in support.slices:
            continue
        logits = np.zeros((1 + len(values), *plane), np.float32)
        logits[1:] = _FAR
        for place, patch in enumerate(patches.values(), start=1):
            if index in patch.logits:
                in_image, in_window = patch.region.window.inside(*plane)
                logits[place][in_image] = patch.region.to_slices(patch.logits[index][None])[0][in_window]
        chances = _softmax(logits)
        chosen = chances.argmax(0)
        labels_front[index] = lookup[chosen]
        probabilities_front[:, index] = chances
        unsure = advice.entropy(chances)
        doubt_front[index] = unsure
        doubt[index] = unsure.sum(dtype=np.float64)
        for place, value in enumerate(values, start=1):
            halves[value] += advice.expected_dice(chances[place], chosen == place)
    for index, painted in zip(support.slices, support.labels, strict=True):
        labels_front[index] = painted
        for place, value in enumerate((0, *values)):
            probabilities_front[place, index] = painted == value
    promised = {value: float(a / b) if b > 0 else 1.0 for value, (a, b) in halves.items()}
    return _Assembled(labels, probabilities, uncertainty, doubt, promised)


def _softmax(logits: Stack) -> Stack:
    raised = np.exp(logits - logits.max(0))
    return np.asarray(raised / raised.sum(0), np.float32)
