"""Getting at a file: whether it may be read, and under which name C++ libraries can."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InputError, OutputError
from .formats import format_of
from .parts import data_files, files_of, innermost, pair_of, taken_for


def require_readable(path: Path, role: str) -> None:
    """Open ``path`` once, so that what stands in the way is known by its own name.

    Raises:
        InputError: missing, not allowed, or neither a file nor a folder.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            if any(one.is_file() and not os.access(one.path, os.R_OK) for one in os.scandir(innermost(path))):
                raise PermissionError(errno.EACCES, "a file of the folder")
            return
        if not stat.S_ISREG(mode):
            raise InputError(f"The {role} is a pipe or a device, not a file; save it as a file first.")
        with path.open("rb") as file:
            empty = not file.read(1)
    except (OSError, ValueError) as error:
        raise unreadable(error, role) from error
    if empty:
        raise InputError(f"The {role} cannot be read; the file is empty.")


def require_file(path: Path, role: str) -> None:
    """As :func:`require_readable`, where a folder will not do.

    Raises:
        InputError: as there, or a folder.
    """
    require_readable(path, role)
    if path.is_dir():
        raise InputError(f"The {role} is a folder; give the name of a file.")


def unreadable(error: Exception, role: str) -> InputError:
    """The sentence that goes with what the system answered."""
    number = error.errno if isinstance(error, OSError) else errno.ENOENT
    if number in (errno.EACCES, errno.EPERM):
        return InputError(f"The {role} may not be read by this user; change its permissions or those of its folder.")
    if number in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP):
        return InputError(f"The {role} does not exist; check its name.")
    reason = os.strerror(number or 0)
    return InputError(f"The {role} cannot be read from its disk ({reason}); copy it to another one and try again.")


@contextmanager
def plain_name(path: Path) -> Iterator[str]:
    """A name of ``path`` that C++ libraries can work with: UTF-8, with the ending in small letters, and no other file
    beside it that they would take for it.

    Another name than its own is a link in a folder for temporary files that goes when the block ends.
    """
    own = format_of(path)
    good_ending = own is None or path.name.endswith(own.ending)
    if good_ending and taken_for(path) is None and is_text(str(path)) and not (path.is_dir() and _awkward(path)):
        yield str(path)
        return
    with _folder() as folder:
        yield _link(path, Path(folder), "" if own is None else own.ending)


@contextmanager
def plain_folder(path: Path) -> Iterator[Path]:
    """A name of a folder to write into that C++ libraries can work with; see :func:`plain_name`."""
    if is_text(str(path)):
        yield path
        return
    with _folder() as folder:
        place = Path(folder) / "there"
        place.symlink_to(path.absolute(), target_is_directory=True)
        yield place


def _awkward(folder: Path) -> bool:
    """Whether there is anything in a folder that a C++ library would stumble over or wait for."""
    return any(not is_text(one.name) or not (one.is_file() or one.is_dir()) for one in os.scandir(folder))


def _folder() -> tempfile.TemporaryDirectory[str]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="metasegment-")
    except OSError as error:
        raise OutputError("There is no folder for temporary files; set TMPDIR to one with some room.") from error
    return folder


def _link(path: Path, folder: Path, ending: str) -> str:
    if path.is_dir():
        for number, file in enumerate(files_of(path)):
            _link_one(file, folder / f"{number:06d}")
        return str(folder)
    stem = path.name[: -len(ending)] if ending else path.name
    stem = stem if is_text(stem) else "volume"
    for other in pair_of(path):
        found = format_of(other)
        _link_one(other, folder / f"{stem}{found.ending if found else ''}")
    for file in data_files(path):
        relative = os.path.relpath(file, path.parent)
        if is_text(relative) and os.pardir not in Path(relative).parts and file.exists():
            (folder / relative).parent.mkdir(parents=True, exist_ok=True)
            _link_one(file, folder / relative)
    place = folder / f"{stem}{ending}"
    _link_one(path, place)
    return str(place)


def _link_one(file: Path, place: Path) -> None:
    with suppress(FileExistsError):
        try:
            place.symlink_to(file.absolute())
        except (OSError, NotImplementedError):  # Windows lets few users do so
            place.hardlink_to(file)


def is_text(name: str) -> bool:
    """Whether a name is UTF-8, which C++ libraries and headers need."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
