"""DICOM images made with pydicom, placed by plain matrices: series of slices, and multi-frame files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
Change = Callable[[int, Dataset], None]


def a_matrix(
    directions: Any = None,
    spacing: Sequence[float] = (0.8, 0.7, 2.5),
    origin: Sequence[float] = (-30.0, 12.0, 55.0),
    shear: float = 0.0,
) -> np.ndarray:
    """4×4 from (i, j, k) to LPS mm; ``shear`` is how many mm each slice lies further along the columns."""
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if directions is None else directions) * spacing
    matrix[:3, 2] += matrix[:3, 1] / spacing[1] * shear
    matrix[:3, 3] = origin
    return matrix


def write_slices(
    folder: Path,
    array: np.ndarray,
    matrix: np.ndarray,
    names: Sequence[str] | None = None,
    series: str = "1.2.3.6",
    change: Change = lambda k, data: None,
) -> list[Path]:
    """One file a slice of (K, J, I); their numbers run against their order; ``change(k, data)`` alters one."""
    folder.mkdir(exist_ok=True)
    paths = []
    for k, plane in enumerate(array):
        data = _image(plane, CT, series)
        data.InstanceNumber = len(array) - k
        data.ImagePositionPatient = _texts((matrix @ [0, 0, k, 1])[:3])
        data.ImageOrientationPatient = _orientation(matrix)
        data.PixelSpacing = _pixel_spacing(matrix)
        change(k, data)
        paths.append(folder / (names[k] if names else f"{series}-{k:03d}.dcm"))
        data.save_as(paths[-1], enforce_file_format=True)
    return paths


def write_frames(
    path: Path,
    array: np.ndarray,
    matrix: np.ndarray,
    order: Sequence[int] | None = None,
    change: Callable[[Dataset, Dataset, list[Dataset]], None] = lambda data, shared, frames: None,
) -> Path:
    """One file of (K, J, I) whose frames are stored in ``order``; ``change`` alters its functional groups."""
    stored = list(range(len(array))) if order is None else list(order)
    data = _image(array[stored], ENHANCED_CT, "1.2.3.6")
    data.NumberOfFrames = len(stored)
    shared = Dataset()
    shared.PixelMeasuresSequence = _item(PixelSpacing=_pixel_spacing(matrix), SliceThickness=1.0)
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=_orientation(matrix))
    frames = []
    for k in stored:
        frame = Dataset()
        frame.PlanePositionSequence = _item(ImagePositionPatient=_texts((matrix @ [0, 0, k, 1])[:3]))
        frames.append(frame)
    change(data, shared, frames)
    data.SharedFunctionalGroupsSequence = Items([shared])
    data.PerFrameFunctionalGroupsSequence = Items(frames)
    data.save_as(path, enforce_file_format=True)
    return path


def _image(pixels: np.ndarray, sop_class: str, series: str) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID, data.Modality = (
        "1.2.3",
        series,
        "1.2.4",
        "CT",
    )
    data.Rows, data.Columns = pixels.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 1
    data.PixelData = pixels.astype("<i2").tobytes()
    return data


def _item(**fields: Any) -> Items:
    item = Dataset()
    for name, value in fields.items():
        setattr(item, name, value)
    return Items([item])


def _orientation(matrix: np.ndarray) -> list[str]:
    axes = matrix[:3, :2] / np.linalg.norm(matrix[:3, :2], axis=0)
    return _texts(axes.T.ravel())


def _pixel_spacing(matrix: np.ndarray) -> list[str]:
    return _texts(np.linalg.norm(matrix[:3, 1::-1], axis=0))


def _texts(numbers: Any) -> list[str]:
    """Decimal strings have at most 16 characters."""
    return [f"{float(number):.9f}"[:16] for number in numbers]


def saved(path: Path, change: Callable[[Dataset], None]) -> None:
    """Alter a file."""
    data = pydicom.dcmread(path)
    change(data)
    data.save_as(path)
