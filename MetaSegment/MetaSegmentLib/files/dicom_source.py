"""The DICOM series that a volume was read from, as far as results that refer to it need it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .access import require_readable
from .dicom import Header, read_headers
from .grids import Grid
from .parts import innermost
from .quiet import quiet_parsers

PATIENT_AND_STUDY = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "OtherPatientIDsSequence"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    *("PatientSpeciesDescription", "PatientBreedDescription", "ResponsiblePerson", "ResponsibleOrganization"),
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber"),
    *("ReferringPhysicianName", "PatientAge", "PatientSize", "PatientWeight"),
    *("LongitudinalTemporalInformationModified", "ClinicalTrialTimePointDescription"),
    *("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID"),
    *("ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID", "ClinicalTrialTimePointID"),
)
"""Attributes of a result that are those of the series, in the modules of DICOM PS3.3, C.7.1 and C.7.2."""
MUST_BE_THERE = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
"""Of these, empty where the series lacks them."""
UTF8 = "ISO_IR 192"


@dataclass(frozen=True)
class Source:
    """A series, or a file of many frames.

    Attributes:
        headers: one a slice of the grid, in its order.
        grid: the image's.
    """

    headers: tuple[Header, ...]
    grid: Grid

    @property
    def first(self) -> Any:
        """A data set with the attributes that all instances share."""
        return self.headers[0].data

    @property
    def frame_of_reference(self) -> str:
        return str(self.first.get("FrameOfReferenceUID") or "")

    @property
    def series(self) -> str:
        return str(self.first.get("SeriesInstanceUID") or "")

    @property
    def instances(self) -> list[Any]:
        """The data sets, each once, in the order of the slices."""
        return list({str(one.data.SOPInstanceUID): one.data for one in self.headers}.values())

    def to_patient(self, k: int, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 3) LPS mm of (N, 2) columns and rows of a slice."""
        place = self.headers[k].slice
        return np.array(place.position) + (points * place.spacing) @ np.reshape(place.orientation, (2, 3))

    def describe(self, data: Any) -> None:
        """Copy patient and study into a result, whose texts are UTF-8."""
        data.SpecificCharacterSet = UTF8
        for name in PATIENT_AND_STUDY:
            if name in self.first:
                data[name] = deepcopy(self.first[name])
            elif name in MUST_BE_THERE:
                setattr(data, name, "")


def read_source(path: Path, role: str = "image") -> Source | None:
    """The series of an image; None for an image in another format.

    Raises:
        InputError: see :func:`~MetaSegmentLib.files.dicom.read_headers`.
    """
    require_readable(path, role)
    found = read_headers(innermost(path) if path.is_dir() else path, role)
    return None if found is None else Source(tuple(found[0]), found[1])


def require_source(path: Path) -> Source:
    """The series that a DICOM result is about to refer to.

    Raises:
        InputError: the image is no DICOM series, or one without the identifiers that are needed.
    """
    source = read_source(path)
    if source is None:
        raise InputError(
            "DICOM results need a DICOM series; give its folder as image, or let the output's name end in .seg.nrrd."
        )
    names = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPClassUID", "SOPInstanceUID")
    with quiet_parsers():
        found = [[str(one.data.get(name) or "") for name in names] for one in source.headers]
    if not all(map(all, found)):
        raise InputError(
            "The DICOM series lacks a frame of reference or other identifiers that DICOM results refer to; let the "
            "output's name end in .seg.nrrd."
        )
    if len({frame_of_reference for _, _, frame_of_reference, *_ in found}) > 1:
        raise InputError(
            "The slices of the DICOM series have several frames of reference, and DICOM results only one; let the "
            "output's name end in .seg.nrrd."
        )
    return source


@contextmanager
def as_it_stands() -> Iterator[None]:
    """What stands in a series is copied however odd it is, and without a word about it."""
    from pydicom.config import disable_value_validation

    with quiet_parsers(), disable_value_validation():
        yield
