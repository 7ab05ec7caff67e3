"""Output files that appear in their places together, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ..errors import OutputError

NEARLY_FULL_BYTES = 1 << 20


class Staging:
    """Write every file to ``path(final)``; ``commit()`` then renames them all to where they belong.

    Each waits in a hidden folder beside its place, so that the rename stays on one disk. Leaving the ``with`` block
    without a commit, for whatever reason, removes everything.

        with Staging() as staging:
            write(staging.path(output))
            staging.commit()
    """

    def __init__(self) -> None:
        self._waiting: dict[Path, Path] = {}

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for waiting in self._waiting.values():
            shutil.rmtree(waiting, ignore_errors=True)

    def path(self, final: Path) -> Path:
        """Where to write what will become ``final``; the name, and so the format, is the same.

        Raises:
            OutputError: the folder of ``final`` is missing or cannot be written to.
        """
        folder = final.absolute().parent
        if final.is_dir():
            raise OutputError("An output has the name of a folder; give it the name of a file.")
        if folder not in self._waiting:
            try:
                self._waiting[folder] = Path(tempfile.mkdtemp(prefix=".metasegment-", dir=folder))
            except OSError as error:
                raise output_error(error, folder) from error
        return self._waiting[folder] / final.name

    def commit(self) -> None:
        """Move every file written so far to its place, replacing older ones; all of them, or none.

        Raises:
            OutputError: one could not be moved; those that were moved before are taken back.
        """
        # In the order of writing, so that whoever finds the last output finds the others too.
        moves = [
            (file, folder / file.name)
            for folder, waiting in self._waiting.items()
            for file in sorted(filter(Path.is_file, waiting.iterdir()), key=lambda f: f.stat().st_mtime_ns)
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
    if number in (errno.ENOSPC, errno.EDQUOT) or (folder.is_dir() and _nearly_full(folder)):
        return OutputError("The disk is full; free some space or write to another folder.")
    if not folder.is_dir():
        return OutputError("The output folder does not exist; create it or write to another one.")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError("The output folder cannot be written to; choose another one or change its permissions.")
    return OutputError("The output could not be written; check the format that its name ends in, or write elsewhere.")


def _nearly_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < NEARLY_FULL_BYTES
    except OSError:
        return False


def _flush_to_disk(file: Path) -> None:
    # Some file systems find out only now that there is no room.
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())
