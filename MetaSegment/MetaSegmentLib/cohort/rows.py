"""What a source gives as its cases, checked one by one: a fault of one is reported and stops none of the others."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, MetaSegmentError
from ..files.access import require_readable
from ..files.formats import files_written
from ..files.named_slices import read_named_slices, words
from ..files.parts import same_file
from ..files.segmentations import require_support
from ..predictors.registry import METHODS
from .cases import Case, Cases, Common, Problem
from .names import alike, place, safe_id

Paint = tuple[Path, Path | None]
"""A file of painted slices and what they were painted on; None for the image of the case."""


@dataclass(frozen=True)
class Row:
    """One case as its source gives it.

    Attributes:
        output: inside the output folder; empty for one named after the id.
        line: of the manifest; None in other sources.
        problem: why the case cannot be done, where the source itself shows it.
    """

    id: str
    image: Path = Path()
    paint: tuple[Paint, ...] = ()
    output: str = ""
    method: str = ""
    slices: str = ""
    frame: int | None = None
    line: int | None = None
    problem: str = ""


def checked(rows: Sequence[Row], output: Path, common: Common) -> Cases:
    """The cases of all rows that have nothing wrong with them, and the problems of the others."""
    found: list[Case | Problem] = []
    for group in _by_id(rows).values():
        if len(group) > 1:
            found.append(Problem(safe_id(group[0].id), _same_id(group)))
            continue
        (row,) = group
        try:
            found.append(_case(row, output, common))
        except MetaSegmentError as error:
            found.append(Problem(_name(row), str(error)))
    cases = [one for one in found if isinstance(one, Case)]
    clashing = _clashing(cases, output, common)
    found = [
        Problem(one.id, clashing[one.id]) if isinstance(one, Case) and one.id in clashing else one for one in found
    ]
    return Cases(
        tuple(one for one in found if isinstance(one, Case)),
        tuple(one for one in found if isinstance(one, Problem)),
    )


def _by_id(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by what their results would be named; those without an id each alone."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for number, row in enumerate(rows):
        groups[alike(safe_id(row.id)) if row.id.strip() else f"/{number}"].append(row)
    return groups


def _name(row: Row) -> str:
    """The id, or the line of a row without one; the blank keeps it apart from every id."""
    return safe_id(row.id) if row.id.strip() else f"line {row.line}"


def _same_id(group: Sequence[Row]) -> str:
    lines = [str(row.line) for row in group if row.line is not None]
    where = f" (lines {', '.join(lines[:-1])} and {lines[-1]})" if lines else ""
    why = "the same id" if len({row.id for row in group}) == 1 else "ids that make the same name of a file"
    return f"Several cases{where} have {why}; give each its own."


def _case(row: Row, output: Path, common: Common) -> Case:
    """The case of a row.

    Raises:
        MetaSegmentError: anything is wrong with it.
    """
    if row.problem:
        raise InputError(row.problem)
    if not row.id.strip():
        raise InputError("The id is empty; give the case one.")
    require_readable(row.image, "image")
    paint = row.paint or tuple(_pairs(common))
    if not paint:
        raise InputError("The case has no painted slices; paint some, or give those of another patient for all cases.")
    for support, on in row.paint:
        require_support(support)
        if on is not None:
            require_readable(on, "support image")
    own = [support for support, on in paint if on is None or same_file(on, row.image)]
    others = [(support, on) for support, on in paint if on is not None and support not in own]
    if len(own) > 1:
        raise InputError("Several supports were painted on the image itself; put their segments into one .seg.nrrd.")
    if row.method and row.method not in METHODS:
        raise InputError("There is no such method; 'metasegment methods' lists them.")
    read_named_slices(row.slices)
    name = safe_id(row.id)
    place(output, f"{name}{common.ending}", common.ending)
    return Case(
        id=name,
        image=row.image,
        support=tuple(support for support, _ in others) or tuple(own),
        support_images=tuple(on for _, on in others),
        own=own[0] if own and others else None,
        output=place(output, row.output, common.ending) if row.output.strip() else None,
        method=row.method,
        slices=" ".join(words(row.slices)),
        frame=row.frame,
    )


def _pairs(common: Common) -> Iterable[Paint]:
    if not common.support_images:
        return [(support, None) for support in common.support]
    return zip(common.support, common.support_images, strict=True)


def _clashing(cases: Sequence[Case], output: Path, common: Common) -> dict[str, str]:
    """What is wrong with the outputs of cases that would overwrite each other's, or an input of any, by id."""
    given = {*common.support, *common.support_images}
    for case in cases:
        given |= {case.image, *case.support, *case.support_images, *([case.own] if case.own else [])}
    inputs = {_key(path) for path in given}
    writers: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        for file in files_written(case.result(output.absolute(), common.ending)):
            writers[_key(file)].add(case.id)
    wrong: dict[str, str] = {}
    for key, ids in writers.items():
        if len(ids) > 1:
            wrong |= dict.fromkeys(ids, "Several cases have the same output; give each its own.")
        elif key in inputs:
            wrong |= dict.fromkeys(ids, "The output would overwrite an input of the cohort; give it another name.")
    return wrong


def _key(path: Path) -> str:
    """Equal for all names of one file, also where capitals make no difference."""
    return alike(os.path.realpath(path))
