"""DICOM images as volumes: a folder of slices or one multi-frame file, placed by the positions of their slices.

Positions, orientations and pixel spacings decide, never file names, instance numbers or slice thickness (DICOM PS3.3,
C.7.6.2 and C.7.6.16.2). What does not make one evenly spaced stack is refused: a volume has no place for a gap.
"""

from __future__ import annotations

import filecmp
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import DependencyError, InputError, MetaSegmentError
from .grids import TOLERANCE_VOXELS, Grid
from .quiet import quiet_parsers, quiet_stderr

PREAMBLE_BYTES, MAGIC = 128, b"DICM"
PIXEL_DATA = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
UNKNOWN_LENGTH = 0xFFFFFFFF
# Larger values are left in the file until they are needed.
DEFER_BYTES = 4096
STORAGE = "1.2.840.10008.5.1.4.1.1."
DIRECTORY = "1.2.840.10008.1.3.10"
# What lies beside the slices of a series without being one: waveforms, presentation states, raw data, registrations,
# segmentations and their like, reports, documents, and plans and doses of radiotherapy.
NO_IMAGE = re.compile(r"(9|11|66|67|68|88|104)(\.|$)|481\.([2-9]|1\d)")
# Enhanced CT, MR and PET, of which GDCM heeds the slope and the intercept that all frames share.
RESCALED_BY_GDCM = tuple(STORAGE + kind for kind in ("2.1", "2.2", "4.1", "4.4", "128.1", "130"))
ROUNDING = 1e-3
"""Of direction cosines, which headers give with few digits."""


@dataclass(frozen=True)
class Slice:
    """One slice, or one frame of a file.

    Attributes:
        position: LPS mm of the first pixel's centre.
        orientation: unit vectors along a row and down a column.
        spacing: mm between pixel centres along a row and down a column.
        size: pixels in a row and in a column.
        rescale: slope and intercept of the stored values.
        stored: how pixels are stored: bits, whether signed.
    """

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    size: tuple[int, int]
    rescale: tuple[float, float]
    stored: tuple[int, int]

    @property
    def across(self) -> NDArray[np.float64]:
        """Unit normal of the slice."""
        return np.cross(*np.reshape(self.orientation, (2, 3)))

    @property
    def lengths(self) -> NDArray[np.float64]:
        """Mm from the first to the last pixel along a row and down a column."""
        return np.subtract(self.size, 1) * np.array(self.spacing)

    @property
    def edges(self) -> NDArray[np.float64]:
        """(2, 3): the same, as vectors in LPS mm."""
        return np.reshape(self.orientation, (2, 3)) * self.lengths[:, np.newaxis]


class Header(NamedTuple):
    """The data set that a slice of a volume comes from, its number there if it is a frame, and its place."""

    data: Any
    frame: int | None
    slice: Slice


def is_dicom(path: Path) -> bool:
    """Whether the file begins as a DICOM file."""
    with path.open("rb") as file:
        return file.read(PREAMBLE_BYTES + len(MAGIC))[PREAMBLE_BYTES:] == MAGIC


def read_folder(folder: Path, role: str) -> tuple[NDArray[Any], Grid]:
    """(K, J, I) of the only series in a folder, and its grid.

    Other DICOM objects and other kinds of files are passed over; an image that cannot be read is not.

    Raises:
        InputError: no series or several, a damaged file, or slices that are not one evenly spaced stack.
    """
    with blaming_the_file(role):
        return _read_folder(folder, role)


def read_file(path: Path, role: str) -> tuple[NDArray[Any], Grid]:
    """(K, J, I) of a multi-frame file, and its grid.

    Raises:
        InputError: damaged, a single slice, or frames without positions or that are not one evenly spaced stack.
    """
    with blaming_the_file(role):
        return _read_single(path, header(path, role), role)


def read_headers(path: Path, role: str) -> tuple[list[Header], Grid] | None:
    """What a volume is made of, without its pixels: a header for each slice, in the order of the grid; None where it is
    no DICOM image.

    Raises:
        InputError: as :func:`read_folder` and :func:`read_file`.
    """
    with blaming_the_file(role):
        if path.is_dir():
            images = _series_in(path, role)
        elif is_dicom(path):
            images = {path: header(path, role)}
        else:
            return None
        if len(images) == 1:
            ((_, data),) = images.items()
            _require_frames(data, role)
            headers = [Header(data, n, one) for n, one in enumerate(frames_of(data, role), start=1)]
        else:
            headers = [Header(data, None, slice_of(data, role)) for data in images.values()]
        order, grid = stack([one.slice for one in headers], role)
        return [headers[n] for n in order], grid


def _read_folder(folder: Path, role: str) -> tuple[NDArray[Any], Grid]:
    images = _series_in(folder, role)
    if len(images) == 1:
        return _read_single(*next(iter(images.items())), role)
    slices = [slice_of(data, role) for data in images.values()]
    order, grid = stack(slices, role)
    paths, slices = [list(images)[n] for n in order], [slices[n] for n in order]
    alike = len({(one.rescale, one.stored) for one in slices}) == 1
    "".join(map(str, paths)).encode()  # SimpleITK takes UTF-8 alone, and its own error does not give the reason
    with quiet_stderr:
        array = _read_slices(paths) if alike else np.stack([_read_float(path) for path in paths])
    if array.shape != grid.array_shape:
        raise no_scalars(role)
    return array, grid


def _series_in(folder: Path, role: str) -> dict[Path, Any]:
    """Headers of the only series in a folder: of its slices, or of its one file of frames."""
    images = without_copies(_images_of(folder, role))
    if not images:
        inside = "folders and no DICOM images" if any(one.is_dir() for one in folder.iterdir()) else "no DICOM images"
        raise InputError(f"The folder given as {role} holds {inside}; choose the folder of one series.")
    series = {str(data.get("SeriesInstanceUID", "")) for data in images.values()}
    if len(series) > 1:
        raise InputError(f"The folder given as {role} holds {len(series)} DICOM series; put one alone into a folder.")
    if len(images) > 1 and any(frame_count(data) > 1 for data in images.values()):
        raise InputError(f"The folder given as {role} holds several files of many frames; give one of them alone.")
    return images


def stack(slices: Sequence[Slice], role: str) -> tuple[list[int], Grid]:
    """The order of slices along their normal, and the grid that they make; a tilted gantry makes a sheared one.

    Raises:
        InputError: they do not make one evenly spaced stack.
    """
    first = slices[0]
    what = f"The slices of the DICOM image given as {role}"
    near = TOLERANCE_VOXELS * min(first.spacing)
    if any(one.size != first.size or np.abs(one.lengths - first.lengths).max() > near for one in slices):
        raise InputError(f"{what} differ in size or pixel spacing; put those that belong together into a folder.")
    if any(np.abs(one.edges - first.edges).max() > near for one in slices):
        raise InputError(f"{what} lie in different directions; put one stack of parallel slices alone into a folder.")
    positions = np.array([one.position for one in slices])
    order = [int(n) for n in np.argsort(positions @ first.across, kind="stable")]
    positions = positions[order]
    gaps = np.diff(positions @ first.across)
    if len(slices) < 2:
        raise InputError(f"The DICOM image given as {role} is a single slice; give the folder with the whole series.")
    if gaps.min() <= TOLERANCE_VOXELS * np.median(gaps):
        raise InputError(
            f"{what} lie several times at the same place, as of several times, echoes or copies; "
            "put those of one volume alone into a folder, or load it in Slicer and save one volume as .nrrd."
        )
    mean = (positions[-1] - positions[0]) / (len(slices) - 1)
    for step in ((mean @ first.across) * first.across, mean):  # a shear that is rounding alone is none
        matrix = np.eye(4)
        within = np.reshape(first.orientation, (2, 3)) * np.reshape(first.spacing, (2, 1))
        matrix[:3, :3] = np.column_stack([*within, step])
        matrix[:3, 3] = positions[0]
        even = positions[0] + np.outer(np.arange(len(slices)), step)
        off = np.linalg.solve(matrix[:3, :3], (positions - even).T)
        if np.abs(off).max() <= TOLERANCE_VOXELS:
            return order, Grid.from_matrix((*first.size, len(slices)), matrix)
    raise InputError(f"{what} are not evenly spaced; add those missing, or have Slicer resample the volume.")


def _images_of(folder: Path, role: str) -> dict[Path, Any]:
    """Headers of the images in a folder, by path."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    begun = {file: is_dicom(file) for file in files}
    images: dict[Path, Any] = {}
    strangers: list[Path] = []
    for file in files:
        if begun[file]:
            data = header(file, role)
            if is_image(data):
                images[file] = data
        elif (bare := bare_header(file)) is not None:
            images[file] = bare
        else:
            strangers.append(file)
    endings = {_ending(file) for file in images}
    if any(_ending(file) in endings and not _is_text(file) for file in strangers):
        raise _damaged(role)
    return images


def without_copies(images: dict[Path, Any]) -> dict[Path, Any]:
    """The images, of equal files only the first."""
    first: dict[str, Path] = {}
    kept: dict[Path, Any] = {}
    for path, data in images.items():
        other = first.setdefault(str(data.get("SOPInstanceUID") or path), path)
        if other == path or not filecmp.cmp(other, path, shallow=False):
            kept[path] = data
    return kept


def header(path: Path, role: str) -> Any:
    """The data set of a DICOM file, its pixels left in the file, all of which is there."""
    data = _pydicom().dcmread(path, defer_size=DEFER_BYTES, force=True)
    if not _is_whole(data, path):
        raise _damaged(role)
    return data


def bare_header(path: Path) -> Any | None:
    """The data set of an image that lacks the preamble, as very old ones do; None for another kind of file."""
    pydicom = _pydicom()
    try:
        data = pydicom.dcmread(path, defer_size=DEFER_BYTES, force=True)
        known = "SOPClassUID" in data and str(data.SOPClassUID).startswith(STORAGE)
        return data if known and is_image(data) and _is_whole(data, path) else None
    except Exception:
        return None


def _is_whole(data: Any, path: Path) -> bool:
    """Whether an image has all its pixels; of a file that was cut short, the parser gives what there is."""
    sop_class = sop_class_of(data)
    if not sop_class:
        return False
    if sop_class == DIRECTORY or not is_image(data):
        return True
    name = next((name for name in PIXEL_DATA if name in data), None)
    if name is None or not {"Rows", "Columns", "BitsAllocated"} <= set(data.dir()):
        return False
    element = data.get_item(name, keep_deferred=True)
    length = getattr(element, "length", UNKNOWN_LENGTH)
    syntax = data.file_meta.get("TransferSyntaxUID")
    if syntax and (syntax.is_compressed or syntax.is_deflated):
        return True  # its end is marked, and the parser has found the mark
    values = data.Rows * data.Columns * frame_count(data) * int(data.get("SamplesPerPixel", 1))
    there = path.stat().st_size - int(getattr(element, "value_tell", 0))
    needed = (values * data.BitsAllocated + 7) // 8
    return there >= needed and (length in (UNKNOWN_LENGTH, None) or length >= needed)


def is_image(data: Any) -> bool:
    sop_class = sop_class_of(data)
    return sop_class != DIRECTORY and not NO_IMAGE.match(sop_class.removeprefix(STORAGE))


def sop_class_of(data: Any) -> str:
    meta = getattr(data, "file_meta", None)
    return str(data.get("SOPClassUID") or (meta.get("MediaStorageSOPClassUID") if meta else None) or "")


def _ending(file: Path) -> str:
    """The file name's ending; numbers, as in names made of UIDs, are none."""
    ending = file.suffix.lower()
    return "" if ending[1:].isdigit() else ending


def _is_text(file: Path) -> bool:
    with file.open("rb") as opened:
        start = opened.read(1024)
    return bool(start) and all(byte >= 32 or byte in b"\t\r\n\f" for byte in start)


def frame_count(data: Any) -> int:
    return int(data.get("NumberOfFrames") or 1)


def slice_of(data: Any, role: str) -> Slice:
    """The slice of a file with a single one."""
    place = data.get("ImagePositionPatient"), data.get("ImageOrientationPatient"), data.get("PixelSpacing")
    return _checked_slice(data, place, _rescale(data.get("RescaleSlope"), data.get("RescaleIntercept")), role)


def frames_of(data: Any, role: str) -> Iterator[Slice]:
    """The frames of an enhanced image, from its functional groups."""
    shared = list(data.get("SharedFunctionalGroupsSequence") or ())[:1]
    frames = list(data.get("PerFrameFunctionalGroupsSequence") or ())
    if len(frames) != frame_count(data):
        raise _no_place(role)
    for own in frames:
        groups = (own, *shared)
        place = (
            field(groups, "PlanePositionSequence", "ImagePositionPatient"),
            field(groups, "PlaneOrientationSequence", "ImageOrientationPatient"),
            field(groups, "PixelMeasuresSequence", "PixelSpacing"),
        )
        slope = field(groups, "PixelValueTransformationSequence", "RescaleSlope")
        intercept = field(groups, "PixelValueTransformationSequence", "RescaleIntercept")
        yield _checked_slice(data, place, _rescale(slope, intercept), role)


def field(groups: Sequence[Any], sequence: str, name: str) -> Any:
    """A field of a frame's own functional groups, else of those that all frames share; None where it is missing."""
    return next((group[sequence][0].get(name) for group in groups if group.get(sequence)), None)


def _rescale(slope: Any, intercept: Any) -> tuple[float, float]:
    return float(1 if slope is None else slope), float(intercept or 0)


def _checked_slice(data: Any, place: tuple[Any, Any, Any], rescale: tuple[float, float], role: str) -> Slice:
    try:
        position, orientation, down_and_along = (tuple(float(x) for x in part) for part in place)
    except (TypeError, ValueError):
        raise _no_place(role) from None
    numbers = np.array([*position, *orientation, *down_and_along, *rescale])
    if (len(position), len(orientation), len(down_and_along)) != (3, 6, 2) or not np.isfinite(numbers).all():
        raise _no_place(role)
    stored = int(data.get("BitsStored", data.BitsAllocated))
    if int(data.get("HighBit", stored - 1)) != stored - 1:  # not allowed any more
        raise InputError(
            f"The DICOM image given as {role} stores its pixels in other bits than the lowest ones, which programs "
            "read differently; have the scanner's or the archive's software export it anew."
        )
    axes = np.reshape(orientation, (2, 3))
    if np.abs(axes @ axes.T - np.eye(2)).max() > ROUNDING or min(down_and_along) <= 0:
        raise _no_place(role)
    row, column = axes[0], axes[1] - (axes[1] @ axes[0]) * axes[0]
    axes = np.array([row / np.linalg.norm(row), column / np.linalg.norm(column)])
    return Slice(
        position,
        tuple(float(x) for x in axes.ravel()),
        down_and_along[::-1],
        (int(data.Columns), int(data.Rows)),
        rescale,
        (int(data.BitsAllocated), int(data.get("PixelRepresentation", 0))),
    )


def _require_frames(data: Any, role: str) -> None:
    if not is_image(data):
        raise InputError(
            f"The {role} is a DICOM file of another kind than images (a segmentation, a dose, a report, …); "
            "load it in Slicer and save it as .seg.nrrd or .nrrd."
        )
    if frame_count(data) == 1:
        raise InputError(f"The DICOM image given as {role} is a single slice; give the folder with the whole series.")


def _read_single(path: Path, data: Any, role: str) -> tuple[NDArray[Any], Grid]:
    _require_frames(data, role)
    frames = list(frames_of(data, role))
    order, grid = stack(frames, role)
    try:
        array = _rescaled(data.pixel_array, np.array([one.rescale for one in frames]))
    except (AttributeError, NotImplementedError, RuntimeError) as error:  # pydicom cannot decode every compression
        if not sop_class_of(data).startswith(RESCALED_BY_GDCM) or len({one.rescale for one in frames}) > 1:
            raise InputError(
                f"The pixels of the DICOM image given as {role} cannot be decoded; save it from Slicer as .nrrd "
                "and give that."
            ) from error
        with quiet_stderr:
            array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    if array.shape != grid.array_shape:
        raise no_scalars(role)
    return array[order], grid


def _rescaled(stored: NDArray[Any], rescale: NDArray[np.float64]) -> NDArray[Any]:
    """(K, J, I) stored values by each slice's slope and intercept; whole numbers stay whole."""
    if stored.ndim != 3:
        return stored
    slope, intercept = rescale[:, 0], rescale[:, 1]
    if (slope == 1).all() and (intercept == np.round(intercept)).all() and stored.dtype.kind in "iu":
        if not intercept.any():
            return stored
        return stored.astype(np.int32) + intercept.astype(np.int32)[:, None, None]
    return (stored * slope[:, None, None] + intercept[:, None, None]).astype(np.float32)


def _read_slices(paths: Sequence[Path]) -> NDArray[Any]:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in paths])
    image = reader.Execute()
    return sitk.GetArrayFromImage(image)


def _read_float(path: Path) -> NDArray[np.float32]:
    """(J, I) of a file with a slope and an intercept of its own, as PET has them."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path), sitk.sitkFloat64)).astype(np.float32)[0]


@contextmanager
def blaming_the_file(role: str) -> Iterator[None]:
    """Whatever the parsers stumble over, the file is to blame; their warnings, which quote it, are not shown."""
    try:
        with quiet_parsers():
            yield
    except (MemoryError, MetaSegmentError):
        raise
    except PermissionError as error:
        raise InputError(f"The {role} must not be read by you; change the permissions of its files.") from error
    except UnicodeEncodeError as error:
        raise InputError(f"The {role} has a name that is not UTF-8, for a folder or a file; rename it.") from error
    except Exception as error:
        raise _damaged(role) from error


def _damaged(role: str) -> InputError:
    return InputError(f"The DICOM image given as {role} cannot be read; a file of it is damaged or cut short.")


def _no_place(role: str) -> InputError:
    return InputError(
        f"The DICOM image given as {role} has slices without position, orientation or pixel spacing; "
        "where they lie is not known, so choose another series."
    )


def no_scalars(role: str) -> InputError:
    return InputError(f"The {role} holds several numbers a voxel (colour, vectors); choose a scalar volume.")


def _pydicom() -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise DependencyError("DICOM images need the package pydicom; run 'pip install pydicom'.") from error
    return pydicom
