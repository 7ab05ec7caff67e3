"""The painted slices of a segmentation: listed, taken back, named as empty, accepted.

What the user painted and what was filled in is kept in the segments (see record.py); here it is read for a list and
changed one slice at a time. Every change is one undo step.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import InputError
from ..pieces import Steps, drain
from ..task.doubt import Doubt
from ..task.paint import read_segment
from ..task.parts import Part, on_slices
from .editor import Editor
from .geometry import LABELMAP, grid_of
from .i18n import tr as _
from .layers import layers_steps
from .paint_grid import PaintGrid, paint_grid_of
from .reader import all_hidden, has_labelmap_source, read_part, read_part_steps, visible_segments
from .record import TAG, SliceRecord, painted_now_steps, record_of

_MANY_SLICES = 12
"""Nobody paints more by hand without a gap: a segment on so many slices across every axis was made before."""

_SOLID_VOXELS = 1 << 23
"""A segment that fills most of so large a box was not painted by hand: any axis will do, and nothing is doubted."""


@dataclass(frozen=True)
class PaintedSlice:
    """A slice of a segment that a run learns from.

    Attributes:
        axis, index: which slice of the volume, in numpy order, from 0.
        empty: the structure is absent there.
        doubt: why its paint is not taken for a complete slice, in one sentence; nothing is learned from it then.
    """

    segment_id: str
    name: str
    axis: int
    index: int
    empty: bool = False
    doubt: str = ""


@dataclass(frozen=True)
class Overview:
    """The painted slices of a segmentation.

    Attributes:
        slices: of all visible segments, in the order of the segments and ascending.
        filled: the slices that were filled in, by segment.
        done: names of segments that look finished beside others that were painted on a few slices: such a one makes
            all its slices count as painted.
        problem: why the paint cannot be used as it is, in one sentence; empty when it can.
        state: differs whenever the voxels or the records of the visible segments do, and comes back with an undo.
    """

    slices: tuple[PaintedSlice, ...] = ()
    filled: dict[str, tuple[int, ...]] = field(default_factory=dict)
    done: tuple[str, ...] = ()
    problem: str = ""
    state: Hashable = ()

    @property
    def doubt(self) -> str:
        """Why some paint is not taken for complete slices, in one sentence; empty when all is."""
        return next((row.doubt for row in self.slices if row.doubt), "")

    @property
    def axis(self) -> int | None:
        """The slice axis; None where nothing is painted."""
        return self.slices[0].axis if self.slices else None


@dataclass(frozen=True)
class _Found:
    """The painted slices of one segment."""

    axis: int = 0
    painted: tuple[int, ...] = ()
    there: tuple[int, ...] = ()
    done: bool = False
    problem: str = ""
    doubts: tuple[Doubt, ...] = ()
    place: Hashable = ()


class SliceList:
    """Lists the slices that the next run learns from; looks again only at segments that have changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Hashable, _Found]] = {}

    def look(self, volume: Any, segmentation: Any) -> Overview:
        """What is painted by now, at once; see :meth:`look_steps`."""
        return drain(self.look_steps(volume, segmentation))

    def look_steps(self, volume: Any, segmentation: Any) -> Steps[Overview]:
        """What is painted by now, found in pieces; nothing is changed.

        What was found of a segment is remembered at once, so looking may be given up and begun again.

        Args:
            volume: vtkMRMLScalarVolumeNode.
            segmentation: vtkMRMLSegmentationNode.
        """
        try:
            grid_of(volume, segmentation)
        except InputError as error:
            return Overview(problem=str(error))
        segments = segmentation.GetSegmentation()
        if segments.GetNumberOfSegments() and not has_labelmap_source(segments):
            return Overview()  # made into label maps when they are first painted on or segmented
        every, visible = segments.GetSegmentIDs(), visible_segments(segmentation)
        self._known = {i: known for i, known in self._known.items() if i in every}
        rows: list[PaintedSlice] = []
        filled: dict[str, tuple[int, ...]] = {}
        done: list[str] = []
        problem = all_hidden() if every and not visible else ""
        states: list[Hashable] = []
        for segment_id in visible:
            segment = segments.GetSegment(segment_id)
            if segment is None:  # removed between two pieces
                continue
            try:
                paint_grid = paint_grid_of(volume, segmentation, [segment])
            except InputError as error:
                problem = problem or str(error)
                continue
            grids = tuple((grid.shape, grid.matrix.tobytes()) for grid in (paint_grid.grid, paint_grid.volume))
            state = (_state(segment), grids)
            known, found = self._known.get(segment_id, (None, _Found()))
            if known != state:
                found = yield from _find(segment, paint_grid)
            self._known[segment_id] = (state, found)
            problem = problem or found.problem
            states.append((segment_id, state[0][1], found.place))
            if found.problem or not found.there:
                continue
            name = segment.GetName()
            rows += [PaintedSlice(segment_id, name, found.axis, i, i not in found.there) for i in found.painted]
            rows += [
                PaintedSlice(segment_id, name, doubt.axis, i, doubt=doubt.sentence)
                for doubt in found.doubts
                for i in doubt.slices
            ]
            doubtful = {i for doubt in found.doubts for i in doubt.slices if doubt.axis == found.axis}
            filled[segment_id] = tuple(i for i in found.there if i not in found.painted and i not in doubtful)
            done += [name] if found.done else []
        return Overview(tuple(rows), filled, tuple(done) if len(done) < len(filled) else (), problem, tuple(states))


def painted_slices(volume: Any, segmentation: Any) -> Overview:
    """List the painted slices once; see :class:`SliceList`."""
    return SliceList().look(volume, segmentation)


class SliceEdits:
    """Changes which slices count as painted.

    Args:
        editor: writes; holds the undo steps.
    """

    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    def remove(self, volume: Any, segmentation: Any, segment_id: str, axis: int, index: int) -> None:
        """Take the paint off a slice; the next run fills it again."""
        self._rewrite(volume, segmentation, segment_id, axis, index, keep=False, painted=False)

    def mark_empty(self, volume: Any, segmentation: Any, segment_id: str, axis: int, index: int) -> None:
        """Say that the structure is absent on a slice; whatever the segment has there is erased.

        Raises:
            InputError: the segment has no paint on any other slice, or was painted along another axis.
        """
        self._rewrite(volume, segmentation, segment_id, axis, index, keep=False, painted=True)

    def accept(self, volume: Any, segmentation: Any, segment_id: str, axis: int, index: int) -> None:
        """Count a slice that was filled in as painted, as it is.

        Raises:
            InputError: the slice was not filled in.
        """
        self._rewrite(volume, segmentation, segment_id, axis, index, keep=True, painted=True)

    def _rewrite(
        self, volume: Any, segmentation: Any, segment_id: str, axis: int, index: int, keep: bool, painted: bool
    ) -> None:
        segment = segmentation.GetSegmentation().GetSegment(segment_id)
        if segment is None:
            raise InputError(_("The segment is gone; choose another one."))
        paint_grid = paint_grid_of(volume, segmentation, [segment])
        grid = paint_grid.grid
        if not 0 <= index < paint_grid.volume.shape[axis]:
            raise InputError(_("The slice lies outside the volume; go to one inside."))
        own_axis, slices = paint_grid.from_volume(axis, index)
        part = read_part(segment, grid)
        record = _record(segment, part, own_axis)
        if keep and not record.filled.keys() & set(slices):
            raise InputError(_("The slice that is shown was not filled in; go to one that was."))
        self._editor.open(segmentation)
        self._editor.begin_step()
        if not keep:
            part = _without_slices(part, own_axis, slices)
            layers = drain(layers_steps(segmentation.GetSegmentation(), {segment_id: part}, grid))
            self._editor.put(layers)
        segment.SetTag(TAG, _with_slices(record, part, slices, painted).to_text())
        self._editor.end_step()
        if not keep:
            self._editor.show(segmentation, segment_id, grid, part)
        segmentation.Modified()


def _state(segment: Any) -> tuple[Hashable, str | None]:
    """Changes with the voxels of a segment and with what is remembered in it; its layer may be shared with others."""
    layer, record = segment.GetRepresentation(LABELMAP), record_of(segment)
    voxels = None if layer is None else (layer.GetMTime(), segment.GetLabelValue())
    return voxels, None if record is None else record.to_text()


def _find(segment: Any, paint_grid: PaintGrid) -> Steps[_Found]:
    part = yield from read_part_steps(segment, paint_grid.grid)
    if part.empty:
        return _Found()
    record = record_of(segment)
    place = (part.corner, part.box.shape, int(np.count_nonzero(part.box)))
    try:
        axis, painted, doubts = yield from _painted_steps(part, record)
    except InputError as error:
        return _Found(problem=str(error), place=place)
    there = []
    for a in range(3):
        slices = yield from part.slices_steps(a)
        there.append(slices)
    thick = all(len(there[a]) == part.box.shape[a] >= _MANY_SLICES for a in range(3))

    def on_volume(axis: int, slices: Sequence[int]) -> tuple[int, ...]:
        return tuple(sorted({paint_grid.to_volume(axis, index)[1] for index in slices}))

    return _Found(
        paint_grid.to_volume(axis, 0)[0],
        on_volume(axis, painted),
        on_volume(axis, there[axis]),
        thick and record is None,
        doubts=tuple(
            replace(one, axis=paint_grid.to_volume(one.axis, 0)[0], slices=on_volume(one.axis, one.slices))
            for one in doubts
        ),
        place=place,
    )


def _painted_steps(part: Part, record: SliceRecord | None) -> Steps[tuple[int, list[int], tuple[Doubt, ...]]]:
    """Slice axis, painted slices, and what paint is not taken for complete slices."""
    known = (yield from painted_now_steps(record, part)) if record else None
    if record is not None and known is not None:
        return record.axis, known, ()
    yield
    if part.box.size > _SOLID_VOXELS and 2 * np.count_nonzero(part.box) > part.box.size:
        return 0, (yield from part.slices_steps(0)), ()
    yield
    axis, slices, doubts = read_segment(part.box, part.corner, part.shape)
    return axis, list(slices), doubts


def _record(segment: Any, part: Part, axis: int) -> SliceRecord:
    """The record of a segment brought up to date with what was painted since, or its first one."""
    if part.empty:
        raise InputError(_("Paint the structure on at least one slice first."))
    known = record_of(segment)
    own_axis, painted, _doubts = drain(_painted_steps(part, known))
    if own_axis != axis:
        raise InputError(_("The segment was painted along another axis; go to a slice view of that axis."))
    return replace(SliceRecord.take(part, axis, painted), runs=known.runs if known else ())


def _with_slices(record: SliceRecord, part: Part, slices: Sequence[int], painted: bool) -> SliceRecord:
    support = {i: p for i, p in record.support.items() if i not in slices}
    filled = {i: p for i, p in record.filled.items() if i not in slices}
    if painted:
        support |= SliceRecord.take(part, record.axis, slices).support
    return replace(record, support=dict(sorted(support.items())), filled=filled)


def _without_slices(part: Part, axis: int, slices: Sequence[int]) -> Part:
    """A part without what lies on some slices."""
    box = part.box.copy()
    box[on_slices(part.extent, axis, slices)] = False
    return Part.of(box, part.corner, part.shape)
