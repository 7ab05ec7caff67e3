"""What an earlier run filled, by the record in each segment (see task/record.py); and the record for the next run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..errors import InputError
from ..settings import Result
from ..task import doubt
from ..task.history import note_of_run, with_note
from ..task.paint import named_axis
from ..task.parts import Mask, Part, on_slices
from ..task.record import TAG, SliceRecord
from .grids import Grid
from .named_slices import NamedSlices
from .orientation import Turn
from .segments import Painted, Segment, compact, keep


def without_filled(
    painted: Painted, grid: Grid, slices: NamedSlices | None = None, axis: int | None = None
) -> tuple[Painted, NamedSlices | None, int | None]:
    """Only what was painted by hand, of segments that an earlier run has filled.

    Args:
        painted: segments with painted and filled slices.
        grid: the image's, which they lie on.
        slices: named by the caller, for all segments or by label value; what is named is not looked up.
        axis: named by the caller.

    Returns:
        The paint, and the slices and the axis to give to :func:`~MetaSegmentLib.segment` with it.

    Raises:
        InputError: the records contradict each other or the axis, or nothing of the paint is left.
    """
    if slices is not None and not isinstance(slices, Mapping):
        return _on_named(painted, slices, axis)
    named = dict(slices or {})
    layers = list(painted.layers)
    axes: dict[int, Segment] = {}
    for segment in painted.segments:
        record = SliceRecord.from_text(segment.tags.get(TAG, ""))
        if record is None or segment.value in named:
            continue
        mask = layers[segment.layer] == segment.value
        found = _painted_now(record, mask, _frames(grid, painted.stored or grid))
        if found is None and mask.any() and record.filled and sorted(record.shape) != sorted(grid.array_shape):
            raise InputError(
                f"The segment '{segment.name}' was filled by an earlier run on a volume of another size; name the "
                f"slices that count (--slices {segment.value}:3,9), or give that volume."
            )
        if found is None:
            continue
        own_axis, own = found
        part = Part.of(mask)
        axes[own_axis] = segment
        filled = part.box.copy()
        filled[on_slices(part.extent, own_axis, own)] = False
        if np.array_equal(filled, part.box):
            raise InputError(
                f"The segment '{segment.name}' was filled by an earlier run and holds no paint any more; paint it on "
                f"some slices, leave it out, or name the slices that count (--slices {segment.value}:3,9)."
            )
        if layers[segment.layer] is painted.layers[segment.layer]:
            layers[segment.layer] = layers[segment.layer].copy()
        layers[segment.layer][part.extent][filled] = 0
        named[segment.value] = tuple(own)
    if not axes:
        return painted, slices, axis
    if len(axes) > 1:
        first, second = (segment.name for segment in list(axes.values())[:2])
        raise InputError(f"'{first}' and '{second}' were painted along different axes; segment one at a time.")
    ((own_axis, segment),) = axes.items()
    if axis not in (None, own_axis):
        raise InputError(
            f"The segment '{segment.name}' was painted along axis {own_axis}, not {axis}; leave the axis out, or name "
            "the painted slices too."
        )
    return replace(compact(layers, painted.segments), notes=painted.notes), named, own_axis


def _on_named(
    painted: Painted, slices: tuple[int, ...], axis: int | None
) -> tuple[Painted, NamedSlices | None, int | None]:
    """Paint of which slices are named for all segments: one without paint on any of them is left out with a note, be it
    in a layer of its own since it overlaps another one elsewhere."""
    if len(painted.layers) == 1:
        return painted, slices, axis
    parts = {one.value: Part.of(painted.layers[one.layer] == one.value) for one in painted.segments}
    parts = {value: part for value, part in parts.items() if not part.empty}
    across = named_axis(slices, [*parts.values()]) if axis is None else axis
    there = {value for value, part in parts.items() if not {*part.slices(across)}.isdisjoint(slices)}
    if not there or len(there) == len(parts):
        return painted, slices, axis
    left = [one for one in painted.segments if one.value in parts and one.value not in there]
    notes = [
        doubt.elsewhere(one.value, f"'{one.name}'", across, parts[one.value].slices(across)).sentence for one in left
    ]
    layers = [keep(layer, there) for layer in painted.layers]
    return replace(compact(layers, painted.segments), notes=(*painted.notes, *notes)), slices, across


def with_records(
    segments: Sequence[Segment], results: Sequence[Result], grid: Grid, elsewhere: int | None = None
) -> list[Segment]:
    """The segments with records of what was painted and what was filled.

    Args:
        segments: of the results.
        results: one a layer.
        grid: the results'.
        elsewhere: slice axis of the results' volume, if another one was painted on: all in this one was filled.
    """
    return [_with_record(segment, results[segment.layer], grid, elsewhere) for segment in segments]


def _with_record(segment: Segment, result: Result, grid: Grid, elsewhere: int | None) -> Segment:
    tags = {key: text for key, text in segment.tags.items() if key != TAG}
    learned = result.report["segments"].get(str(segment.value))
    if learned is not None:
        axis, support = int(result.report["axis"]), [int(i) for i in learned["support_slices"]]
        if elsewhere is not None:
            axis, support = elsewhere, []
        mask = _as_in_slicer(result.labels == segment.value, grid)
        record = SliceRecord.take(Part.of(mask), axis, _turned(support, axis, grid))
        known = SliceRecord.from_text(segment.tags.get(TAG, ""))
        note = note_of_run(result.report, segment.value, len(learned["support_slices"]))
        tags[TAG] = replace(record, runs=with_note(known.runs if known else (), note)).to_text()
    return replace(segment, fields={**segment.fields, "tags": tags})


def _painted_now(record: SliceRecord, mask: Mask, frames: Sequence[Turn]) -> tuple[int, list[int]] | None:
    """The axis and the slices of the mask that the record knows as painted, in the first frame in which it fits."""
    for turn in frames:
        turned = turn.apply(mask)
        found = record.painted_now(Part.of(turned))
        if found is not None:
            last = turned.shape[record.axis] - 1
            return turn.order[record.axis], sorted(last - i if record.axis in turn.reversed_axes else i for i in found)
    return None


def _frames(grid: Grid, stored: Grid) -> list[Turn]:
    """How to turn the image's arrays into those that a record may go by: as Slicer reads the file that it stands in,
    or as the file stores them."""
    if not _left_handed(stored):
        return [Turn.onto(grid, stored)]
    reversed_slices = np.reshape(stored.direction, (3, 3)) * (1, 1, -1)
    in_slicer = replace(stored, direction=tuple(float(x) for x in reversed_slices.ravel()))
    return [Turn.onto(grid, in_slicer), Turn.onto(grid, stored)]


def _as_in_slicer(mask: Mask, grid: Grid) -> Mask:
    """The mask on the volume as Slicer holds it, by which records go: it reverses the slices of left-handed ones."""
    return mask[::-1] if _left_handed(grid) else mask


def _turned(slices: Sequence[int], axis: int, grid: Grid) -> list[int]:
    """Indices of slices on the volume as Slicer holds it, from those on the grid; or the other way round."""
    reverse = axis == 0 and _left_handed(grid)
    return sorted(grid.array_shape[0] - 1 - i if reverse else i for i in slices)


def _left_handed(grid: Grid) -> bool:
    return bool(np.linalg.det(np.reshape(grid.direction, (3, 3))) < 0)
