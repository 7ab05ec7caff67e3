"""Volumes and label maps as files, in every format SimpleITK knows, and DICOM series."""

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
from . import dicom, headers, nifti
from .access import plain_folder, plain_name, require_readable
from .atomic import output_error
from .damage import Damage, require_undamaged, require_whole
from .formats import alternatives, writable_format
from .grids import Grid
from .parts import innermost
from .quiet import quiet_stderr


def read_image(path: Path, role: str = "image", channel: int | None = None) -> tuple[NDArray[Any], Grid]:
    """Read a scalar 3D volume, a multi-frame DICOM file, or the only series in a DICOM folder.

    Args:
        path: file or folder.
        role: what the messages call it.
        channel: which volume to take of a file with several of them, counted from 0.

    Returns:
        (K, J, I) in the file's own type of numbers, and its grid.

    Raises:
        InputError: missing, damaged, of an unknown format, not 3D, not one number a voxel, or of a geometry that is
            not known or not the same for every reader.
    """
    require_readable(path, role)
    if path.is_dir():
        with plain_name(innermost(path)) as name:
            return dicom.read_folder(Path(name), role)
    image = _read_file(path, role)
    if image is None:
        return dicom.read_file(path, role)
    image = _without_single_ones(image)
    if channel is not None:
        image = _channel_of(image, channel, role)
    one_of_several = (
        "give the painted slices of one volume, or of each frame, as a 3D file"
        if role == "support"
        else "choose one of its volumes (--channel 0), or for a time series name the painted frame (--frame 0)"
    )
    if "complex" in image.GetPixelIDTypeAsString():
        raise InputError(f"The {role} holds several numbers a voxel (complex ones); choose a scalar volume.")
    if image.GetDimension() != 3:
        what_to_do = one_of_several if image.GetDimension() == 4 else "give a single 3D volume"
        raise InputError(f"The {role} has {image.GetDimension()} dimensions; {what_to_do}.")
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"The {role} holds several numbers a voxel (colour, vectors, a series); {one_of_several}.")
    grid = Grid.of(image)
    if not np.isfinite(grid.matrix).all():
        raise InputError(f"The {role} does not say where its voxels lie; save it again with origin and spacing.")
    nifti.require_as_read(path, grid, role)
    return sitk.GetArrayFromImage(image), grid


def _without_single_ones(image: Any) -> Any:
    """Without dimensions beyond the third that hold a single volume."""
    for axis in reversed(range(3, image.GetDimension())):
        if image.GetSize()[axis] == 1:
            image = image[tuple(0 if other == axis else slice(None) for other in range(image.GetDimension()))]
    return image


def read_frames(path: Path) -> tuple[NDArray[Any], Grid]:
    """Read a time series: a 4D file, or an NRRD sequence of Slicer, whose voxels hold a number for each frame.

    Returns:
        (T, K, J, I), and the grid of every frame.

    Raises:
        InputError: as :func:`read_image`; also when there is one volume only.
    """
    require_readable(path, "image")
    image = None if path.is_dir() else _read_file(path, "image")
    if image is None or "complex" in image.GetPixelIDTypeAsString():
        raise InputError("The image is no time series; give a 4D file (.nrrd, .nii.gz, .mha), or leave --frame out.")
    if image.GetDimension() == 4 and image.GetNumberOfComponentsPerPixel() == 1:
        grid, frames = Grid.of(image[..., 0]), sitk.GetArrayFromImage(image)
    elif image.GetDimension() == 3 and image.GetNumberOfComponentsPerPixel() > 1:
        grid, frames = Grid.of(image), np.moveaxis(sitk.GetArrayFromImage(image), -1, 0)
    else:
        raise InputError("The image holds a single volume, no time series; leave --frame out.")
    if len(frames) < 2:
        raise InputError("The image holds a single volume, no time series; leave --frame out.")
    if not np.isfinite(grid.matrix).all():
        raise InputError("The image does not say where its voxels lie; save it again with origin and spacing.")
    nifti.require_as_read(path, grid, "image")
    return frames, grid


def _channel_of(image: Any, channel: int, role: str) -> Any:
    """One volume of a 4D image, or of one with several numbers a voxel; anything else as it is."""
    dimension, numbers = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    if dimension not in (3, 4) or (dimension == 3 and numbers == 1):
        return image
    count = image.GetSize()[-1] if dimension == 4 else numbers
    if not 0 <= channel < count:
        raise InputError(f"The {role} has no channel {channel}; it has {count}, counted from 0.")
    return image[..., channel] if dimension == 4 else sitk.VectorIndexSelectionCast(image, channel)


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
    if more and not form.four:
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
    """The SimpleITK image in a file; None for DICOM, of which ITK does not read where frames lie."""
    require_undamaged(path, role)
    try:
        if dicom.is_dicom(path):
            return None
        with quiet_stderr, plain_name(path) as name:
            nifti.require_one_place(path, role)
            headers.require_millimetres(path, role)
            reader = sitk.ImageFileReader()
            reader.SetFileName(name)
            reader.ReadImageInformation()
            if reader.GetImageIO() == "GDCMImageIO":
                return None
            return reader.Execute()
    except (RuntimeError, OSError, EOFError) as error:
        raise InputError(f"The {role} cannot be read; the file is damaged, cut short or no medical image.") from error


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
