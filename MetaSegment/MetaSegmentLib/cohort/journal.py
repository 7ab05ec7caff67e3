"""What a batch has done, in its folder: a line for every case that ended, on disk before the next one.

A line holds the case's id, how it ended and checksums; no names, paths or identifiers beside the id.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ..errors import OutputError
from ..files.atomic import output_error
from ..files.parts import is_there
from .order import Order, Outcome, checksum_of, read_record

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = "journal.jsonl"
LOCK = ".batch.lock"


class Journal:
    """The journal of a folder, which no other batch can write to meanwhile; made on first use.

    Args:
        folder: of the results.
        resume: whether a batch that is there already goes on.

    Raises:
        OutputError: the folder is another batch's, holds an earlier one, or cannot be written to.
    """

    def __init__(self, folder: Path, resume: bool = False) -> None:
        self._path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(folder / LOCK)
        except OSError as error:
            raise output_error(error, folder.parent) from error
        try:
            if self._path.exists() and not resume:
                raise OutputError(
                    "The folder holds an earlier batch; add --resume to go on with it, or choose another folder."
                )
            self._ended = _last_lines(self._path)
            self._file = self._opened()
        except BaseException:
            self._lock.close()
            raise

    def finished(self, order: Order) -> Outcome | None:
        """How the case ended well in an earlier run, its output being there as it was written, and its picture; None
        where it has to be done (again).

        A result that appeared when the batch was already gone, from a worker that outlived it, is entered now.
        """
        record = read_record(order.record)
        if not order.key or record is None or record["key"] != order.key or not _as_written(order, record["checksum"]):
            return None
        if not is_there(order.picture):
            return None
        seconds = float(record["report"]["seconds"]["total"])
        outcome = Outcome(order.case.id, "done", "", seconds, record["checksum"])
        line = self._ended.get(order.case.id, {})
        if (line.get("state"), line.get("key"), line.get("checksum")) != ("done", order.key, outcome.checksum):
            self.enter(order, outcome, found=True)
        return outcome

    def enter(self, order: Order, outcome: Outcome, **more: Any) -> None:
        """One line about the end of a case, safe on disk when this returns.

        Raises:
            OutputError: it could not be written.
        """
        line = json.dumps({**asdict(outcome), "key": order.key, **more}, ensure_ascii=False)
        try:
            self._file.write(line.encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise output_error(error, self._path.parent) from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        self._lock.close()

    def _opened(self) -> IO[bytes]:
        file = self._path.open("ab+", buffering=0)
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # the last line of a batch that was killed
                file.write(b"\n")
        return file


def _as_written(order: Order, checksum: str) -> bool:
    try:
        return checksum == checksum_of(order.output)
    except OSError:
        return False


def _last_lines(path: Path) -> dict[str, dict[str, Any]]:
    """The last line of each case; lines that were cut off are left out."""
    found: dict[str, dict[str, Any]] = {}
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            entry = json.loads(line)
            found[entry["id"]] = entry
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _locked(path: Path) -> IO[bytes]:
    """A file that this process holds; the system lets go of it when the process ends, however it does.

    Raises:
        OutputError: another process holds it.
    """
    file = path.open("ab+")
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError) as error:
        file.close()
        raise OutputError(
            "Another batch is writing into this folder; wait for its end, or choose another folder."
        ) from error
    except OSError:  # not every file system has locks
        pass
    return file
