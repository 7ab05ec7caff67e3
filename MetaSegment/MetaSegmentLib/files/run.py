"""From files to files: read the image and the paint, segment, write everything or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from .kept import Kept
from .library import Chosen
from .named_slices import NamedSlices
from .orientation import COUNTED_OTHERWISE, Turn
from .outputs import Output
from .parts import clash, is_there, same_file, taken_for
from .records import with_records, without_filled
from .reports import Report, write_report
from .segmentations import Painted, read_painted

if TYPE_CHECKING:
    from ..engine import Adapted


@dataclass(frozen=True, eq=False)
class Done:
    """A segmented image whose files are about to appear.

    Attributes:
        staging: takes further files that appear together with the output, after it.
        output: where the output waits.
        image: (K, J, I).
        results: one a layer, in the shape of the image.
        axis: across which the slices lie in the image.
    """

    staging: Staging
    output: Path
    image: NDArray[Any]
    grid: Grid
    results: Sequence[Result]
    report: Report
    axis: int


@dataclass(frozen=True)
class Job:
    """One image to segment.

    Args:
        image: any volume SimpleITK reads, or a DICOM series folder.
        support: label map, ``.seg.nrrd``, DICOM Segmentation or RT Structure Set with the painted slices.
        output: ``.seg.nrrd``, any label-map format, or ``.seg.dcm`` or ``.rtstruct.dcm`` where the image is a DICOM
            series.
        support_image: what ``support`` was painted on, when that is not ``image``.
        others: more (support, its image), of other patients.
        own: slices painted on ``image`` itself, where ``support`` was painted on another one.
        frames: (frame, its support) of a time series.
        chosen: tells that ``support`` and ``others`` were taken from a library, and what to report of it.
        untouched: other files that nothing may be written over, as all those of a library.
        segments: names or label values to segment, one each or several between commas; all by default.
        slices: which slices are complete, for all segments or by label value; by default those with paint of it that
            no earlier run filled.
        axis: slice axis in array order; found from the paint by default.
        channel: which volume to take of images with several of them, counted from 0.
        probabilities: file for (C, K, J, I) probabilities, background first.
        uncertainty: file for (K, J, I) entropy in [0, 1].
        report: JSON file.
    """

    image: Path
    support: Path
    output: Path
    support_image: Path | None = None
    others: tuple[tuple[Path, Path], ...] = ()
    own: Path | None = None
    frames: tuple[tuple[int, Path], ...] = ()
    chosen: Chosen | None = None
    untouched: tuple[Path, ...] = ()
    segments: tuple[str, ...] = ()
    slices: tuple[int, ...] | Mapping[int, tuple[int, ...]] | None = None
    axis: int | None = None
    channel: int | None = None
    settings: Settings = field(default_factory=Settings)
    probabilities: Path | None = None
    uncertainty: Path | None = None
    report: Path | None = None


class Support:
    """Painted slices on the volume they were painted on, and the method adapted to them.

    Attributes:
        notes: what a user should know about the paint.

    Args:
        job: names the paint, its segments and slices, and the settings.
        on: the volume and its grid, where they have been read already.
        kept: whether what was adapted stays in memory, to segment many volumes.

    Raises:
        InputError: it cannot be read, or its slices and segments do not fit together.
    """

    def __init__(self, job: Job, on: tuple[NDArray[Any], Grid] | None = None, kept: bool = False) -> None:
        self._image, self.grid = on or read_image(job.support_image or job.image, "support image", job.channel)
        painted = read_painted(job.support, self.grid, job.support_image or job.image)
        if job.segments:
            painted = painted.only(job.segments)
        if isinstance(job.slices, Mapping):
            check_named(job.slices, [painted])
        self.painted, self._slices, self._axis = without_filled(painted, self.grid, job.slices, job.axis)
        self.notes = self.painted.notes
        self._settings = job.settings
        self._kept: dict[int, Adapted] | None = {} if kept else None

    @property
    def overlap(self) -> bool:
        """Whether its segments lie in several layers. Those of one compete for voxels, those of different layers may
        share them."""
        return len(self.painted.layers) > 1

    def adapted(self, progress: ProgressCallback | None, cancel: CancelCallback | None) -> Iterator[Adapted]:
        """The method, adapted to each layer, all across the axis of the first."""
        from ..engine import adapt

        axis = self._axis
        for number, layer in enumerate(self.painted.layers):
            if self._kept is not None and number in self._kept:
                yield self._kept[number]
                continue
            slices: NamedSlices | None = self._slices
            if isinstance(slices, Mapping):
                here = {one.value for one in self.painted.in_layer(number)}
                slices = {value: some for value, some in slices.items() if value in here} or None
            names = {one.value: one.name for one in self.painted.in_layer(number)}
            spacing, settings = self.grid.array_spacing, self._settings
            one = adapt(self._image, layer, spacing, slices, axis, settings, progress, cancel, names)
            axis = one.axis
            if self._kept is not None:
                self._kept[number] = one
            yield one


def run(
    job: Job,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    kept: Kept | None = None,
    beside: Callable[[Done], None] | None = None,
) -> Report:
    """Do the job and return its report.

    Args:
        kept: takes the supports of other volumes, with what was learned from them.
        beside: writes files that appear together with the outputs, after them.

    Raises:
        MetaSegmentError: it could not be done; no file was written or changed.
    """
    start = time.monotonic()
    seconds: dict[str, float] = {}
    check_outputs(job)
    with timed(seconds, "read"):
        image, grid = read_image(job.image, channel=job.channel)
        output = Output.named(job.output, job.image)
        support = Support(job, (image, grid)) if job.support_image is None else _shared(job, job.support_image, kept)
    if support.overlap and not output.form.segments:
        raise InputError("Painted segments overlap, which a label map cannot hold; name the output something.seg.nrrd.")
    with Staging() as rehearsal:
        rehearse(job, output, grid, rehearsal)

    other = None if job.support_image is None else (image, grid)
    results = [_predict(one, support, other, progress, cancel) for one in support.adapted(progress, cancel)]
    results = [with_voxel_volume(result, grid.voxel_ml) for result in results]
    report = merge_reports([result.report for result in results])
    report["warnings"] = [*support.notes, *report["warnings"]]
    report["seconds"] = seconds | report["seconds"]
    painted_across = int(report["axis"])
    axis = Turn.onto(grid, support.grid).order[painted_across]
    if Turn.onto(support.grid, grid).slices(painted_across, (0,), support.grid.array_shape) != (painted_across, (0,)):
        report["warnings"].append(COUNTED_OTHERWISE)

    with Staging() as staging:
        with timed(report["seconds"], "write"):
            if job.probabilities:
                write_image(staging.path(job.probabilities), merge_probabilities(results), grid)
            if job.uncertainty:
                highest = np.max([result.uncertainty for result in results], axis=0)
                write_image(staging.path(job.uncertainty), highest, grid)
            labels = [result.labels for result in results]
            segments = with_records(support.painted.segments, results, grid, None if other is None else axis)
            place = staging.path(job.output)
            output.write(place, labels, segments, grid)
        report["seconds"]["total"] = round(time.monotonic() - start, 3)
        if job.report:
            write_report(staging.path(job.report), report)
        if beside:
            beside(Done(staging, place, image, grid, results, report, axis))
        staging.commit()
    return report


def _shared(job: Job, on: Path, kept: Kept | None) -> Support:
    """The support painted ``on`` another volume, from an earlier image where it is the same one."""
    if kept is None:
        return Support(job)
    more = (job.segments, repr(job.slices), job.axis, job.channel, job.settings)
    return kept.get((job.support, on), more, lambda: Support(job, kept=True))


def _predict(
    adapted: Adapted,
    support: Support,
    other: tuple[NDArray[Any], Grid] | None,
    progress: ProgressCallback | None,
    cancel: CancelCallback | None,
) -> Result:
    """The result on the volume that was painted on, or on the ``other`` one, in its own array order."""
    if other is None:
        return adapted.predict(progress=progress, cancel=cancel)
    target, grid = other
    turn = Turn.onto(grid, support.grid)
    spacing = tuple(grid.array_spacing[axis] for axis in turn.order)
    return turn.undo_result(adapted.predict(turn.apply(target), spacing, progress, cancel))


def check_named(slices: Mapping[int, tuple[int, ...]], paints: Sequence[Painted]) -> None:
    """Check that slices are named for segments that there are, in any of the paints."""
    segments = [segment for painted in paints for segment in painted.segments]
    for value in slices:
        if all(segment.value != value for segment in segments):
            there = ", ".join(dict.fromkeys(f"{segment.name} ({segment.value})" for segment in segments)) or "none"
            raise InputError(f"Slices are named for segment {value}, which the support does not have; it has: {there}.")


def _outputs(job: Job) -> list[Path]:
    return [path for path in (job.output, job.probabilities, job.uncertainty, job.report) if path is not None]


def check_outputs(job: Job) -> None:
    """Check the names of what is to be written.

    Raises:
        OutputError: one cannot be written, or would overwrite something.
    """
    segmentation_format(job.output)
    for path in (job.probabilities, job.uncertainty):
        if path is not None:
            writable_format(path)
    outputs = _outputs(job)
    inputs = [job.image, job.support, job.support_image, job.own, *(path for pair in job.others for path in pair)]
    inputs += [*(support for _, support in job.frames), *job.untouched]
    if clash(outputs, [path for path in inputs if path is not None]):
        raise OutputError("An output would overwrite an input; give the output another name.")
    for path in outputs:
        if taken_for(path):
            raise OutputError(
                "A .nii file of the same name lies beside an output, and programs would read that one; give the output "
                "another name."
            )
        header, *beside = files_written(path)
        if not is_there(header) and any(map(is_there, beside)):
            raise OutputError("A file beside an output belongs to something else; give the output another name.")
    for number, path in enumerate(outputs):
        written = [file for other in outputs[:number] for file in files_written(other)]
        if any(same_file(file, other) for file in files_written(path) for other in written):
            raise OutputError("Two outputs have the same name; give each its own.")


def rehearse(job: Job, output: Output, grid: Grid, staging: Staging) -> None:
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
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Write down how long a stage takes."""
    start = time.monotonic()
    yield
    seconds[stage] = round(time.monotonic() - start, 3)
