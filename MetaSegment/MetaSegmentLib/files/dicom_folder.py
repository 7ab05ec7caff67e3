"""What lies in a folder of DICOM files, by the headers alone: series of slices, and paint that refers to series."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from .dicom import (
    STORAGE,
    bare_header,
    blaming_the_file,
    frame_count,
    frames_of,
    header,
    is_dicom,
    is_image,
    no_scalars,
    slice_of,
    sop_class_of,
    stack,
    without_copies,
)

SEGMENTATIONS = (f"{STORAGE}66.4", f"{STORAGE}66.7")
RTSTRUCT = f"{STORAGE}481.3"
ROLE = "image"


@dataclass(frozen=True)
class Series:
    """The files of one series in one folder.

    Attributes:
        uid: SeriesInstanceUID.
        problem: why they are not one volume; empty where they are.
    """

    uid: str
    problem: str


@dataclass(frozen=True)
class Paint:
    """A DICOM SEG or RTSTRUCT.

    Attributes:
        series: SeriesInstanceUIDs of what it was painted on.
    """

    file: Path
    series: frozenset[str]


@dataclass(frozen=True)
class Contents:
    """What lies directly in a folder.

    Attributes:
        damage: what is wrong with a file that cannot be read; empty where all can.
    """

    series: tuple[Series, ...] = ()
    paint: tuple[Paint, ...] = ()
    damage: str = ""


def contents_of(files: Sequence[Path]) -> Contents:
    """What the files of one folder are; those of other kinds are passed over."""
    images: dict[Path, Any] = {}
    paint: list[Paint] = []
    damage = ""
    for file in files:
        try:
            with blaming_the_file(ROLE):
                data = header(file, ROLE) if is_dicom(file) else bare_header(file)
                if data is None:
                    continue
                if is_image(data):
                    images[file] = data
                elif (series := frozenset(_painted_on(data))) or _is_paint(data):
                    paint.append(Paint(file, series))
        except InputError as error:
            damage = damage or str(error)
    by_series: dict[str, list[Any]] = defaultdict(list)
    with blaming_the_file(ROLE):
        for data in without_copies(images).values():
            by_series[str(data.get("SeriesInstanceUID", ""))].append(data)
    return Contents(tuple(Series(uid, _problem(some)) for uid, some in sorted(by_series.items())), tuple(paint), damage)


def _problem(images: Sequence[Any]) -> str:
    """Why the images of a series are not one volume; empty where they are."""
    try:
        with blaming_the_file(ROLE):
            if any("LOCALIZER" in map(str, data.get("ImageType") or ()) for data in images):
                return "The series is a localiser, which shows where others lie; it is no volume to segment."
            if any(int(data.get("SamplesPerPixel") or 1) > 1 for data in images):
                raise no_scalars(ROLE)
            many = [data for data in images if frame_count(data) > 1]
            if many and len(images) > 1:
                return "The series has several files of many frames; put one of them alone into a folder."
            slices = list(frames_of(images[0], ROLE)) if many else [slice_of(data, ROLE) for data in images]
            _, grid = stack(slices, ROLE)
    except InputError as error:
        return str(error)
    if grid.sheared:
        return (
            "The gantry was tilted, so that the slices are shifted against each other; load the series in Slicer with "
            "acquisition geometry regularization and save it as .nrrd."
        )
    return ""


def _is_paint(data: Any) -> bool:
    return sop_class_of(data) in (*SEGMENTATIONS, RTSTRUCT)


def _painted_on(data: Any) -> Iterator[str]:
    """SeriesInstanceUIDs that a DICOM SEG or RTSTRUCT refers to; none for another object."""
    if sop_class_of(data) in SEGMENTATIONS:
        yield from (str(one.SeriesInstanceUID) for one in data.get("ReferencedSeriesSequence") or ())
    elif sop_class_of(data) == RTSTRUCT:
        for frame in data.get("ReferencedFrameOfReferenceSequence") or ():
            for study in frame.get("RTReferencedStudySequence") or ():
                yield from (str(one.SeriesInstanceUID) for one in study.get("RTReferencedSeriesSequence") or ())
