"""Volumes and label maps as files, in every format SimpleITK knows, and DICOM series."""

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
from . import dicom, headers, nifti
from .atomic import output_error
from .grids import Grid
from .quiet import quiet_stderr

# Formats whose readers and writers in ITK pass over missing data in silence.
SILENT_FORMATS = (".nii", ".nii.gz", ".gipl", ".gipl.gz", ".hdr", ".img", ".img.gz", ".vtk")
GIPL_HEADER_BYTES = 256


def read_image(path: Path, role: str = "image") -> tuple[NDArray[Any], Grid]:
    """Read a scalar 3D volume, a multi-frame DICOM file, or the only series in a DICOM folder.

    Args:
        path: file or folder.
        role: what the messages call it.

    Returns:
        (K, J, I) in the file's own type of numbers, and its grid.

    Raises:
        InputError: missing, damaged, of an unknown format, not 3D, not one number a voxel, or of a geometry that is
            not known or not the same for every reader.
    """
    if not path.exists():
        raise InputError(f"The {role} does not exist; check its name.")
    if path.is_dir():
        return dicom.read_folder(path, role)
    image = _read_file(path, role)
    if image is None:
        return dicom.read_file(path, role)
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[..., 0]
    if image.GetDimension() != 3:
        raise InputError(f"The {role} has {image.GetDimension()} dimensions; choose a single 3D volume.")
    if image.GetNumberOfComponentsPerPixel() != 1 or "complex" in image.GetPixelIDTypeAsString():
        raise InputError(f"The {role} holds several numbers a voxel (colour, vectors); choose a scalar volume.")
    grid = Grid.of(image)
    if not np.isfinite(grid.matrix).all():
        raise InputError(f"The {role} does not say where its voxels lie; save it again with origin and spacing.")
    nifti.require_as_read(path, grid, role)
    return sitk.GetArrayFromImage(image), grid


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
        better = ".nrrd" if grid.sheared else ".nrrd or .nii.gz"
        raise OutputError(f"This format cannot hold the volume's size or orientation; write {better}.")


def _read_file(path: Path, role: str) -> Any:
    """The SimpleITK image in a file; None for DICOM, of which ITK does not read where frames lie."""
    try:
        if dicom.is_dicom(path):
            return None
        with quiet_stderr:
            nifti.require_one_place(path, role)
            headers.require_millimetres(path, role)
            _require_whole(path)
            reader = sitk.ImageFileReader()
            reader.SetFileName(str(path))
            reader.ReadImageInformation()
            return None if reader.GetImageIO() == "GDCMImageIO" else reader.Execute()
    except (RuntimeError, OSError, EOFError) as error:
        raise InputError(f"The {role} cannot be read; the file is damaged, cut short or no medical image.") from error


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
