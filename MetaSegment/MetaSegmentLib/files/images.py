"""Volumes and label maps as files, in every format SimpleITK knows, and DICOM series folders."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# ITK's own pool of threads may crash the interpreter at exit.
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import InputError, OutputError
from .atomic import output_error
from .grids import Grid
from .quiet import quiet_stderr

# Formats whose readers and writers in ITK pass over missing data in silence.
SILENT_FORMATS = (".nii", ".nii.gz", ".gipl", ".gipl.gz", ".hdr", ".img", ".img.gz", ".vtk")
GIPL_HEADER_BYTES = 256
# Slices may lie this much closer or farther apart than the middle one of all gaps.
UNEVEN_GAPS = 0.1
DICOM_POSITION, DICOM_ORIENTATION = "0020|0032", "0020|0037"


def read_image(path: Path, role: str = "image") -> tuple[NDArray[Any], Grid]:
    """Read a scalar 3D volume, or the only series in a DICOM folder.

    Args:
        path: file or folder.
        role: what the messages call it.

    Returns:
        (K, J, I) in the file's own type of numbers, and its grid.

    Raises:
        InputError: missing, damaged, of an unknown format, not 3D, or not one number a voxel.
    """
    if not path.exists():
        raise InputError(f"The {role} does not exist; check its name.")
    image = _read_series(path, role) if path.is_dir() else _read_file(path, role)
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[..., 0]
    if image.GetDimension() != 3:
        raise InputError(f"The {role} has {image.GetDimension()} dimensions; choose a single 3D volume.")
    if image.GetNumberOfComponentsPerPixel() != 1 or "complex" in image.GetPixelIDTypeAsString():
        raise InputError(f"The {role} holds several numbers a voxel (colour, vectors); choose a scalar volume.")
    return sitk.GetArrayFromImage(image), Grid.of(image)


def write_image(path: Path, array: NDArray[Any], grid: Grid) -> None:
    """Write (K, J, I) or, as a 4D file, (C, K, J, I); the format is that of the name. Half floats become floats.

    Raises:
        OutputError: an unknown format, one that cannot hold such a volume or its geometry, or no room.
    """
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    image = sitk.GetImageFromArray(array, isVector=False)
    more = array.ndim - 3
    image.SetOrigin(grid.origin + (0.0,) * more)
    image.SetSpacing(grid.spacing + (1.0,) * more)
    direction = np.eye(array.ndim)
    direction[:3, :3] = np.reshape(grid.direction, (3, 3))
    image.SetDirection(direction.ravel().tolist())
    try:
        with quiet_stderr:
            sitk.WriteImage(image, str(path), useCompression=True)
            _require_whole(path)
            kept = _keeps_geometry(path, image)
    except (RuntimeError, OSError, EOFError) as error:
        raise output_error(error, path.parent) from error
    if not kept:
        raise OutputError("This format cannot hold the volume's size or orientation; write .nrrd or .nii.gz.")


def _read_file(path: Path, role: str) -> Any:
    try:
        with quiet_stderr:
            _require_whole(path)
            return sitk.ReadImage(str(path))
    except (RuntimeError, OSError, EOFError) as error:
        raise InputError(f"The {role} cannot be read; the file is damaged, cut short or no medical image.") from error


def _read_series(folder: Path, role: str) -> Any:
    with quiet_stderr:
        series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise InputError(f"The folder given as {role} holds no DICOM images; choose the folder of one series.")
    if len(series) > 1:
        raise InputError(f"The folder given as {role} holds {len(series)} DICOM series; put one alone into a folder.")
    reader = sitk.ImageSeriesReader()
    try:
        with quiet_stderr:
            reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0]))
            reader.MetaDataDictionaryArrayUpdateOn()
            image = reader.Execute()
    except RuntimeError as error:
        raise InputError(f"The DICOM series given as {role} cannot be read; a file of it is damaged.") from error
    _require_even_slices(reader, len(reader.GetFileNames()), role)
    return image


def _require_even_slices(reader: Any, count: int, role: str) -> None:
    if count < 3 or not reader.HasMetaDataKey(0, DICOM_POSITION) or not reader.HasMetaDataKey(0, DICOM_ORIENTATION):
        return
    across = np.cross(*np.reshape(_numbers(reader.GetMetaData(0, DICOM_ORIENTATION)), (2, 3)))
    places = [across @ _numbers(reader.GetMetaData(n, DICOM_POSITION)) for n in range(count)]
    gaps = np.abs(np.diff(places))
    if np.abs(gaps - np.median(gaps)).max() > UNEVEN_GAPS * np.median(gaps):
        raise InputError(f"The slices of the DICOM series given as {role} are not evenly spaced; add those missing.")


def _numbers(text: str) -> NDArray[np.float64]:
    return np.array([float(part) for part in text.split("\\")])


def _require_whole(path: Path) -> None:
    """Raise EOFError when the file has less data than its header declares, for formats where ITK does not notice."""
    if not path.name.lower().endswith(SILENT_FORMATS):
        return
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    bits = int(reader.GetMetaData("bitpix")) if reader.HasMetaDataKey("bitpix") else 0
    pixel_bytes = bits // 8 or sitk.Image([1] * 3, reader.GetPixelID()).GetSizeOfPixelComponent()
    declared = int(np.prod(reader.GetSize(), dtype=np.int64)) * reader.GetNumberOfComponents() * pixel_bytes
    header = GIPL_HEADER_BYTES if ".gipl" in path.suffixes else 0
    if reader.HasMetaDataKey("vox_offset"):
        header = int(float(reader.GetMetaData("vox_offset")))
    data = path.with_suffix(".img") if path.suffix.lower() == ".hdr" and path.with_suffix(".img").exists() else path
    if data.suffix.lower() != ".hdr" and _length(data) < header + declared:
        raise EOFError("data is missing")


def _length(path: Path) -> int:
    """Bytes of the file, unpacked."""
    if path.suffix.lower() != ".gz":
        return path.stat().st_size
    length = 0
    with gzip.open(path) as unpacked:
        while part := unpacked.read(1 << 22):
            length += len(part)
    return length


def _keeps_geometry(path: Path, image: Any) -> bool:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return (
        reader.GetSize() == image.GetSize()
        and _close(reader.GetOrigin(), image.GetOrigin())
        and _close(reader.GetSpacing(), image.GetSpacing())
        and _close(reader.GetDirection(), image.GetDirection())
    )


def _close(first: Sequence[float], second: Sequence[float]) -> bool:
    return len(first) == len(second) and np.allclose(first, second, rtol=1e-4, atol=1e-4)
