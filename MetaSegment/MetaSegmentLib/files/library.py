"""Painted volumes in files, and which of them are most like an image that nobody painted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..progress import CancelCallback, Progress, ProgressCallback
from ..registration.retrieval import Picture, about, nearest, picture_of
from ..task.volume import check_volume
from .grids import Grid
from .images import read_image
from .orientation import Turn
from .parts import same_file

Pair = tuple[Path, Path]
"""A painted volume: the file of the paint, and what it was painted on."""


@dataclass(frozen=True)
class Chosen:
    """What was taken from a library.

    Attributes:
        pairs: the most alike first.
        about: for the report.
        notes: what a user should know.
    """

    pairs: tuple[Pair, ...]
    about: dict[str, Any]
    notes: tuple[str, ...] = ()


def choose(
    image: Path,
    library: Sequence[Pair],
    channel: int | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
) -> Chosen:
    """The one to three volumes of a library that are most like an image; the image itself is none of them.

    Raises:
        InputError: the image cannot be read, or nothing in the library can.
        Cancelled: by ``cancel``.
    """
    array, grid = read_image(image, channel=channel)
    target = picture_of(check_volume(array, grid.array_spacing))
    others = [pair for pair in library if not same_file(pair[1], image)]
    pairs, pictures = [], []
    for pair in Progress(progress, cancel).steps("looking through the library", others):
        try:
            pictures.append(_picture(pair[1], grid, channel))
        except InputError:
            continue
        pairs.append(pair)
    if not pairs:
        raise InputError("The library holds no painted volume that can be read; put some into it, or paint this one.")
    found = nearest(target, pictures)
    lost = len(others) - len(pairs)
    notes = (f"{lost} of the {len(others)} images of the library could not be read and were left out.",) if lost else ()
    return Chosen(tuple(pairs[place] for place, _ in found), about(len(pairs), found), notes)


def _picture(path: Path, as_in: Grid, channel: int | None) -> Picture:
    """The picture of a volume that lies as another grid does."""
    array, grid = read_image(path, "library image", channel)
    upright = Turn.onto(grid, as_in)
    k, j, i = (grid.array_spacing[axis] for axis in upright.order)
    return picture_of(check_volume(upright.apply(array), (k, j, i)))
