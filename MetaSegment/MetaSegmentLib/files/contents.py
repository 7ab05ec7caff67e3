"""What a file is by how it begins, where its name says something else."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

from .formats import format_of

DICOM = "a DICOM file"
GZIP = b"\x1f\x8b"
START_BYTES = 512


@dataclass(frozen=True)
class Kind:
    """What the files of one format have in common.

    Attributes:
        name: of the format.
        mark: bytes that they have at ``place``.
        endings: under which they are read, the usual one first.
        packed: the ending where all of it is packed with gzip; empty where it has to be unpacked first.
    """

    name: str
    mark: bytes
    place: int
    endings: tuple[str, ...]
    packed: str = ""


KINDS = (
    Kind("an NRRD file", b"NRRD0", 0, (".nrrd", ".nhdr")),
    Kind("a MetaImage", b"ObjectType", 0, (".mha", ".mhd")),
    Kind(DICOM, b"DICM", 128, (".dcm", ".ima")),
    Kind("a NIfTI file", b"n+1\0", 344, (".nii", ".nii.gz"), ".nii.gz"),
)


def misnamed(path: Path) -> tuple[str, str] | None:
    """What a file that cannot be read under its name is, and what to do about it; None where that is not known."""
    try:
        with path.open("rb") as file:
            start = file.read(START_BYTES)
        packed = start.startswith(GZIP)
        if packed:
            with gzip.open(path) as unpacked:
                start = unpacked.read(START_BYTES)
    except (OSError, EOFError, zlib.error):
        return None
    kind = next((one for one in KINDS if start[one.place :].startswith(one.mark)), None)
    if kind is None:
        return None
    if packed and not kind.packed:
        return f"it is {kind.name} that was packed with gzip", f"unpack it and let its name end in {kind.endings[0]}"
    endings = (kind.packed,) if packed else kind.endings
    if path.name.lower().endswith(endings) or (kind.name == DICOM and format_of(path) is None):
        return None  # DICOM is known under names that say nothing
    return f"it is {kind.name}, which its name does not say", f"let its name end in {endings[0]}"
