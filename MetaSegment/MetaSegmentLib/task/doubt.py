"""Paint that is not taken as complete slices, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["stray", "brush", "plane", "elsewhere"]


@dataclass(frozen=True)
class Doubt:
    """Paint of a segment that was left out: its slices are filled like any unpainted one.

    Attributes:
        kind: ``stray`` marks, ``brush`` discs beside painted slices, a ``plane`` across another axis, paint that is all
            ``elsewhere`` than on the named slices.
        value: label of the segment.
        axis: array axis across which ``slices`` lie; for a ``plane`` not the slice axis.
        slices: ascending indices of the slices that were left out.
        sentence: what was found where, and how to settle it.
    """

    kind: Kind
    value: int
    axis: int
    slices: tuple[int, ...]
    sentence: str


def stray(value: int, whose: str, axis: int, slices: Sequence[int], voxels: int) -> Doubt:
    """A doubt about marks of ``voxels`` in all; ``whose`` names the segment where there are several."""
    one = len(slices) == 1
    sentence = (
        f"{numbered(slices)}{whose} {'holds' if one else 'hold'} no more than a stray mark of {counted(voxels)}, so "
        f"{'it counts' if one else 'they count'} as unpainted; erase the mark, or name the slices that are complete."
    )
    return Doubt("stray", value, axis, tuple(slices), sentence)


def brush(value: int, whose: str, axis: int, slices: Sequence[int], beside: Sequence[int]) -> Doubt:
    """A doubt about discs on ``slices`` that a 3D brush left when the slices ``beside`` them were painted."""
    sentence = (
        f"{numbered(slices)}{whose} {'looks' if len(slices) == 1 else 'look'} like what a 3D brush left beside "
        f"{numbered(beside).lower()}, so {'it counts' if len(slices) == 1 else 'they count'} as unpainted; "
        "paint with a flat brush, or name the slices that are complete."
    )
    return Doubt("brush", value, axis, tuple(slices), sentence)


def plane(value: int, whose: str, axis: int, slices: Sequence[int], slice_axis: int) -> Doubt:
    """A doubt about slices across ``axis`` of a segment that is painted across ``slice_axis``."""
    sentence = (
        f"{numbered(slices)} across axis {axis}{whose} {'was' if len(slices) == 1 else 'were'} not used, since the "
        f"other slices lie across axis {slice_axis}; paint along one axis, or name the axis and its slices."
    )
    return Doubt("plane", value, axis, tuple(slices), sentence)


def elsewhere(value: int, name: str, axis: int, slices: Sequence[int]) -> Doubt:
    """A doubt about a segment that is painted on ``slices``, none of which was named."""
    name = name[:1].upper() + name[1:]
    sentence = f"{name} is left out, since none of the named slices has paint of it; name slices of it too."
    return Doubt("elsewhere", value, axis, tuple(slices), sentence)


def numbered(slices: Sequence[int]) -> str:
    """'Slice 4', 'Slices 3, 5 and 8', 'Slices 3–9 and 12'."""
    words: list[str] = []
    start = 0
    for end in range(1, len(slices) + 1):
        if end < len(slices) and slices[end] == slices[end - 1] + 1:
            continue
        first, last = slices[start], slices[end - 1]
        words += [f"{first}–{last}"] if last > first + 1 else [str(i) for i in slices[start:end]]
        start = end
    text = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"{'Slice' if len(slices) == 1 else 'Slices'} {text}"


def counted(voxels: int) -> str:
    return "1 voxel" if voxels == 1 else f"{voxels} voxels"
