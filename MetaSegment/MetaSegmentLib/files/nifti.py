"""What a NIfTI header gives as the place of its voxels, and whether it is one place for every reader.

A header has two forms, sform and qform, each with a code that is 0 where it is not set. Programs differ in which one
they take, in what they take where none is set, in whether they keep a shear, and in whether they heed the unit of
length; where those differ, a result would lie right in one program and wrong in another.
https://nifti.nimh.nih.gov/nifti-1/documentation/nifti1fields
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .contents import GZIP
from .grids import Grid

ENDINGS = (".nii", ".nii.gz", ".hdr", ".img", ".img.gz", ".hdr.gz")
NIFTI_1 = [
    ("sizeof_hdr", "i4"), ("unused_1", "V36"), ("dim", "i2", 8), ("unused_2", "V20"), ("pixdim", "f4", 8),
    ("unused_3", "V15"), ("xyzt_units", "u1"), ("unused_4", "V128"), ("qform_code", "i2"), ("sform_code", "i2"),
    ("quatern", "f4", 3), ("qoffset", "f4", 3), ("srow", "f4", (3, 4)), ("unused_5", "V16"), ("magic", "S4"),
]  # fmt: skip
NIFTI_2 = [
    ("sizeof_hdr", "i4"), ("magic", "S8"), ("unused_1", "V4"), ("dim", "i8", 8), ("unused_2", "V24"),
    ("pixdim", "f8", 8), ("unused_3", "V176"), ("qform_code", "i4"), ("sform_code", "i4"), ("quatern", "f8", 3),
    ("qoffset", "f8", 3), ("srow", "f8", (3, 4)), ("unused_4", "V4"), ("xyzt_units", "i4"), ("unused_5", "V36"),
]  # fmt: skip
NIFTI_1_BYTES, NIFTI_2_BYTES = 348, 540
MAGICS = {NIFTI_1_BYTES: (b"n+1", b"ni1"), NIFTI_2_BYTES: (b"n+2", b"ni2")}
SPATIAL_UNITS, UNKNOWN_UNIT, MILLIMETRES = 7, 0, 2
QUATERNION_ROUNDING = 1e-6
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def require_one_place(path: Path, role: str) -> None:
    """Check that the header places the voxels, in mm and without a shear, and that its forms agree.

    Raises:
        InputError: it does not.
    """
    if not path.name.lower().endswith(ENDINGS) or (header := _header(path)) is None:
        return
    if not _is_nifti(header):  # Analyze 7.5 gives spacings only
        if not (np.isfinite(header["pixdim"][1:4]) & (header["pixdim"][1:4] > 0)).all():
            raise InputError(f"The {role} has no spacing in its header; save it again with its spacing in mm.")
        return
    if header["magic"][:3] in MAGICS[NIFTI_2_BYTES]:
        raise InputError(f"The {role} is a NIfTI-2 file, which is not read here; save it as NIfTI-1 or .nrrd.")
    if int(header["xyzt_units"]) & SPATIAL_UNITS not in (UNKNOWN_UNIT, MILLIMETRES):
        raise InputError(f"The {role} gives lengths in another unit than mm; save it in millimetres.")
    sform, qforms = _sform(header), _qforms(header)
    forms = qforms if sform is None else [sform]
    if not forms:
        raise InputError(
            f"The {role} is a NIfTI file without orientation (both form codes are 0), which programs place "
            "differently; set its sform or save it from Slicer as .nrrd."
        )
    grid = Grid.from_matrix([max(int(n), 1) for n in header["dim"][1:4]], TO_LPS @ forms[0])
    if grid.sheared:
        raise InputError(
            f"The {role} is a NIfTI file with sheared axes, which programs place differently; resample it onto "
            "perpendicular axes, or save it as .nrrd from a program that keeps the shear."
        )
    if qforms and not any(grid.lies_at(TO_LPS @ form) for form in qforms):
        raise _contradiction(role)


def require_as_read(path: Path, read: Grid, role: str) -> None:
    """Check that ITK, and with it Slicer, has placed the voxels as the forms do; it takes the spacing from elsewhere.

    Raises:
        InputError: it has not.
    """
    header = _header(path) if path.name.lower().endswith(ENDINGS) else None
    if header is None or not _is_nifti(header):
        return
    sform = _sform(header)
    if not any(read.lies_at(TO_LPS @ form) for form in (_qforms(header) if sform is None else [sform])):
        raise _contradiction(role)


def _contradiction(role: str) -> InputError:
    return InputError(
        f"The {role} is a NIfTI file that programs place differently, as its sform, qform and spacing disagree; "
        "save it as .nrrd from the program in which it lies right."
    )


def _header(path: Path) -> NDArray[Any] | None:
    name = path.name.lower()
    for ending in (".img.gz", ".img"):
        if name.endswith(ending):
            stem = path.name[: -len(ending)]
            pair = [file for file in path.parent.iterdir() if file.name[: len(stem)] == stem]
            path = next((file for file in pair if file.name[len(stem) :].lower() in (".hdr", ".hdr.gz")), path)
    try:
        with path.open("rb") as start:
            packed = path.suffix.lower() == ".gz" and start.read(len(GZIP)) == GZIP  # a name in ``.gz`` may lie
        with (gzip.open if packed else Path.open)(path, "rb") as file:
            content = file.read(np.dtype(NIFTI_2).itemsize)
    except zlib.error as error:
        raise EOFError("data is missing") from error
    for fields, size in ((NIFTI_1, NIFTI_1_BYTES), (NIFTI_2, NIFTI_2_BYTES)):
        kind = np.dtype(fields)
        if len(content) < kind.itemsize:
            continue
        for ordered in (kind, kind.newbyteorder()):
            header = np.frombuffer(content, ordered, 1)[0]
            if header["sizeof_hdr"] == size:
                return header
    return None


def _is_nifti(header: Any) -> bool:
    return header["magic"][:3] in MAGICS[int(header["sizeof_hdr"])]


def _sform(header: Any) -> NDArray[np.float64] | None:
    """4×4 from voxel indices to RAS mm of "method 3" of the standard; None where it is not set."""
    if header["sform_code"] <= 0:
        return None
    return np.vstack([header["srow"], [0, 0, 0, 1]]).astype(float)


def _qforms(header: Any) -> list[NDArray[np.float64]]:
    """4×4 of the quaternion form, "method 2" of the standard; none where it is not set.

    Of half a turn there are two: the quaternion's first part is the root of what the other three, rounded to single
    precision, leave of one, and programs differ in whether they take a tiny rest for zero.
    """
    if header["qform_code"] <= 0:
        return []
    others = header["quatern"].astype(float)
    rest = 1 - others @ others
    firsts = [np.sqrt(max(rest, 0.0))] + [0.0] * bool(0 < rest < QUATERNION_ROUNDING)
    steps = header["pixdim"][1:4].astype(float) * (1, 1, -1 if header["pixdim"][0] < 0 else 1)
    matrices = []
    for first in firsts:
        a, b, c, d = np.array([first, *others]) / np.sqrt(first**2 + others @ others)
        matrix = np.eye(4)
        matrix[:3, :3] = steps * [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
        matrix[:3, 3] = header["qoffset"]
        matrices.append(matrix)
    return matrices
