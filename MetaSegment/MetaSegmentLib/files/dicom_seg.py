"""Results as DICOM Segmentation objects, which refer to the series that they were made on (DICOM PS3.3, A.51)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imports import explained_imports
from ..version import __version__
from .dicom_segments import (
    MANUAL,
    algorithm_item,
    algorithm_name,
    generation,
    long_name,
    short_name,
    term_of,
)
from .dicom_source import MUST_BE_THERE, UTF8, Source
from .segments import Labels, Segment

MANUFACTURER, TITLE = "MetaSegment contributors", "MetaSegment segmentation"


def write_dicom_seg(path: Path, layers: Sequence[Labels], segments: Sequence[Segment], source: Source) -> None:
    """Write (K, J, I) labels, one array a layer, on the grid of a series: BINARY, uncompressed, no empty frames.

    A segment without voxels is described and has no frame; where none has any, one empty frame a segment is written,
    as a file without frames is none.

    Raises:
        OSError: there is no room, or no permission.
        OutputError: what there is to tell of a segment is too long for DICOM.
    """
    with explained_imports():
        import highdicom
    painted = [k for k in range(source.grid.size[2]) if any(layer[k].any() for layer in layers)]
    planes = painted or [0]
    data = highdicom.seg.Segmentation(
        source_images=_without_person(source),
        pixel_array=_numbered(layers, segments, planes),
        plane_positions=[_position(highdicom, source, k) for k in planes],
        omit_empty_frames=bool(painted),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(highdicom, n, one) for n, one in enumerate(segments, start=1)],
        series_instance_uid=highdicom.UID(),
        series_number=series_number(source),
        series_description=TITLE,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name="MetaSegment",
        software_versions=__version__,
        device_serial_number=__version__,
        content_label="SEGMENTATION",
        content_description=content_description(segments),
        specific_character_set=UTF8,
    )
    source.describe(data)
    data.save_as(path, enforce_file_format=True)


def series_number(source: Source) -> int:
    """Of the result's own series: the source's is easily found from it."""
    try:
        return 1000 + abs(int(source.first.get("SeriesNumber") or 0)) % 1_000_000
    except (TypeError, ValueError):
        return 1000


def content_description(segments: Sequence[Segment]) -> str:
    """What the whole is, in the 64 characters that there are."""
    return ", ".join(sorted({algorithm_name(one) for one in segments if generation(one) != MANUAL}))[:64] or TITLE


def _numbered(layers: Sequence[Labels], segments: Sequence[Segment], planes: Sequence[int]) -> NDArray[Any]:
    """(P, J, I) numbers of segments, counted from 1; (P, J, I, S) where segments may overlap."""
    kind = np.uint8 if len(segments) < 256 else np.uint16
    if len(layers) == 1:
        numbers = np.zeros(max([int(layers[0].max()), *(one.value for one in segments)]) + 1, kind)
        for number, one in enumerate(segments, start=1):
            numbers[one.value] = number
        return np.stack([numbers[layers[0][k]] for k in planes])
    whole = np.empty((len(planes), *layers[0].shape[1:], len(segments)), np.uint8)
    for number, one in enumerate(segments):
        for place, k in enumerate(planes):
            whole[place, ..., number] = layers[one.layer][k] == one.value
    return whole


def _description(highdicom: Any, number: int, segment: Segment) -> Any:
    term = term_of(segment)
    how = generation(segment)
    concept = highdicom.sr.CodedConcept
    item = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=short_name(segment),
        segmented_property_category=concept.from_dataset(term.category.to_item()),
        segmented_property_type=concept.from_dataset(term.type_item()),
        algorithm_type=how,
        algorithm_identification=None if how == MANUAL else _algorithm(highdicom, segment),
        display_color=highdicom.color.CIELabColor.from_rgb(*rgb_of(segment)) if "color" in segment.fields else None,
    )
    if (long := long_name(segment)) is not None:
        item.SegmentDescription = long
    if regions := term.region_items():
        item.AnatomicRegionSequence = regions
    return item


def rgb_of(segment: Segment) -> list[int]:
    """Red, green and blue, 0 to 255."""
    return [round(255 * min(max(float(part), 0.0), 1.0)) for part in segment.fields["color"]]


def _algorithm(highdicom: Any, segment: Segment) -> Any:
    item = algorithm_item(segment)
    (family,) = item.AlgorithmFamilyCodeSequence
    made = highdicom.AlgorithmIdentificationSequence(
        name=item.AlgorithmName,
        family=highdicom.sr.CodedConcept.from_dataset(family),
        version=item.AlgorithmVersion,
    )
    made[0].update(item)
    return made


def _position(highdicom: Any, source: Source, k: int) -> Any:
    coordinates = highdicom.CoordinateSystemNames.PATIENT
    return highdicom.PlanePositionSequence(coordinates, source.headers[k].slice.position)


def _without_person(source: Source) -> list[Any]:
    """Instances with what highdicom refers to and where they lie: it logs what it takes for odd in a patient's name,
    and takes no orientation that differs from slice to slice in its last digit."""
    from pydicom.dataset import Dataset

    place = source.headers[0].slice
    instances: dict[str, Any] = {}
    frames: dict[str, list[tuple[int, Any]]] = {}
    for header in source.headers:
        uid = str(header.data.SOPInstanceUID)
        one = instances.setdefault(uid, Dataset())
        for name in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            setattr(one, name, header.data[name].value)
        for name in MUST_BE_THERE:
            setattr(one, name, "")
        one.Modality = header.data.get("Modality") or "OT"
        for name in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if header.data.get(name):
                one[name] = deepcopy(header.data[name])
        one.Columns, one.Rows = place.size
        position, orientation, measures = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = _decimals(header.slice.position)
        orientation.ImageOrientationPatient = _decimals(place.orientation)
        measures.PixelSpacing = _decimals(place.spacing[::-1])
        measures.SliceThickness = measures.SpacingBetweenSlices = _decimals([_across(source)])[0]
        if header.frame is None:
            for part in (position, orientation, measures):
                one.update(part)
            continue
        shared, own = Dataset(), Dataset()
        shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
        own.PlanePositionSequence = [position]
        one.SharedFunctionalGroupsSequence = [shared]
        frames.setdefault(uid, []).append((header.frame, own))
    for uid, groups in frames.items():
        instances[uid].NumberOfFrames = len(groups)
        instances[uid].PerFrameFunctionalGroupsSequence = [own for _, own in sorted(groups, key=lambda one: one[0])]
    return list(instances.values())


def _across(source: Source) -> float:
    """Mm from slice to slice, perpendicular to them: what each of them stands for."""
    across = source.headers[0].slice.across
    return float(abs(across @ source.grid.matrix[:3, 2]))


def _decimals(numbers: Any) -> list[Any]:
    from pydicom.valuerep import DSfloat

    return [DSfloat(round(float(number), 9), auto_format=True) for number in numbers]
