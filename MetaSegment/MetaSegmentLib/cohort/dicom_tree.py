"""A tree of DICOM folders as it comes from an archive: a case for each series, painted by what refers to it.

Ids are numbers, as folders may be named after patients. A list in the folder of results keeps which series has which
number, so that they stay the same when the tree grows; it is for the eyes of who runs the cohort alone.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..files.access import unreadable
from ..files.atomic import output_error
from ..files.dicom_folder import Contents, contents_of
from .rows import Row

IDS = "ids-private.csv"
COLUMNS = ("id", "series", "folder")
PREFIX = "series-"
NO_SERIES = "a folder without"
"""Stands in the list of ids for a series that could not be read."""
MIXED = "The folder holds slices of several series; put each series alone into a folder of its own."
SCATTERED = "The files of the series lie in several folders; put them together into one."
LOST_PAINT = "Paint refers to a series that is not in the tree; add the series, or remove the paint."


@dataclass
class Tree:
    """What lies in all folders of a tree.

    Attributes:
        places: folders of each series, in order.
        problems: what is wrong with it.
        paint: files painted on it.
        damaged: what is wrong with a folder in which no series could be read.
    """

    places: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    problems: dict[str, str] = field(default_factory=dict)
    paint: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    damaged: dict[Path, str] = field(default_factory=dict)
    lost: int = 0

    def add(self, folder: Path, contents: Contents) -> None:
        for one in contents.series:
            self.places[one.uid].append(folder)
            mixed = MIXED if len(contents.series) > 1 else ""
            scattered = SCATTERED if len(self.places[one.uid]) > 1 else ""
            found = contents.damage or scattered or mixed or one.problem
            self.problems[one.uid] = found or self.problems.get(one.uid, "")
        for paint in contents.paint:
            for uid in paint.series or {""}:
                self.paint[uid].append(paint.file)
        if contents.damage and not contents.series:
            self.damaged[folder] = contents.damage


def rows_of(top: Path, output: Path) -> list[Row]:
    """A row for each series of a tree.

    Raises:
        InputError: the list of ids in ``output`` is no such list.
        OutputError: it cannot be written.
    """
    tree = Tree()
    for folder, files in _folders(top, output):
        tree.add(folder, contents_of(files))
    keys = [*tree.places, *(f"{NO_SERIES} {os.fspath(folder.relative_to(top))}" for folder in tree.damaged)]
    if not keys:
        return []
    folders = [*(places[0] for places in tree.places.values()), *tree.damaged]
    ids = _ids(output, dict(zip(keys, (folder.relative_to(top) for folder in folders), strict=True)))
    rows = [_row(ids[uid], uid, tree) for uid in tree.places]
    damaged = zip(keys[len(tree.places) :], tree.damaged.values(), strict=True)
    rows += [Row(ids[key], problem=sentence) for key, sentence in damaged]
    lost = {file for uid, files in tree.paint.items() if uid not in tree.places for file in files}
    lost -= {file for uid, files in tree.paint.items() if uid in tree.places for file in files}
    rows += [Row(f"paint-{number:03d}", problem=LOST_PAINT) for number, _ in enumerate(sorted(lost), start=1)]
    return sorted(rows, key=lambda row: (len(row.id), row.id))


def _row(name: str, uid: str, tree: Tree) -> Row:
    paint = tree.paint.get(uid, [])
    problem = tree.problems[uid]
    if not problem and len(paint) > 1:
        problem = "Several DICOM segmentations refer to the series; leave one of them in the tree."
    return Row(name, tree.places[uid][0], tuple((file, None) for file in paint), problem=problem)


def _folders(top: Path, output: Path, above: tuple[str, ...] = ()) -> Iterator[tuple[Path, list[Path]]]:
    """Each folder with its files, in the order of their names; without that of the results, and round no circles."""
    real = os.path.realpath(top)
    if real in above or real == os.path.realpath(output):
        return
    try:
        entries = sorted(one for one in top.iterdir() if not one.name.startswith("."))
    except OSError as error:
        raise unreadable(error, "DICOM tree") from error
    if files := [one for one in entries if one.is_file()]:
        yield top, files
    for one in entries:
        if one.is_dir():
            yield from _folders(one, output, (*above, real))


def _ids(output: Path, folders: dict[str, Path]) -> dict[str, str]:
    """The id of each series, known ones as they were, new ones numbered from there on; kept in ``output``."""
    known = _known(output / IDS)
    last = max((int(row[0].removeprefix(PREFIX)) for row in known), default=0)
    ids = {row[1]: row[0] for row in known}
    new = [
        (f"{PREFIX}{last + number:03d}", uid, os.fspath(folders[uid]))
        for number, uid in enumerate((uid for uid in folders if uid not in ids), start=1)
    ]
    if new:
        _keep(output, [*known, *new])
    return ids | {uid: name for name, uid, _ in new}


def _known(file: Path) -> list[tuple[str, str, str]]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            header, *rows = csv.reader(lines)
        if tuple(header) != COLUMNS:
            raise ValueError
        return [(name, uid, folder) for name, uid, folder in rows if int(name.removeprefix(PREFIX)) > 0]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(error, "list of ids") from error
    except (ValueError, csv.Error) as error:
        raise InputError(f"The file {IDS} in the output folder is damaged; move it away to number all anew.") from error


def _keep(output: Path, rows: Iterable[tuple[str, str, str]]) -> None:
    """Write the list in one go, for its owner alone."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix=".ids-", dir=output)
        try:
            with os.fdopen(number, "w", encoding="utf-8", errors="replace", newline="") as file:
                csv.writer(file).writerows([COLUMNS, *rows])
                file.flush()
                os.fsync(number)
            os.replace(name, output / IDS)
        finally:
            with suppress(FileNotFoundError):
                Path(name).unlink()
    except OSError as error:
        raise output_error(error, output) from error
