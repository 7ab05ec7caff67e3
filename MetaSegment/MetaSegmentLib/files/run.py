"""From files to files: read the image and the paint, segment, write everything or nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..answer.layers import merge_probabilities, merge_reports
from ..answer.report import with_voxel_volume
from ..errors import InputError, OutputError
from ..progress import CancelCallback, ProgressCallback
from ..settings import Result, Settings
from .atomic import Staging
from .formats import files_written, segmentation_format, writable_format
from .grids import Grid
from .images import read_image, write_image
from .orientation import Turn
from .outputs import Output
from .parts import clash, is_there, same_file
from .records import with_records, without_filled
from .reports import Report, write_report
from .segmentations import Painted, read_painted


@dataclass(frozen=True)
class Job:
    """One image to segment.

    Args:
        image: any volume SimpleITK reads, or a DICOM series folder.
        support: label map, ``.seg.nrrd``, DICOM Segmentation or RT Structure Set with the painted slices.
        output: ``.seg.nrrd``, any label-map format, or ``.seg.dcm`` or ``.rtstruct.dcm`` where the image is a DICOM
            series.
        support_image: what ``support`` was painted on, when that is not ``image``.
        segments: names or label values to segment, one each or several between commas; all by default.
        slices: which slices are complete, for all segments or by label value; by default those with paint of it that
            no earlier run filled.
        axis: slice axis in array order; found from the paint by default.
        probabilities: file for (C, K, J, I) probabilities, background first.
        uncertainty: file for (K, J, I) entropy in [0, 1].
        report: JSON file.
    """

    image: Path
    support: Path
    output: Path
    support_image: Path | None = None
    segments: tuple[str, ...] = ()
    slices: tuple[int, ...] | Mapping[int, tuple[int, ...]] | None = None
    axis: int | None = None
    settings: Settings = field(default_factory=Settings)
    probabilities: Path | None = None
    uncertainty: Path | None = None
    report: Path | None = None


def run(job: Job, progress: ProgressCallback | None = None, cancel: CancelCallback | None = None) -> Report:
    """Do the job and return its report.

    Raises:
        MetaSegmentError: it could not be done; no file was written or changed.
    """
    start = time.monotonic()
    seconds: dict[str, float] = {}
    _check_outputs(job)
    with _timed(seconds, "read"):
        image, grid = read_image(job.image)
        on, on_grid = (image, grid) if job.support_image is None else read_image(job.support_image, "support image")
        output = Output.named(job.output, job.image)
        painted = read_painted(job.support, on_grid, job.support_image or job.image)
        notes = painted.notes
        if job.segments:
            painted = painted.only(job.segments)
    if isinstance(job.slices, Mapping):
        _check_named(job.slices, painted)
    painted, slices, axis = without_filled(painted, on_grid, job.slices, job.axis)
    job = replace(job, slices=slices, axis=axis)
    if len(painted.layers) > 1 and not output.form.segments:
        raise InputError("Painted segments overlap, which a label map cannot hold; name the output something.seg.nrrd.")
    with Staging() as rehearsal:
        _rehearse(job, output, grid, rehearsal)

    other = None if job.support_image is None else (image, grid)
    results = _segment_layers(on, on_grid, painted, other, job, progress, cancel)
    results = [with_voxel_volume(result, grid.voxel_ml) for result in results]
    report = merge_reports([result.report for result in results])
    report["warnings"] = [*notes, *report["warnings"]]
    report["seconds"] = seconds | report["seconds"]

    with Staging() as staging:
        with _timed(report["seconds"], "write"):
            if job.probabilities:
                write_image(staging.path(job.probabilities), merge_probabilities(results), grid)
            if job.uncertainty:
                highest = np.max([result.uncertainty for result in results], axis=0)
                write_image(staging.path(job.uncertainty), highest, grid)
            labels = [result.labels for result in results]
            elsewhere = None if other is None else Turn.onto(grid, on_grid).order[report["axis"]]
            segments = with_records(painted.segments, results, grid, elsewhere)
            output.write(staging.path(job.output), labels, segments, grid)
        report["seconds"]["total"] = round(time.monotonic() - start, 3)
        if job.report:
            write_report(staging.path(job.report), report)
        staging.commit()
    return report


def _segment_layers(
    image: NDArray[Any],
    grid: Grid,
    painted: Painted,
    other: tuple[NDArray[Any], Grid] | None,
    job: Job,
    progress: ProgressCallback | None,
    cancel: CancelCallback | None,
) -> list[Result]:
    """One result a layer. Segments of one layer compete for voxels, those of different layers may share them."""
    from ..engine import adapt, segment

    results = []
    for number, layer in enumerate(painted.layers):
        slices = job.slices
        if isinstance(slices, Mapping):
            here = {one.value for one in painted.in_layer(number)}
            slices = {value: some for value, some in slices.items() if value in here} or None
        names = {one.value: one.name for one in painted.in_layer(number)}
        given: dict[str, Any] = {"spacing": grid.array_spacing, "slices": slices, "axis": job.axis, "names": names}
        given |= {"settings": job.settings, "progress": progress, "cancel": cancel}
        if other is None:
            results.append(segment(image, layer, **given))
        else:
            target, target_grid = other
            turn = Turn.onto(target_grid, grid)
            spacing = tuple(target_grid.array_spacing[axis] for axis in turn.order)
            result = adapt(image, layer, **given).predict(turn.apply(target), spacing=spacing)
            results.append(turn.undo_result(result))
    return results


def _check_named(slices: Mapping[int, tuple[int, ...]], painted: Painted) -> None:
    values = [segment.value for segment in painted.segments]
    for value in slices:
        if value not in values:
            there = ", ".join(f"{segment.name} ({segment.value})" for segment in painted.segments) or "none"
            raise InputError(f"Slices are named for segment {value}, which the support does not have; it has: {there}.")


def _outputs(job: Job) -> list[Path]:
    return [path for path in (job.output, job.probabilities, job.uncertainty, job.report) if path is not None]


def _check_outputs(job: Job) -> None:
    segmentation_format(job.output)
    for path in (job.probabilities, job.uncertainty):
        if path is not None:
            writable_format(path)
    outputs = _outputs(job)
    if clash(outputs, [path for path in (job.image, job.support, job.support_image) if path is not None]):
        raise OutputError("An output would overwrite an input; give the output another name.")
    for path in outputs:
        header, *beside = files_written(path)
        if not is_there(header) and any(map(is_there, beside)):
            raise OutputError("A file beside an output belongs to something else; give the output another name.")
    for number, path in enumerate(outputs):
        written = [file for other in outputs[:number] for file in files_written(other)]
        if any(same_file(file, other) for file in files_written(path) for other in written):
            raise OutputError("Two outputs have the same name; give each its own.")


def _rehearse(job: Job, output: Output, grid: Grid, staging: Staging) -> None:
    """Write a tiny volume under each name first: better to hear of a bad folder or format before the long work."""
    tiny = Grid((2, 2, 2), grid.origin, grid.spacing, grid.direction)
    labels = np.zeros((2, 2, 2), np.uint8)
    for path in _outputs(job):
        place = staging.path(path)
        if path == job.output:
            output.rehearse(place, grid)
        elif path == job.probabilities:
            write_image(place, np.zeros((2, 2, 2, 2), np.float32), tiny)
        elif path == job.uncertainty:
            write_image(place, labels.astype(np.float32), tiny)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    seconds[stage] = round(time.monotonic() - start, 3)
