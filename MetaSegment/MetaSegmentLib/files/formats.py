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
        writable: whether a result can be written in it.
        data: endings of the files that are written beside the one with the name.
        names_data: whether the header holds the names of those files.
        oblique: whether it holds the directions of the axes.
        guarded: whether its C++ reader is tried in a process of its own first, as damage may end the process.
    """

    ending: str
    writable: bool = True
    data: tuple[str, ...] = ()
    names_data: bool = False
    oblique: bool = True
    guarded: bool = False


# Longer endings stand before those that they end in.
FORMATS = (
    Format(".seg.nrrd"),
    Format(".seg.nhdr", data=(".seg.raw.gz", ".seg.raw"), names_data=True),
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
    Format(".gipl.gz", oblique=False),
    Format(".gipl", oblique=False),
    Format(".vtk", oblique=False),
    Format(".mnc", guarded=True),
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
"""Those that a sentence names; the others are rare."""


def format_of(path: Path) -> Format | None:
    """The format that the name ends in, in capitals or not; None for any other name."""
    name = path.name.lower()
    return next((one for one in FORMATS if name.endswith(one.ending) and name != one.ending), None)


def writable_format(path: Path) -> Format:
    """The format of an output.

    Raises:
        OutputError: results cannot be written in it.
    """
    found = format_of(path)
    if found is None or not found.writable:
        raise OutputError(f"Results cannot be written in a format of this name; let the name end in {NAMED}.")
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
