"""Names of files that hold on every system: ids made safe, and outputs that stay inside their folder."""

from __future__ import annotations

import os
import re
import unicodedata
import zlib
from pathlib import Path, PureWindowsPath

from ..errors import InputError
from ..files.formats import writable_format
from .cases import DICOM_ENDINGS

RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
"""Names of devices on Windows, with any ending."""
FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')
PLAIN = "-_.+=@, ()"
"""What may stand in an id besides letters and digits."""
LONGEST_BYTES = 150
"""Of an id in UTF-8; a file name has 255, of which endings and names of waiting files take some."""


def safe_id(text: str) -> str:
    """An id as part of a file name on any system; the same for ids that look alike."""
    composed = unicodedata.normalize("NFC", text.strip())
    safe = "".join(
        letter if unicodedata.category(letter)[0] in "LMN" or letter in PLAIN else "_" for letter in composed
    )
    safe = safe.strip(". ") or "_"
    if safe.startswith("-") or RESERVED.fullmatch(safe):
        safe = f"_{safe}"
    if len(safe.encode()) > LONGEST_BYTES:
        mark = f"-{zlib.crc32(safe.encode()):08x}"
        safe = safe.encode()[: LONGEST_BYTES - len(mark)].decode(errors="ignore").rstrip() + mark
    return safe


def alike(name: str) -> str:
    """Equal for names that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def place(folder: Path, text: str, ending: str) -> Path:
    """Where an output named ``text`` lies below ``folder``; ``ending`` is added to a name that has none.

    Raises:
        InputError: outside the folder, in whatever way, links included, or a name that not every system can have.
        OutputError: a name of no format.
    """
    given = text.strip()
    named = Path(given if os.name == "nt" else given.replace("\\", "/"))
    if PureWindowsPath(given).drive and not named.is_absolute():
        raise _outside()
    if named.name and not named.suffix:
        named = named.with_name(named.name + ending)
    try:
        top, whole = Path(os.path.realpath(folder)), Path(os.path.realpath(folder / named))
    except ValueError as error:
        raise _no_name() from error
    if whole == top or not whole.is_relative_to(top):
        raise _outside()
    inside = whole.relative_to(top)
    if any(FORBIDDEN.search(part) or RESERVED.fullmatch(part) or part[-1] in ". " for part in inside.parts):
        raise _no_name()
    if not inside.name.lower().endswith(DICOM_ENDINGS):
        writable_format(inside)
    return folder.absolute() / inside


def _outside() -> InputError:
    return InputError("The output lies outside the output folder; give a name inside it.")


def _no_name() -> InputError:
    return InputError("The output has a name that not every system can have; give it one of letters, digits, - and _.")
