"""Output files that appear in their places together, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ..errors import OutputError
from .access import is_text
from .formats import alternatives, files_written, format_of
from .leftovers import HOLD, WaitingFolder, remove_leftovers

NEARLY_FULL_BYTES = 1 << 20


class Staging:
    """Write every file to ``path(final)``; ``commit()`` then renames them all to where they belong.

    Each waits in a hidden folder beside its place, so that the rename stays on one disk; a symbolic link stays, and its
    place is that of the file it leads to. Leaving the ``with`` block without a commit, for whatever reason, removes
    everything.

        with Staging() as staging:
            write(staging.path(output))
            staging.commit()
    """

    def __init__(self) -> None:
        # Names are told apart within the folder that was asked for, wherever a link in it leads.
        self._waiting: dict[tuple[Path, Path], WaitingFolder] = {}
        self._final: dict[Path, Path] = {}

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for waiting in self._waiting.values():
            waiting.remove()

    def path(self, final: Path) -> Path:
        """Where to write what will become ``final``: under the same name, or one of the same format that any library
        can write.

        Raises:
            OutputError: the folder of ``final`` is missing or cannot be written to, its name cannot be used, or it is
                the same file as an earlier one.
        """
        files = files_written(final)
        _require_place(files)
        places = _places(files)
        asked, folder = final.absolute().parent, places[0].parent
        if (asked, folder) not in self._waiting:
            remove_leftovers(folder)
            try:
                self._waiting[asked, folder] = WaitingFolder(folder)
            except OSError as error:
                raise output_error(error, folder) from error
        waiting = self._waiting[asked, folder].path
        # The file system itself knows which names it takes for the same.
        if any((waiting / file.name).exists() for file in files) or not {*places}.isdisjoint(self._final.values()):
            raise OutputError("Two outputs have the same name; give each its own.")
        names = _plain_names(files)
        for name, place in zip(names, places, strict=True):
            self._final[waiting / name] = place
        return waiting / names[0]

    def commit(self) -> None:
        """Move every file written so far to its place, replacing older ones; all of them, or none.

        Raises:
            OutputError: one could not be moved; those that were moved before are taken back.
        """
        # In the order of writing, so that whoever finds the last output finds the others too.
        moves = [
            (file, self._final.get(file, folder / file.name))
            for (_, folder), waiting in self._waiting.items()
            for file in sorted(filter(_is_output, waiting.path.iterdir()), key=lambda f: f.stat().st_mtime_ns)
        ]
        moved: list[tuple[Path, Path | None]] = []
        folder = moves[0][1].parent if moves else Path()
        try:
            for file, place in moves:
                folder = place.parent
                _flush_to_disk(file)
            for file, place in moves:
                folder = place.parent
                earlier = _kept_aside(place, file.parent) if place.exists() else None
                os.replace(file, place)
                moved.append((place, earlier))
        except OSError as error:
            for place, earlier in reversed(moved):
                with suppress(OSError):
                    place.unlink() if earlier is None else os.replace(earlier, place)
            raise output_error(error, folder) from error


def _is_output(file: Path) -> bool:
    return file.is_file() and file.name != HOLD


def _require_place(files: tuple[Path, ...]) -> None:
    for file in files:
        try:
            if stat.S_ISREG(file.stat().st_mode) and not _is_stream(file):
                continue
            kind = "a folder" if file.is_dir() else "a pipe or a device"
            raise OutputError(f"An output has the name of {kind}; give it the name of a file.")
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise output_error(error, file.parent) from error


def _places(files: tuple[Path, ...]) -> list[Path]:
    """Where the files go: to those that symbolic links lead to, of the files themselves or of folders.

    Raises:
        OutputError: one of several is a link, so that header and data would part.
    """
    if len(files) > 1 and any(file.is_symlink() for file in files):
        raise OutputError("An output of two files has the name of a link; give it the name of the file it leads to.")
    return [Path(os.path.realpath(file)) for file in files]


def _is_stream(file: Path) -> bool:
    """Whether this is a name of the program's own streams, as ``/dev/stdout``, which leads to a file where they are
    redirected into one."""
    while file.is_symlink():
        file = file.absolute()
        if file.parts[1] in ("dev", "proc"):
            return True
        file = file.parent / file.readlink()
    return False


def _plain_names(files: tuple[Path, ...]) -> list[str]:
    """Names to write under: UTF-8, with the endings in small letters.

    Raises:
        OutputError: the header would have to name a data file that it cannot name.
    """
    own = format_of(files[0])
    if own is None:
        return [file.name for file in files]
    stem = files[0].name[: -len(own.ending)]
    plain = stem.isprintable() and is_text(stem)
    if own.names_data and (not plain or stem != stem.strip() or "%" in stem):
        raise OutputError(
            f"A format of two files needs a plain name, without % and blanks at its ends; choose one, or write "
            f"{alternatives(files[0])}."
        )
    stem = stem if plain else "volume"
    return [stem + ending for ending in (own.ending, *own.data)]


def _kept_aside(place: Path, folder: Path) -> Path:
    """A second name for a file that is about to be replaced; it never loses its first one."""
    aside = Path(tempfile.mkdtemp(prefix="earlier-", dir=folder)) / place.name
    try:
        os.link(place, aside)
    except OSError:  # not every file system has hard links
        shutil.copy2(place, aside)
    return aside


def output_error(error: Exception, folder: Path) -> OutputError:
    """The sentence that goes with a failure to write into ``folder``, without naming it."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError("The output folder cannot be written to; choose another one or change its permissions.")
    if number == errno.ELOOP:
        return OutputError("An output is a link that leads to itself; give it another name.")
    if number in (errno.EEXIST, errno.ENOTDIR):
        return OutputError("The output folder has the name of a file; give the name of a folder.")
    if number in (errno.ENOSPC, errno.EDQUOT) or (_is_folder(folder) and _nearly_full(folder)):
        return OutputError("The disk is full; free some space or write to another folder.")
    if number == errno.ENAMETOOLONG:
        return OutputError("The name of an output is too long for its folder; give it a shorter one.")
    if number == errno.EFBIG or (number is None and _size_is_limited()):
        return OutputError("Files may not become that large for this user; raise the limit (ulimit -f).")
    if not _is_folder(folder):
        return OutputError("The output folder does not exist; create it or write to another one.")
    return OutputError("The output could not be written; check the format that its name ends in, or write elsewhere.")


def _is_folder(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except (OSError, ValueError):
        return False


def _nearly_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < NEARLY_FULL_BYTES
    except OSError:
        return False


def _size_is_limited() -> bool:
    """Whether this process may write small files only; C++ libraries do not give the reason of a failure."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return False
    return resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY


def _flush_to_disk(file: Path) -> None:
    # Some file systems find out only now that there is no room.
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())
