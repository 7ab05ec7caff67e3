"""Slices that a user names as complete: ``3,9,15`` for all segments, ``2:4,8 3:5`` for each by its label value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..errors import InputError

NamedSlices = tuple[int, ...] | Mapping[int, tuple[int, ...]]
"""For all segments, or by label value."""
Group = tuple[int | None, tuple[int, ...]]
"""Label value, None for all segments, and slices."""

_GROUP = re.compile(r"(?:(\d+):)?(\d+(?:,\d+)*),?")


def read_group(text: str) -> Group:
    """One word: ``3,9,15`` or ``2:3,9,15``.

    Raises:
        InputError: it is neither.
    """
    found = _GROUP.fullmatch(_tidy(text))
    if found is None:
        raise InputError("The slices are not understood; write 3,9 for all segments, or 2:4,8 for segment 2 alone.")
    value, slices = found.groups()
    return None if value is None else int(value), tuple(map(int, slices.split(",")))


def together(groups: Sequence[Group]) -> NamedSlices | None:
    """All that was named, None for nothing; what is named twice for a segment is added up.

    Raises:
        InputError: slices for all segments and for some.
    """
    found: dict[int | None, tuple[int, ...]] = {}
    for value, slices in groups:
        found[value] = (*found.get(value, ()), *slices)
    if None in found and len(found) > 1:
        raise InputError("Name slices for all segments (3,9) or for each (2:3,9), not both.")
    return found.get(None) or {value: some for value, some in found.items() if value is not None} or None


def words(text: str) -> list[str]:
    """The words of a text, blanks beside commas and colons left out: "2: 4, 8 3:5" → 2:4,8 and 3:5."""
    return _tidy(text).split()


def _tidy(text: str) -> str:
    return re.sub(r"\s*([,:])\s*", r"\1", text).strip()


def read_named_slices(text: str) -> NamedSlices | None:
    """All words of a text together; None for an empty one.

    Raises:
        InputError: as :func:`read_group` and :func:`together`.
    """
    return together([read_group(word) for word in words(text)])
