"""The formats of volumes, each by the ending of its name: which can be read, which can be written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import OutputError


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        ending: of the name, in lower case.
        writable: whether a volume can be written in it.
        segments: whether it holds segments that may overlap, with their names.
        data: endings of the files that are written beside the one with the name.
        names_data: whether the header holds the names of those files.
        oblique: whether it holds the directions of the axes.
        four: whether it holds four dimensions.
        guarded: whether its C++ reader is tried in a process of its own first, as damage may end the process.
    """

    ending: str
    writable: bool = True
    segments: bool = False
    data: tuple[str, ...] = ()
    names_data: bool = False
    oblique: bool = True
    four: bool = True
    guarded: bool = False


DICOM_SEG, RTSTRUCT = ".seg.dcm", ".rtstruct.dcm"
# Longer endings stand before those that they end in.
FORMATS = (
    Format(".seg.nrrd", segments=True),
    Format(DICOM_SEG, writable=False, segments=True),
    Format(RTSTRUCT, writable=False, segments=True),
    Format(".seg.nhdr", segments=True, data=(".seg.raw.gz", ".seg.raw"), names_data=True),
    Format(".nrrd"),
    Format(".nhdr", data=(".raw.gz", ".raw"), names_data=True),
    Format(".nii.gz"),
    Format(".nii"),
    Format(".mha"),
    Format(".mhd", data=(".zraw", ".raw"), names_data=True),
    Format(".hdr.gz", data=(".img.gz",)),
    Format(".img.gz", data=(".hdr.gz",)),
    Format(".hdr", data=(".img",)),
    Format(".img", data=(".hdr",)),
    Format(".gipl.gz", oblique=False, four=False),
    Format(".gipl", oblique=False, four=False),
    Format(".vtk", oblique=False, four=False),
    Format(".mnc", four=False, guarded=True),
    Format(".hdf5", guarded=True),
    Format(".h5", guarded=True),
    Format(".mrc", writable=False, guarded=True),
    Format(".rec", writable=False, guarded=True),
    Format(".tiff", writable=False, guarded=True),
    Format(".tif", writable=False, guarded=True),
    Format(".dcm", writable=False),
    Format(".ima", writable=False),
)
NAMED = ".seg.nrrd, .nrrd, .nii.gz, .nii, .mha, .mhd, .nhdr or .hdr"
NAMED_FOR_SEGMENTS = f".seg.nrrd, {DICOM_SEG}, {RTSTRUCT}, " + NAMED.removeprefix(".seg.nrrd, ")
"""Those that a sentence names; the others are rare."""


def format_of(path: Path) -> Format | None:
    """The format that the name ends in, in capitals or not; None for any other name."""
    name = path.name.lower()
    return next((one for one in FORMATS if name.endswith(one.ending) and name != one.ending), None)


def writable_format(path: Path) -> Format:
    """The format of a volume.

    Raises:
        OutputError: volumes cannot be written in it.
    """
    found = format_of(path)
    if found is None or not found.writable:
        raise OutputError(f"Results cannot be written in a format of this name; let the name end in {NAMED}.")
    return found


def segmentation_format(path: Path) -> Format:
    """The format of segments: of those for volumes, or of those for segments alone.

    Raises:
        OutputError: segments cannot be written in it.
    """
    found = format_of(path)
    if found is None or not (found.writable or found.segments):
        raise OutputError(
            f"Results cannot be written in a format of this name; let the name end in {NAMED_FOR_SEGMENTS}."
        )
    return found


def alternatives(path: Path) -> str:
    """Endings to recommend to whoever asked for ``path`` and cannot have it: those that hold every grid."""
    own = format_of(path)
    return " or ".join(ending for ending in (".nrrd", ".mha") if own is None or ending != own.ending)


def files_written(path: Path) -> tuple[Path, ...]:
    """All files that an output of this name may consist of, the one with the name first."""
    own = format_of(path)
    if own is None:
        return (path,)
    stem, ending = path.name[: -len(own.ending)], path.name[-len(own.ending) :]
    capitals = ending.isupper() and not own.names_data
    names = (data.upper() if capitals else data for data in own.data)
    return (path, *(path.with_name(stem + name) for name in names))
