"""Volumes and label maps as files, in every format SimpleITK knows, and DICOM series folders."""

from __future__ import annotations

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
from .access import plain_folder, plain_name, require_readable
from .atomic import output_error
from .damage import Damage, require_dicom, require_dicom_lengths, require_undamaged, require_whole
from .formats import alternatives, writable_format
from .grids import Grid
from .parts import files_of
from .quiet import quiet_stderr

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
    require_readable(path, role)
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
    form = writable_format(path)
    if more and not form.oblique:
        raise OutputError(f"This format cannot hold a 4D volume; write {alternatives(path)}.")
    try:
        with quiet_stderr, plain_folder(path.parent) as folder:
            sitk.WriteImage(image, str(folder / path.name), useCompression=True)
            require_whole(folder / path.name)
            lost = _lost(folder / path.name, image)
    except (RuntimeError, OSError, Damage) as error:
        raise output_error(error, path.parent) from error
    if lost:
        raise OutputError(f"This format cannot hold the volume's {lost}; write {alternatives(path)}.")


def _read_file(path: Path, role: str) -> Any:
    require_undamaged(path, role)
    try:
        with quiet_stderr, plain_name(path) as name:
            return sitk.ReadImage(name)
    except (RuntimeError, OSError, EOFError) as error:
        raise InputError(f"The {role} cannot be read; the file is damaged, cut short or no medical image.") from error


def _read_series(folder: Path, role: str) -> Any:
    with plain_name(folder) as name:
        return _read_plain_series(name, role)


def _read_plain_series(folder: str, role: str) -> Any:
    try:
        for file in files_of(Path(folder)):
            require_dicom_lengths(file)
    except Damage as error:
        raise InputError(f"The DICOM series given as {role} cannot be read; a file of it is damaged.") from error
    with quiet_stderr:
        series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(folder)
    if not series:
        raise InputError(f"The folder given as {role} holds no DICOM images; choose the folder of one series.")
    if len(series) > 1:
        raise InputError(f"The folder given as {role} holds {len(series)} DICOM series; put one alone into a folder.")
    reader = sitk.ImageSeriesReader()
    try:
        with quiet_stderr:
            names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder, series[0])
            require_dicom(Path(names[0]))
            reader.SetFileNames(names)
            reader.MetaDataDictionaryArrayUpdateOn()
            image = reader.Execute()
        _require_even_slices(reader, len(reader.GetFileNames()), role)
    except (RuntimeError, ValueError, Damage) as error:
        raise InputError(f"The DICOM series given as {role} cannot be read; a file of it is damaged.") from error
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


def _lost(path: Path, image: Any) -> str:
    """What of the geometry is not in the file that was written; empty when all is."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    if reader.GetSize() != image.GetSize():
        return "size"
    if not _close(reader.GetOrigin(), image.GetOrigin()) or not _close(reader.GetSpacing(), image.GetSpacing()):
        return "position or spacing"
    if not _close(reader.GetDirection(), image.GetDirection()):
        columns = np.reshape(image.GetDirection(), (image.GetDimension(), -1))
        upright = np.allclose(columns.T @ columns, np.eye(len(columns)), atol=1e-3)
        return "orientation" if upright else "orientation (its axes are not at right angles)"
    return ""


def _close(first: Sequence[float], second: Sequence[float]) -> bool:
    return len(first) == len(second) and np.allclose(first, second, rtol=1e-4, atol=1e-4)
