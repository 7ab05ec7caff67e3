"""From files to files where there is more than one volume: supports of several patients, or a time series."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..answer.report import filled_elsewhere, with_voxel_volume
from ..errors import InputError, OutputError
from ..progress import CancelCallback, ProgressCallback
from ..task.paint import Paint, read_paint
from .atomic import Staging
from .formats import segmentation_format
from .grids import Grid
from .images import read_frames, read_image, write_image
from .kept import Kept
from .named_slices import NamedSlices
from .orientation import COUNTED_OTHERWISE, Turn
from .outputs import Output
from .parts import same_file
from .records import with_records, without_filled
from .reports import Report, write_report
from .run import Done, Job, check_named, check_outputs, rehearse, run
from .segmentations import Painted, Segment, read_painted
from .segments import chosen, keep


def run_job(
    job: Job,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    kept: Kept | None = None,
    beside: Callable[[Done], None] | None = None,
) -> Report:
    """Do the job, whichever it is, and return its report; arguments as :func:`~MetaSegmentLib.files.run.run`.

    Raises:
        MetaSegmentError: it could not be done; no file was written or changed.
    """
    if job.frames:
        return run_series(job, progress, cancel)
    job = _with_own(job)
    if job.others or job.own is not None or job.chosen is not None:
        return run_across(job, progress, cancel, kept, beside)
    return run(job, progress, cancel, kept, beside)


def run_series(job: Job, progress: ProgressCallback | None = None, cancel: CancelCallback | None = None) -> Report:
    """All frames of a time series, from those that are painted.

    Raises:
        MetaSegmentError: as :func:`run_job`.
    """
    from ..series import segment_series

    start = time.monotonic()
    check_outputs(job)
    if segmentation_format(job.output).segments or job.probabilities or job.uncertainty:
        raise OutputError("Of a time series only labels are written, as a 4D file; name the output something.nrrd.")
    images, grid = read_frames(job.image)
    numbers = [frame for frame, _ in job.frames]
    if len(set(numbers)) < len(numbers):
        raise InputError("A frame is named twice; give one support for each.")
    paints = _counting(job, [(read_painted(path, grid, job.image), grid) for _, path in job.frames])
    given = dict(zip(numbers, paints, strict=True))
    for frame, (own, _, _) in given.items():
        if not any(layer.any() for layer in own.layers):
            raise InputError(f"Nothing is painted in the support of frame {frame}; paint there, or leave it out.")
    with Staging() as rehearsal:
        rehearse(job, Output.named(job.output, job.image), grid, rehearsal)
    axis = next(iter(given.values()))[2]
    painted = {frame: _one_layer(own) for frame, (own, _, _) in given.items()}
    named = {frame: some for frame, (_, some, _) in given.items()}
    names = {segment.value: segment.name for own, _, _ in reversed(given.values()) for segment in own.segments}
    more: dict[str, Any] = {"settings": job.settings, "progress": progress, "cancel": cancel, "names": names}
    result = segment_series(images, painted, grid.array_spacing, named, axis, **more)
    frames = {t: with_voxel_volume(one, grid.voxel_ml) for t, one in result.frames.items()}
    report = replace(result, frames=frames).report
    with Staging() as staging:
        write_image(staging.path(job.output), result.labels, grid)
        report["seconds"]["total"] = round(time.monotonic() - start, 3)
        if job.report:
            write_report(staging.path(job.report), report)
        staging.commit()
    return report


def run_across(
    job: Job,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    kept: Kept | None = None,
    beside: Callable[[Done], None] | None = None,
) -> Report:
    """An image from the paint on several other patients', and perhaps from slices painted on it.

    Segments are the same where their names are, or in label maps their values.

    Raises:
        MetaSegmentError: as :func:`run_job`.
    """
    from ..across import AdaptedMany
    from ..engine import adapt

    start = time.monotonic()
    check_outputs(job)
    if job.support_image is None:
        raise InputError("Name what the support was painted on (--support-image), or leave --own out.")
    image, grid = read_image(job.image, channel=job.channel)
    output = Output.named(job.output, job.image)
    with Staging() as rehearsal:
        rehearse(job, output, grid, rehearsal)
    kept = kept or Kept()
    notes: list[str] = list(job.chosen.notes) if job.chosen is not None else []
    pairs = [(job.support, job.support_image), *job.others]
    known = [read_image(on, "support image", job.channel) for _, on in pairs]
    read = [(read_painted(path, own, on), own) for (path, on), (_, own) in zip(pairs, known, strict=True)]
    if job.own is not None:
        read.append((read_painted(job.own, grid, job.image), grid))
    paints = _counting(job, read)
    notes += [note for painted, _, _ in paints for note in painted.notes]
    segments: list[Segment] = []
    adapted, otherwise = [], False
    counted: list[Paint] = []
    for pair, (there, own_grid), (painted, slices, own_axis) in zip(pairs, known, paints, strict=False):
        labels, slices = _same_values(painted, slices, segments)
        names = {segment.value: segment.name for segment in segments}
        paint = read_paint(labels, labels.shape, slices, own_axis, names)  # what it says of slices counts as its file
        which = f"Support {len(counted) + 1}: " if len(paints) > 1 else ""
        notes += [which + doubt.sentence for doubt in paint.warnings]
        counted.append(paint)
        upright = Turn.onto(own_grid, grid)  # all lie as the target does
        spacing = tuple(own_grid.array_spacing[a] for a in upright.order)
        turned, axis = _turned(paint, upright, labels.shape)
        otherwise |= upright.slices(paint.axis, (0,), labels.shape) != (paint.axis, (0,))
        given = (upright.apply(there), upright.apply(keep(labels, {*turned})), spacing, turned, axis)
        depends = (upright, repr(turned), axis, job.segments, job.channel, job.settings, tuple(names.items()))
        learn = partial(adapt, *given, job.settings, progress, cancel, names)
        adapted.append(kept.get(pair, depends, learn))
    own, own_slices, own_axis = None, None, job.axis
    if job.own is not None:
        painted, own_slices, own_axis = paints[-1]
        own, own_slices = _same_values(painted, own_slices, segments)
    names = {segment.value: segment.name for segment in segments}
    result = AdaptedMany(adapted).predict(image, grid.array_spacing, own, own_slices, own_axis, progress, cancel, names)
    result = with_voxel_volume(result, grid.voxel_ml)
    report = result.report
    axis = int(report["axis"])
    report["warnings"] = [*notes, *report["warnings"], *([COUNTED_OTHERWISE] if otherwise else [])]
    if job.own is None:
        report |= filled_elsewhere(report, counted)  # as they are counted in their files
    if job.chosen is not None:
        report["library"] = job.chosen.about
    with Staging() as staging:
        if job.probabilities:
            write_image(staging.path(job.probabilities), result.probabilities, grid)
        if job.uncertainty:
            write_image(staging.path(job.uncertainty), result.uncertainty, grid)
        there_is = [segment for segment in segments if str(segment.value) in report["segments"]]
        recorded = with_records(there_is, [result], grid, None if job.own is not None else axis)
        place = staging.path(job.output)
        output.write(place, [result.labels], recorded, grid)
        report["seconds"]["total"] = round(time.monotonic() - start, 3)
        if job.report:
            write_report(staging.path(job.report), report)
        if beside:
            beside(Done(staging, place, image, grid, [result], report, axis))
        staging.commit()
    return report


def _with_own(job: Job) -> Job:
    """The job with a support that was painted on the image itself for what it is, whatever it was given as.

    Raises:
        InputError: there are several, of which the paint would not stay as it is.
    """
    if job.support_image is None or job.own is not None or job.chosen is not None:
        return job
    pairs = [(job.support, job.support_image), *job.others]
    own = [paint for paint, on in pairs if same_file(on, job.image)]
    rest = [(paint, on) for paint, on in pairs if not same_file(on, job.image)]
    if not own:
        return job
    if len(own) > 1:
        raise InputError(
            "Several supports were painted on the image itself; put their segments into one, and give that."
        )
    if not rest:
        return replace(job, support=own[0], support_image=None)
    (support, on), *others = rest
    return replace(job, support=support, support_image=on, others=tuple(others), own=own[0])


def _counting(job: Job, read: Sequence[tuple[Painted, Grid]]) -> list[tuple[Painted, NamedSlices | None, int | None]]:
    """Of each paint what counts: the segments that are asked for, without what an earlier run filled; see
    :func:`~MetaSegmentLib.files.records.without_filled`."""
    grids = [grid for _, grid in read]
    paints = [painted for painted, _ in read]
    if job.segments:
        paints = chosen(paints, job.segments)
    if isinstance(job.slices, Mapping):
        check_named(job.slices, paints)
    found = []
    for painted, grid in zip(paints, grids, strict=True):
        slices = job.slices
        if isinstance(slices, Mapping):
            here = {segment.value for segment in painted.segments}
            slices = {value: some for value, some in slices.items() if value in here} or None
        found.append(without_filled(painted, grid, slices, job.axis))
    return found


def _one_layer(painted: Painted) -> NDArray[Any]:
    if len(painted.layers) > 1:
        raise InputError("Painted segments overlap; of several volumes name one at a time with --segments.")
    return painted.layers[0]


def _same_values(
    painted: Painted, slices: NamedSlices | None, known: list[Segment]
) -> tuple[NDArray[Any], NamedSlices | None]:
    """The paint with the label values of the segments ``known`` by the same names; new ones are entered there."""
    layer = _one_layer(painted)
    values: dict[int, int] = {}
    for segment in painted.segments:
        same = next((one for one in known if one.name == segment.name and one.value not in values.values()), None)
        if same is None:
            taken = {one.value for one in known}
            free = segment.value if segment.value not in taken else max(taken) + 1
            same = replace(segment, value=free, layer=0)
            known.append(same)
        values[segment.value] = same.value
    if all(old == new for old, new in values.items()):
        return layer, slices
    labels = np.zeros(layer.shape, np.uint16 if max(values.values()) > 255 else np.uint8)
    for old, new in values.items():
        labels[layer == old] = new
    if isinstance(slices, Mapping):
        slices = {values[old]: some for old, some in slices.items()}
    return labels, slices


def _turned(paint: Paint, turn: Turn, shape: Sequence[int]) -> tuple[dict[int, tuple[int, ...]], int]:
    """The complete slices of each segment of a volume of this shape, and their axis, after it is turned."""
    found = {value: turn.slices(paint.axis, some, shape) for value, some in paint.slices.items()}
    return {value: some for value, (_, some) in found.items()}, turn.order.index(paint.axis)
