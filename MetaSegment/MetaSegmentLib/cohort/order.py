"""What is sent to a worker for one case, and what comes back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from ..files.formats import files_written
from ..files.kept import state_of
from ..networks.weights import FOLDER, checksum, names
from ..settings import Settings
from ..version import __version__
from .cases import Case

State = Literal["done", "failed", "memory", "lost"]


@lru_cache(1)
def program() -> str:
    """Version of MetaSegment and checksum of its weights, which have to be the same on all workers."""
    shipped = _weights(FOLDER)
    return f"{__version__} {hashlib.sha256(shipped.encode()).hexdigest()[:12]}"


def _weights(folder: Path) -> str:
    """Checksums of all weights in a folder."""
    return "".join(checksum(name, folder) for name in names(folder))


@dataclass(frozen=True)
class Order:
    """A case to segment.

    Attributes:
        case: with its place of output.
        output: absolute.
        record: JSON file for what was found, with a picture beside it.
        key: checksum of everything the result depends on; see :func:`key_of`.
        program: see :func:`program`.
    """

    case: Case
    output: Path
    record: Path
    settings: Settings
    key: str
    program: str = field(default_factory=program)

    @property
    def picture(self) -> Path:
        return self.record.with_suffix(".png")


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        id: of the case.
        state: ``memory`` where it did not fit, ``lost`` where its worker ended again and again.
        sentence: why it failed.
        seconds: of the last try.
        checksum: SHA-256 of the output; "" where there is none.
    """

    id: str
    state: State
    sentence: str = ""
    seconds: float = 0.0
    checksum: str = ""


def key_of(case: Case, settings: Settings) -> str:
    """SHA-256 of everything the result depends on, as far as a directory knows it: of files their size and time.

    The names of the files stay out of it, since they may be those of patients; "" where a file is missing.
    """
    own = (case.own,) if case.own else ()
    try:
        files = [state_of(path) for path in (case.image, *case.support, *case.support_images, *own)]
    except OSError:
        return ""
    # The device may change between two runs; the batch and the threads change nothing.
    depends = [program(), files, len(case.support), bool(case.own), case.slices, case.frame]
    if settings.weights:
        depends.append(_weights(Path(settings.weights)))
    text = json.dumps([*depends, case.method or settings.method, settings.seed])
    return hashlib.sha256(text.encode()).hexdigest()


def checksum_of(output: Path) -> str:
    """SHA-256 over all files that an output consists of.

    Raises:
        OSError: the first of them cannot be read.
    """
    header, *beside = files_written(output)
    found = hashlib.sha256()
    for file in (header, *(one for one in beside if one.exists())):
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                found.update(block)
    return found.hexdigest()


def read_record(path: Path) -> dict[str, Any] | None:
    """What a worker found in a case; None where there is no whole record."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and {"key", "checksum", "report"} <= record.keys() else None
