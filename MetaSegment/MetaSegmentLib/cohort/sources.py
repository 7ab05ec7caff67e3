"""Cases from a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .cases import Case


@dataclass(frozen=True)
class Common:
    """What the command line gives to every case.

    Attributes:
        support: painted slices, of one patient each.
        support_images: what each of them was painted on.
        ending: of the results.
    """

    support: tuple[Path, ...] = ()
    support_images: tuple[Path, ...] = ()
    ending: str = ".seg.nrrd"


@dataclass(frozen=True)
class Problem:
    """Why one case cannot be segmented."""

    id: str
    sentence: str


@dataclass(frozen=True)
class Cases:
    """What a source holds."""

    cases: tuple[Case, ...]
    problems: tuple[Problem, ...] = ()


def find_cases(source: Path, output: Path, common: Common) -> Cases:
    """The cases of a CSV file with the columns id, image and, unless ``common`` has one, support.

    Raises:
        InputError: there is no such file, or a column is missing.
    """
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError) as error:
        raise InputError("The manifest cannot be read; give a CSV file.") from error
    folder = source.absolute().parent
    found = []
    for row in rows:
        if not row.get("id") or not row.get("image"):
            raise InputError("The manifest needs the columns id and image.")
        support = tuple(folder / path for path in (row.get("support") or "",) if path)
        images = tuple(folder / path for path in (row.get("support_image") or "",) if path)
        named = (folder / row["support"],) if support else common.support
        on = images if support else common.support_images
        method, slices = row.get("method") or "", row.get("slices") or ""
        place = output.absolute() / (row["id"] + common.ending)
        found.append(Case(row["id"], folder / row["image"], named, on, None, place, method, slices))
    return Cases(tuple(found))
