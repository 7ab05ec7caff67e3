"""Which volumes of a data set are kept out of training, for tuning and for telling how well it generalises.

Volumes of one person resemble each other, so they are kept on one side together.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ..errors import InputError

Volume = TypeVar("Volume")

HELD_OUT_EVERY = 6

_PERSON_AND_VIEW = (
    re.compile(r"(sub-[A-Za-z0-9]+)_.+"),  # BIDS: sub-01_ses-2_T1w
    re.compile(r"(.*\d)_(?:frame\d+|E[DS])"),  # the heart at several times of its beat
)
"""File names, without their ending, that are known to say who was scanned and then when or how."""


def persons(names: Iterable[str], about: Mapping[str, Any]) -> list[Hashable]:
    """Who each volume is of, for the file names of a data set; where nothing is known, each is of another person.

    Args:
        about: the set's ``dataset.json``; its ``persons``, file name without ending → person, says more than names do.

    Raises:
        InputError: ``persons`` is something else.
    """
    known = about.get("persons", {})
    if not isinstance(known, dict):
        raise InputError("In dataset.json 'persons' must be a table, file name without ending to person; mend it.")
    return [known.get(stem, _person(stem)) for stem in (name.split(".", 1)[0] for name in names)]


def held_out(volumes: Sequence[Volume], persons: Sequence[Hashable] | None = None) -> list[Volume]:
    """The volumes of every sixth person, in the order given; none of a set of fewer, which is too small to spare any.

    Args:
        persons: of each volume; by default each is of another one.
    """
    persons = range(len(volumes)) if persons is None else persons
    everyone = list(dict.fromkeys(persons))
    if len(everyone) < HELD_OUT_EVERY:
        return []
    kept = set(everyone[::HELD_OUT_EVERY])
    return [volume for volume, person in zip(volumes, persons, strict=True) if person in kept]


def _person(stem: str) -> str:
    return next((match[1] for one in _PERSON_AND_VIEW if (match := one.fullmatch(stem))), stem)
