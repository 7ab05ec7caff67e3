"""Painted slices in, segmentation out: prepare → fit → predict → assemble → advise, in that order and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .answer.agreement import agreement
from .answer.assemble import Assembler, CarriedPatch, Known
from .answer.calibration import expected_dice
from .answer.joined import Answer, answers_of, tiles_are_better
from .answer.parts import AnyPart, FittedPart, FittedPieces, FittedTiles
from .answer.refine import Refinement, is_worth_it
from .answer.report import filled_elsewhere, make_report
from .answer.sizes import Sizes
from .answer.suggestions import suggest
from .device import Device
from .errors import InputError
from .networks.plan import Calibration, Plan
from .networks.weights import Weights
from .predictors.context import Context, product_context
from .predictors.ensemble import Ensemble, missing_baselines
from .predictors.protocol import ChecksItself, Divisible, Fitted, OneByOne, Predictor, Remembers
from .predictors.registry import MethodInfo, find_method
from .progress import CancelCallback, Progress, ProgressCallback, run_all
from .settings import Result, Settings, checked_settings
from .task.paint import Paint, PaintedSlices, read_paint
from .task.pieces import in_pieces
from .task.task import Task, make_task
from .task.tiles import Tile, in_tiles
from .task.volume import Volume, check_volume

Slices = Sequence[int] | Mapping[int, Sequence[int]]


def segment(
    image: ArrayLike,
    painted: ArrayLike,
    spacing: ArrayLike = (1.0, 1.0, 1.0),
    slices: Slices | None = None,
    axis: int | None = None,
    settings: Settings | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    names: Mapping[int, str] | None = None,
) -> Result:
    """Segment all slices of a volume from a few painted ones.

    Args:
        image: (K, J, I) real numbers.
        painted: (K, J, I) whole-number labels, 0 background. A slice with paint of a structure is complete for that
            structure; of others it says only that their voxels are elsewhere.
        spacing: mm along each array axis.
        slices: which slices are complete: a list for all structures, so that one without paint of a structure says
            that it is absent there; or a mapping from label to list. Default: each structure's slices with paint.
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
    slices: Slices | None = None,
    axis: int | None = None,
    settings: Settings | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    names: Mapping[int, str] | None = None,
) -> Adapted:
    """Learn from painted slices, to predict any number of times; arguments as :func:`segment`."""
    settings = checked_settings(settings)
    device = Device(settings.device, 1) if settings.sparing else Device(settings.device)
    device.check(needed=find_method(settings.method).network)
    weights, listening = Weights.of(settings.weights), Progress(progress, cancel)
    context = product_context(settings.seed, device, listening, weights)
    if settings.sparing:
        context = replace(context, workers=1)
    volume = check_volume(image, spacing)
    paint = read_paint(painted, volume.array.shape, slices, axis, names)
    return Adapted(volume, paint, settings, context, dict(names or {}), axis)


class Adapted:
    """A method adapted to the painted slices of a volume; made by :func:`adapt`.

    The same image, paint, settings and seed give the same labels, bit for bit, however they were reached: what an
    earlier paint left in the memo is used only where it depends on nothing that has changed.

    Args:
        others: other painted volumes of the same structures, for methods that remember.
    """

    def __init__(
        self,
        volume: Volume,
        paint: Paint,
        settings: Settings,
        context: Context,
        names: Mapping[int, str],
        axis: int | None = None,
        others: Sequence[Adapted] = (),
    ) -> None:
        start = time.monotonic()
        self._volume = volume
        self._paint = paint
        self._settings = settings
        self._context = context
        self._names = names
        self._given_axis = axis
        self._others = tuple(others)
        _ = paint.axis  # segments painted across different axes are refused before any work
        self._method: MethodInfo = find_method(settings.method)
        self._plan: Plan = context.weights.load_plan(self._method.weights[0])
        self._parts: list[AnyPart] = (
            [self._fit(paint.values, paint)]
            if self._method.joint
            else [self._fit_structure(value) for value in paint.values]
        )
        self._seconds = time.monotonic() - start

    @property
    def names(self) -> Mapping[int, str]:
        """Label value → name, as given."""
        return self._names

    @property
    def volume(self) -> Volume:
        """What was painted on."""
        return self._volume

    def listen(self, progress: ProgressCallback | None, cancel: CancelCallback | None) -> None:
        """Report to, and be stopped by, these from now on; None leaves what was there."""
        self._context.progress.listen(progress, cancel)

    @cached_property
    def _whole(self) -> NDArray[np.unsignedinteger[Any]]:
        """(K, J, I) labels of the painted volume, to be carried to others."""
        return self._result(time.monotonic(), self._paint).labels

    def update(
        self,
        painted: ArrayLike,
        slices: Slices | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelCallback | None = None,
        method: str | None = None,
        axis: int | None = None,
    ) -> Adapted:
        """Learn again from more or other paint on the same volume, or by another ``method`` from the same paint.

        Slices that were named as empty stay so until they are painted. An ``axis`` takes the place of an earlier one.

        Raises:
            MetaSegmentError: as :func:`adapt`.
        """
        self._volume.require_unchanged()
        settings = self._settings if method is None else replace(self._settings, method=method)
        self._context.device.check(needed=find_method(settings.method).network)
        shape, names = self._volume.array.shape, self._names
        axis = self._given_axis if axis is None else axis
        paint = read_paint(painted, shape, slices, axis, names)
        if slices is None:
            paint = self._as_named(paint, painted, axis)
        context = self._context.listening(self._context.progress.again(progress, cancel))
        return Adapted(self._volume, paint, settings, context, names, axis, self._others)

    def predict(
        self,
        image: ArrayLike | None = None,
        spacing: ArrayLike = (1.0, 1.0, 1.0),
        progress: ProgressCallback | None = None,
        cancel: CancelCallback | None = None,
    ) -> Result:
        """Segment the volume that was painted on, or, given another ``image`` (K, J, I), that one.

        ``progress`` and ``cancel``, where given, replace those given to :func:`adapt`.

        Raises:
            MetaSegmentError: as :func:`segment`; also when the structures cannot be found in the other volume.
        """
        start = time.monotonic()
        self._context.progress.listen(progress, cancel)
        self._volume.require_unchanged()
        if image is None:
            return self._result(start, self._paint)
        return self._predict_other(check_volume(image, spacing), start)

    def _as_named(self, paint: Paint, painted: ArrayLike, axis: int | None) -> Paint:
        """The new paint with the slices that were named as empty before and have not been painted since, and without
        structures that were left out, since they have no paint on named slices, where they are as they were."""
        before, shape, names = self._paint, self._volume.array.shape, self._names
        out = [doubt for doubt in before.warnings if doubt.kind == "elsewhere"]
        out = [doubt for doubt in out if paint.slices.get(doubt.value) == doubt.slices]
        if 0 < len(out) < len(paint.values):
            painted = np.where(np.isin(painted, [doubt.value for doubt in out]), 0, painted)
            paint = read_paint(painted, shape, None, axis, names)
            paint = replace(paint, warnings=(*paint.warnings, *out))
        paint = replace(paint, named=before.named)
        kept = {value: before.still_empty(value, some, paint.axes[value]) for value, some in paint.slices.items()}
        if not any(kept.values()):
            return paint
        own = {value: sorted(kept[value].union(some)) for value, some in paint.slices.items()}
        found = read_paint(painted, shape, own, paint.axis, names)
        return replace(found, warnings=paint.warnings, named=before.named)

    @property
    def axis(self) -> int:
        """The slice axis, in array order."""
        return self._paint.axis

    @property
    def _calibration(self) -> Calibration:
        """What makes the method's answers to be believed."""
        return self._plan.calibration.get(self._method.calibrated_as or self._method.name, Calibration())

    @property
    def _frames(self) -> list[FittedPart]:
        """All that was fitted, each on its frame."""
        return [frame for part in self._parts for frame in part.frames]

    def _fit_structure(self, value: int) -> AnyPart:
        """A structure; or each of its pieces, and all of it, since pieces may join beyond the outermost painted
        slices. What is not in pieces is on tiles, too, where these help."""
        paint, spacing = self._paint, self._volume.spacing_along(self._paint.axes[value])
        whole = self._fit((value,), paint)
        pieces = in_pieces(paint, value, spacing[1:], self._plan.frame)
        if len(pieces) == 1:
            return self._tiled(value, paint, whole)
        painted = [index for index, mask in zip(paint.slices[value], paint.masks(value), strict=True) if mask.any()]
        parts = (self._tiled(value, one, self._fit((value,), one)) for one in pieces)
        return FittedPieces(replace(whole, ensemble=None), tuple(parts), (painted[0], painted[-1]))

    def _tiled(self, value: int, paint: Paint, whole: FittedPart) -> FittedPart | FittedTiles:
        """What was fitted to all of the paint, with tiles where they are wanted and help."""
        if not self._method.network or not whole.task.structure.inner:
            return whole
        tiles = in_tiles(paint, value, whole.task.frame, self._plan.frame)
        parts = tuple(self._fit((value,), one.paint, one) for one in tiles)
        masks = dict(zip(paint.slices[value], paint.masks(value), strict=True))
        return FittedTiles(whole, parts) if parts and tiles_are_better(parts, whole, masks) else whole

    def _fit(self, values: tuple[int, ...], paint: Paint, tile: Tile | None = None) -> FittedPart:
        context = self._context
        context.progress.check()
        task = make_task(self._volume, paint, values, self._plan.frame, tile)
        predictor = self._predictor(values)
        if isinstance(predictor, Divisible):
            pieces = predictor.pieces(task, task.near, context)
            waiting = [piece for key, piece in pieces.items() if key not in context.memo]
            run_all("reading the slices", waiting, context.progress, context.workers)
        fitted = (predictor if self._method.joint else OneByOne(predictor)).fit(task, context)
        sizes = tuple(None if tile else Sizes.of(paint, value) for value in values)
        ensemble = Ensemble(task, context) if self._calibration.dice_agreement and tile is None else None
        return FittedPart(task, fitted, self._refinements(task, paint, fitted), sizes, ensemble)

    def _predictor(self, values: tuple[int, ...]) -> Predictor:
        """The method, with a memory of the same structures in other volumes where it can have one."""
        predictor = self._method.make()
        if not isinstance(predictor, Remembers):
            return predictor
        known = (part for one in self._others if one._method is self._method for part in one._frames)
        return predictor.remembering([part.fitted for part in known if part.task.values == values])

    def _refinements(self, task: Task, paint: Paint, fitted: Fitted) -> tuple[Refinement | None, ...]:
        """What to add on the voxels; None where the frame loses nothing, or painted slices cannot be left out."""
        nothing = (None,) * len(task.structures)
        if not (self._method.refine and is_worth_it(task) and task.left_out and isinstance(fitted, ChecksItself)):
            return nothing
        if (left_out := fitted.left_out()) is None:
            return nothing
        seed, progress = self._context.seed, self._context.progress
        found = []
        for place, value in enumerate(task.values):
            one = task.only(place)
            chosen = [n for n, index in enumerate(task.left_out) if index in one.structure.distances]
            slices = [task.left_out[n] for n in chosen]
            places = [paint.slices[value].index(index) for index in slices]
            masks = paint.masks(value)[places]
            found.append(Refinement(one, self._volume, slices, left_out[chosen, place], masks, seed, progress))
        return tuple(found)

    def _result(
        self,
        start: float,
        painted: Paint | None,
        values: tuple[int, ...] | None = None,
        trusted: bool = True,
        carried: Mapping[int, NDArray[np.float32]] | None = None,
    ) -> Result:
        """Everything about this volume.

        Args:
            painted: paint that is taken over as it is; None where it only arrived by registration.
            values: all labels.
            trusted: all that was learned from is painted; nothing arrived by registration.
            carried: label → (K, J, I) how likely it is by registration alone, which counts for a half.
        """
        context, method, axis = self._context, self._method, self.axis
        values = values or self._paint.values
        calibration = self._calibration
        rows, columns = (n for other, n in enumerate(self._volume.array.shape) if other != axis)
        answers: dict[int, Answer] = {}
        for part in self._parts:
            answers |= answers_of(part, (rows, columns), trusted, calibration.temperature)
        chances = {value: np.moveaxis(chance, axis, 0) for value, chance in (carried or {}).items()}
        patches = {
            value: CarriedPatch(chances[value], answer) if value in chances else answer
            for value, answer in answers.items()
        }
        known = Known() if painted is None else Known.of(painted)
        assembler = Assembler(self._volume.array.shape, axis, values, patches, known)
        whole = assembler.run(context.progress)
        expected: dict[int, float | None] = dict.fromkeys(values)
        if painted is not None and trusted:
            for value in values:
                present = int(painted.masks(value).any((1, 2)).sum())
                expected[value] = expected_dice(
                    whole.implied[value], present, calibration, agreement(answers[value].shared)
                )
        gap = max(structure.gap for frame in self._frames for structure in frame.task.structures)
        suggested = suggest(whole.gain, known.settled(values), axis, gap)
        seconds = {**context.progress.seconds, "total": self._seconds + time.monotonic() - start}
        report = make_report(
            method,
            str(context.device),
            painted or self._paint,
            self._volume,
            self._names,
            whole.labels,
            expected,
            suggested,
            self._warnings(),
            seconds,
            self._settings.seed,
            context.weights,
        )
        return Result(whole.labels, whole.uncertainty, expected, suggested, report, assembler.probabilities)

    def _warnings(self) -> list[str]:
        warnings = [one.sentence for one in self._paint.warnings]
        if missing_baselines() and self._method.uses_baselines:
            warnings.append(
                "Grow from seeds is left out, since Slicer's own code is not installed; for better results run: "
                'pip install "slicer-core".'
            )
        return warnings

    def _predict_other(self, target: Volume, start: float) -> Result:
        result = predict_from([self], target, start)
        if not any(segment["voxels"] for segment in result.report["segments"].values()):
            raise InputError("The structure could not be found in the other volume; paint a slice of it there.")
        return result

    def _nothing(
        self, target: Volume, axis: int, values: tuple[int, ...], names: Mapping[int, str], start: float
    ) -> Result:
        """A volume in which nothing was found."""
        shape = [n for other, n in enumerate(target.array.shape) if other != axis]
        labels = np.zeros(target.array.shape, np.uint8 if max(values) < 256 else np.uint16)
        paint = Paint({}, {}, stacks={axis: PaintedSlices((), np.zeros((0, *shape), labels.dtype))})
        seconds = {**self._context.progress.seconds, "total": self._seconds + time.monotonic() - start}
        expected: dict[int, float | None] = dict.fromkeys(values)
        device, seed = str(self._context.device), self._settings.seed
        about = (self._method, device, paint, target, names, labels)
        report = make_report(*about, expected, [], self._warnings(), seconds, seed, self._context.weights)

        def probabilities() -> NDArray[np.float16]:
            some = np.zeros((len(values) + 1, *labels.shape), np.float16)
            some[0] = 1
            return some

        return Result(labels, np.zeros(labels.shape, np.float16), expected, [], report, probabilities)


def predict_from(
    supports: Sequence[Adapted],
    target: Volume,
    start: float,
    own: Paint | None = None,
    weights: Sequence[float] | None = None,
    sure: bool = False,
    more_names: Mapping[int, str] | None = None,
) -> Result:
    """Segment a volume from others whose structures are known, and from what is painted on it.

    Args:
        supports: at least one; the first one's method is used.
        own: slices of the target that are painted, which stay as they are.
        weights: how much each support counts.
        sure: the structures are there: the supports are of the same person at other times.
        more_names: of structures that no support has.
    """
    from .registration.carry import ENOUGH_PAINTED, Source, as_painted, carry
    from .registration.found import THRESHOLD, confidence

    first = supports[0]
    progress = first._context.progress
    axis = first.axis if own is None else own.axis
    given: Mapping[int, tuple[int, ...]] = {} if own is None else own.slices
    values = tuple(sorted({value for one in supports for value in one._paint.values} | {*given}))
    names = dict(more_names or {})
    names |= {value: name for one in reversed(supports) for value, name in one._names.items()}
    found = {value: 1.0 for value in values if given.get(value)}
    alone = all(len(given.get(value, ())) >= ENOUGH_PAINTED for value in values)
    paint, chances = own, None
    if not alone:
        shares = [1.0] * len(supports) if weights is None else weights
        known = [Source(one._volume, one._whole, share) for one, share in zip(supports, shares, strict=True)]
        carried = carry(known, target, progress, sure)
        for value in values:
            if value not in found:
                evidence = carried.evidence.get(value)
                found[value] = 0.0 if evidence is None else 1.0 if sure else confidence(evidence)
        chances = carried.chances if own is None else None
        paint = as_painted(carried, [v for v in carried.evidence if found[v] >= THRESHOLD], axis, own)
    if paint is None:
        result = first._nothing(target, axis, values, names, start)
    else:
        adapted = Adapted(target, paint, first._settings, first._context, names, others=supports)
        adapted._seconds = first._seconds
        result = adapted._result(start, own, values, alone, chances)
    missing = [names.get(value, f"Segment {value}") for value in values if found[value] < THRESHOLD]
    more = [f"{name} was not found in this volume; paint a slice of it there if it is." for name in missing]
    report = {**result.report, "found": {value: round(found[value], 3) for value in values}}
    paints = [one._paint for one in supports] + ([] if own is None else [own])
    doubts = [doubt.sentence for paint in paints for doubt in paint.warnings]
    report["warnings"] = [*dict.fromkeys([*doubts, *report["warnings"], *more])]
    if own is None:
        report = filled_elsewhere(report, paints)
    return replace(result, report=report)
