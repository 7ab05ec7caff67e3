"""Results as RT Structure Sets: closed planar contours in the slices of the series (DICOM PS3.3, A.19)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ..imports import explained_imports
from ..version import __version__
from .contours import outlines
from .dicom import Header
from .dicom_seg import MANUFACTURER, TITLE, content_description, rgb_of, series_number
from .dicom_segments import MANUAL, algorithm_item, generation, long_name, short_name, term_of
from .dicom_source import Source
from .dicom_support import STRUCTURE_SET
from .segments import Labels, Segment

STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"
"""What the standard has a study referred to as, though nothing is stored as such."""
DECIMALS = 5
"""Of mm; with their signs they stay within the 16 characters of a decimal string."""


def write_rtstruct(path: Path, layers: Sequence[Labels], segments: Sequence[Segment], source: Source) -> None:
    """Write (K, J, I) labels, one array a layer, on the grid of a series.

    A segment without voxels is a region without contours.

    Raises:
        OSError: there is no room, or no permission.
        OutputError: what there is to tell of a segment is too long for DICOM.
    """
    with explained_imports():
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import ExplicitVRLittleEndian, generate_uid
    now = datetime.now()
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = STRUCTURE_SET, generate_uid()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.Modality, data.Manufacturer, data.ManufacturerModelName = "RTSTRUCT", MANUFACTURER, "MetaSegment"
    data.SoftwareVersions, data.OperatorsName = __version__, ""
    data.SeriesInstanceUID, data.SeriesNumber, data.InstanceNumber = generate_uid(), series_number(source), 1
    data.SeriesDescription, data.StructureSetLabel = TITLE, "MetaSegment"
    data.StructureSetDescription = content_description(segments)
    data.InstanceCreationDate = data.StructureSetDate = now.strftime("%Y%m%d")
    data.InstanceCreationTime = data.StructureSetTime = now.strftime("%H%M%S")
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = source.frame_of_reference, ""
    data.ReferencedFrameOfReferenceSequence = [_reference(source)]
    data.StructureSetROISequence = [_region(one, source) for one in segments]
    data.ROIContourSequence = [_contours(one, layers[one.layer], source) for one in segments]
    data.RTROIObservationsSequence = [_observation(n, one) for n, one in enumerate(segments, start=1)]
    data.ApprovalStatus = "UNAPPROVED"
    source.describe(data)
    data.save_as(path, enforce_file_format=True)


def _reference(source: Source) -> Any:
    from pydicom.dataset import Dataset

    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = source.series
    series.ContourImageSequence = [_image(Header(one, None, source.headers[0].slice)) for one in source.instances]
    study.ReferencedSOPClassUID = STUDY_MANAGEMENT
    study.ReferencedSOPInstanceUID = source.first.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = source.frame_of_reference
    frame.RTReferencedStudySequence = [study]
    return frame


def _image(header: Header) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.data.SOPClassUID, header.data.SOPInstanceUID
    if header.frame is not None:
        item.ReferencedFrameNumber = header.frame
    return item


def _region(segment: Segment, source: Source) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ROINumber, item.ReferencedFrameOfReferenceUID = segment.value, source.frame_of_reference
    item.ROIName, item.ROIGenerationAlgorithm = short_name(segment), generation(segment)
    if (long := long_name(segment)) is not None:
        item.ROIDescription = long
    if generation(segment) != MANUAL:
        item.ROIDerivationAlgorithmIdentificationSequence = [algorithm_item(segment)]
    return item


def _contours(segment: Segment, layer: Labels, source: Source) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedROINumber = segment.value
    if "color" in segment.fields:
        item.ROIDisplayColor = rgb_of(segment)
    if contours := list(_contour_items(segment, layer, source)):
        item.ContourSequence = contours
    return item


def _contour_items(segment: Segment, layer: Labels, source: Source) -> Iterator[Any]:
    from pydicom.dataset import Dataset

    for k, header in enumerate(source.headers):
        mask = layer[k] == segment.value
        for polygon in outlines(mask) if mask.any() else ():
            points = source.to_patient(k, polygon)
            item = Dataset()
            item.ContourImageSequence = [_image(header)]
            item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            item.ContourData = [f"{number:.{DECIMALS}f}" for number in points.ravel()]
            yield item


def _observation(number: int, segment: Segment) -> Any:
    from pydicom.dataset import Dataset

    term = term_of(segment)
    item = Dataset()
    item.ObservationNumber, item.ReferencedROINumber = number, segment.value
    item.SegmentedPropertyCategoryCodeSequence = [term.category.to_item()]
    item.RTROIIdentificationCodeSequence = [term.type_item()]
    if regions := term.region_items():
        item.AnatomicRegionSequence = regions
    item.RTROIInterpretedType, item.ROIInterpreter = "", ""
    return item
