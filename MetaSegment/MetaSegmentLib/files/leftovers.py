"""Hidden folders that wait beside an output: held while their process lives, removed by others when it has ended."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, where nobody can remove a file that another process has open
    fcntl = None  # type: ignore[assignment]

PREFIX = ".metasegment-"
HOLD = ".held"
TRIES = 5


class WaitingFolder:
    """A new hidden folder in ``folder``; the system lets go of it when this process ends, however it does."""

    def __init__(self, folder: Path) -> None:
        for _ in range(TRIES):  # somebody else may take a new folder for an old one before it is held
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
            with suppress(FileNotFoundError):
                self._hold = (self.path / HOLD).open("wb")
                if _take(self._hold) and (self.path / HOLD).exists():
                    return
                self._hold.close()
        raise FileNotFoundError(str(folder))

    def remove(self) -> None:
        _remove_all_but_hold(self.path)
        self._hold.close()
        shutil.rmtree(self.path, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed runs left in ``folder``; nothing of those that go on."""
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                _remove_if_left(Path(entry.path))


def _remove_if_left(waiting: Path) -> None:
    hold = waiting / HOLD
    with suppress(OSError):
        if fcntl is None:
            hold.unlink()
            shutil.rmtree(waiting, ignore_errors=True)
        else:
            with hold.open("rb+") as handle:
                if _take(handle, otherwise=False):
                    _remove_all_but_hold(waiting)
                    shutil.rmtree(waiting, ignore_errors=True)
    with suppress(OSError):
        waiting.rmdir()  # one whose process ended before it was held is empty


def _remove_all_but_hold(waiting: Path) -> None:
    """The file that is held goes last: whoever is killed before leaves a folder that others know for a leftover."""
    with suppress(OSError):  # the folder may be gone already
        for entry in list(os.scandir(waiting)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != HOLD:
                Path(entry.path).unlink()


def _take(hold: IO[bytes], otherwise: bool = True) -> bool:
    """Whether this process now holds the file; ``otherwise`` where the file system knows no locks."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return otherwise
    return True
