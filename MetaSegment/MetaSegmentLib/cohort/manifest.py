"""A manifest: a table in text, one case a line, as spreadsheets save it in whatever encoding and with any separator."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import InputError
from ..files.access import require_file, unreadable
from ..files.parts import is_there
from ..terminal import one_line
from .rows import Paint, Row

COLUMNS = ("id", "image", "support", "support_image", "output", "method", "slices")
SEPARATORS = (",", ";", "\t")
BETWEEN = "|"
"""Between several supports of a case, and what they were painted on."""
ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""By how a table begins."""
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""What Excel's own files begin with."""


def rows_of(manifest: Path, needs_support: bool) -> list[Row]:
    """The rows of a manifest, with relative paths from its folder.

    Args:
        needs_support: whether there is none for all cases.

    Raises:
        InputError: it is no table with the right columns.
    """
    require_file(manifest, "manifest")
    try:
        content = manifest.read_bytes()
    except OSError as error:
        raise unreadable(error, "manifest") from error
    if content.startswith(WORKBOOKS):
        raise InputError("The manifest is a workbook; save its sheet as CSV and give that.")
    lines = _table(_decoded(content))
    header = next(lines, None)
    if header is None:
        raise InputError("The manifest is empty; it needs a line with the names of columns and one line a case.")
    columns = _columns(header[1], needs_support)
    folder = manifest.absolute().parent
    return [_row(number, cells, columns, folder) for number, cells in lines]


def _decoded(content: bytes) -> str:
    encoding = next((name for mark, name in ENCODINGS if content.startswith(mark)), "utf-8")
    if b"\0" in content[:2]:  # the first letter of a table is one of the Latin alphabet
        encoding = "utf-16-be" if content[0] == 0 else "utf-16-le"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise InputError("The manifest is damaged or cut short; save it again as CSV in UTF-8.") from error
    try:
        return content.decode("cp1252")  # what Windows takes for Latin-1: it has more letters, but not all bytes
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _table(text: str) -> Iterator[tuple[int, list[str]]]:
    """(number, cells) of each line that is not empty, the header first; a case on several lines counts as its last."""
    separator, text = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise InputError(
            f"Line {reader.line_num} of the manifest cannot be read; end every quote, or save the table again as CSV."
        ) from error


def _separator(text: str) -> tuple[str, str]:
    """What stands between cells, and the text without a line that says so, as Excel understands it."""
    if named := re.match(r"sep=(.)(?=[\r\n])", text):
        return named[1], text[named.end() :]
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(SEPARATORS, key=lambda one: sum(_plain(cell) in COLUMNS for cell in header.split(one))), text


def _plain(column: str) -> str:
    return re.sub(r"[\s-]+", "_", column.strip().strip('"').lower())


def _columns(header: Sequence[str], needs_support: bool) -> dict[str, int]:
    """Column → its place.

    Raises:
        InputError: one is missing, unknown or there twice.
    """
    names = [_plain(cell) for cell in header]
    needed = COLUMNS[: 3 if needs_support else 2]
    missing = [name for name in needed if name not in names]
    # Where nothing is known, the line is no header, and may tell who the patients are.
    is_header = any(name in COLUMNS for name in names)
    unknown = [one_line(cell) for cell, name in zip(header, names, strict=True) if name and name not in COLUMNS]
    extra = f", and has unknown ones: {', '.join(unknown)}" if unknown and is_header else ""
    if missing:
        otherwise = ", or give --support for all cases" if missing == ["support"] else ""
        raise InputError(
            f"The manifest lacks columns: {', '.join(missing)}{extra}; "
            f"let its first line name {', '.join(needed)}{otherwise}."
        )
    if unknown:
        raise InputError(
            f"The manifest has unknown columns: {', '.join(unknown)}; remove them, known are {', '.join(COLUMNS)}."
        )
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise InputError(f"The manifest has columns twice: {', '.join(twice)}; remove one of each.")
    return {name: number for number, name in enumerate(names) if name}


def _row(line: int, cells: Sequence[str], columns: dict[str, int], folder: Path) -> Row:
    def cell(name: str) -> str:
        number = columns.get(name, len(cells))
        return cells[number] if number < len(cells) else ""

    problem = ""
    if any(text for number, text in enumerate(cells) if number not in columns.values()):
        problem = "The line has more cells than the first one has names; put quotes around what holds separators."
    elif not cell("image"):
        problem = "The image is missing; give its file or folder."
    paint: tuple[Paint, ...] = ()
    if not problem:
        try:
            paint = _paint(cell("support"), cell("support_image"), folder)
        except InputError as error:
            problem = str(error)
    return Row(
        id=cell("id"),
        image=_path(folder, cell("image")),
        paint=paint,
        output=cell("output"),
        method=cell("method"),
        slices=cell("slices"),
        line=line,
        problem=problem,
    )


def _paint(support: str, support_image: str, folder: Path) -> tuple[Paint, ...]:
    """Each support with what it was painted on; no image stands for the case's own.

    Raises:
        InputError: there are not as many of the one as of the other.
    """
    supports = [one.strip() for one in support.split(BETWEEN)] if support else []
    images = [one.strip() for one in support_image.split(BETWEEN)] if support_image else [""] * min(len(supports), 1)
    if len(images) != len(supports) or not all(supports):
        raise InputError(f"The case needs as many support images as supports, with {BETWEEN} between them.")
    return tuple(
        (_path(folder, one), _path(folder, image) if image else None)
        for one, image in zip(supports, images, strict=True)
    )


def _path(folder: Path, text: str) -> Path:
    """A path of the manifest; one with the separators of Windows is understood elsewhere, too."""
    path = folder / text
    if os.sep == "/" and "\\" in text and not is_there(path):
        return folder / text.replace("\\", "/")
    return path
