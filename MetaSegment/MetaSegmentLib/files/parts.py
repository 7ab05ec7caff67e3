"""All the files that a volume consists of, and whether two names are the same file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from .formats import files_written

HEADER_BYTES = 1 << 20
"""No header in text is longer."""
MOST_PARTS = 100_000
INDEX = "DICOMDIR"
"""The file that lies beside the folders of DICOM exports."""


def files_of(path: Path) -> list[Path]:
    """The files that are read when ``path`` is: itself, its data files, or all files of a folder."""
    with suppress(OSError):
        if path.is_dir():
            return [Path(entry.path) for entry in os.scandir(innermost(path)) if entry.is_file()]
    return [path, *pair_of(path), *data_files(path)]


def innermost(folder: Path) -> Path:
    """The folder that the files lie in, where others have nothing in them but it, as exports of one series have."""
    while True:
        entries = [one for one in os.scandir(folder) if not one.name.startswith(".") and one.name != INDEX]
        if len(entries) != 1 or not entries[0].is_dir(follow_symlinks=False):
            return folder
        folder = Path(entries[0].path)


def data_files(path: Path) -> list[Path]:
    """The data files that a detached NRRD or MetaImage header names; none for any other file."""
    name = path.name.lower()
    if name.endswith((".nhdr", ".nrrd")):
        names = _nrrd_names(_lines(path, lambda line: not line.strip()))
    elif name.endswith((".mhd", ".mha")):
        names = _meta_names(_lines(path, _ends_meta_header))
    else:
        return []
    return [path.parent / os.fsdecode(one) for one in names]


def pair_of(path: Path) -> list[Path]:
    """The other file of an Analyze or NIfTI pair, in small letters or capitals, where it is there."""
    lower = path.name.lower()
    for ending, other in ((".hdr", ".img"), (".img", ".hdr"), (".hdr.gz", ".img.gz"), (".img.gz", ".hdr.gz")):
        if lower.endswith(ending):
            stem = path.name[: -len(ending)]
            names = (path.with_name(stem + one) for one in (other, other.upper()))
            return [one for one in names if one.exists()][:1]
    return []


def taken_for(path: Path) -> Path | None:
    """The file that readers of NIfTI take the voxels from in the place of a compressed one: the plain one beside it."""
    ending = ".nii.gz"
    if not path.name.lower().endswith(ending):
        return None
    stem = path.name[: -len(ending)]
    return next((one for plain in (".nii", ".NII") if is_there(one := path.with_name(stem + plain))), None)


def clash(outputs: Iterable[Path], inputs: Iterable[Path]) -> bool:
    """Whether any file of the outputs is a file of the inputs."""
    given = [file for path in inputs for file in files_of(path)]
    return any(same_file(file, other) for path in outputs for file in files_written(path) for other in given)


def same_file(first: Path, second: Path) -> bool:
    """Whether two names are one file: by what lies on the disk where both are there, whatever links and capitals."""
    with suppress(OSError, ValueError):
        return first.samefile(second)
    return os.path.realpath(first) == os.path.realpath(second)


def is_there(path: Path) -> bool:
    """Whether there is such a file; none is where the system takes no such name."""
    with suppress(OSError, ValueError):
        return path.exists()
    return False


def _lines(path: Path, is_last: Callable[[bytes], bool]) -> list[bytes]:
    """The lines of a header up to the last one, of HEADER_BYTES at most; none of what cannot be read."""
    found: list[bytes] = []
    left = HEADER_BYTES
    try:
        if not path.is_file():  # a pipe would be waited for
            return []
        with path.open("rb") as file:
            while left > 0 and (line := file.readline(left)):
                left -= len(line)
                found.append(line.removesuffix(b"\n"))
                if is_last(line):
                    break
    except (OSError, ValueError):
        return []
    return found


def _ends_meta_header(line: bytes) -> bool:
    key, equals, value = line.partition(b"=")
    return bool(equals) and key.strip() == b"ElementDataFile" and not value.strip().startswith(b"LIST")


def _nrrd_names(lines: list[bytes]) -> list[bytes]:
    for number, line in enumerate(lines):
        if not line.strip(b"\r"):
            return []
        key, colon, value = line.partition(b":")
        if colon and key.strip().lower() in (b"data file", b"datafile"):
            value = value.strip()
            if re.fullmatch(rb"LIST( +\d+)?", value):
                listed = (one.strip(b"\r") for one in lines[number + 1 :])
                return [one for one in listed if one.strip()]
            return _counted(value) or [value]
    return []


def _meta_names(lines: list[bytes]) -> list[bytes]:
    for number, line in enumerate(lines):
        key, equals, value = line.partition(b"=")
        if equals and key.strip() == b"ElementDataFile":
            value = value.strip()
            if value.upper() == b"LOCAL":
                return []
            if value.startswith(b"LIST"):
                return [one.strip() for one in lines[number + 1 :] if one.strip()]
            return _counted(value) or [value]
    return []


def _counted(value: bytes) -> list[bytes]:
    """The names of ``slice%03d.raw 1 20 1``: a pattern, first, last and step."""
    words = value.split()
    if len(words) < 4 or not re.search(rb"%[-+ 0#]*\d{0,3}[di]", words[0]):
        return []
    try:
        first, last, step = (int(word) for word in words[1:4])
        numbers = range(first, last + (1 if step > 0 else -1), step)[:MOST_PARTS]
        return [words[0] % number for number in numbers]
    except (ValueError, TypeError):
        return []
