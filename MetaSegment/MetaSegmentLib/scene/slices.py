"""The painted slices of a segmentation: listed, taken back, named as empty, accepted.

What the user painted and what was filled in is kept in the segments (see record.py); here it is read for a list and
changed one slice at a time. Every change is one undo step.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import InputError
from ..task.paint import read_paint
from .editor import Editor
from .geometry import Grid, grid_of
from .i18n import tr as _
from .parts import Part
from .reader import LABELMAP, has_labelmap_source, read_part
from .record import TAG, SliceRecord, record_of

_MANY_SLICES = 12
"""Nobody paints more by hand without a gap: a segment on so many slices across every axis was made before."""


@dataclass(frozen=True)
class PaintedSlice:
    """A slice of a segment that a run learns from; ``empty`` says that the structure is absent there.

    ``axis`` is in numpy order, ``index`` counts from 0 along it.
    """

    segment_id: str
    name: str
    axis: int
    index: int
    empty: bool


@dataclass(frozen=True)
class Overview:
    """The painted slices of a segmentation.

    Attributes:
        slices: of all visible segments, in the order of the segments and ascending.
        filled: the slices that were filled in, by segment.
        done: names of segments that look finished beside others that were painted on a few slices: such a one makes
            all its slices count as painted.
        problem: why the paint cannot be used as it is, in one sentence; empty when it can.
    """

    slices: tuple[PaintedSlice, ...] = ()
    filled: dict[str, tuple[int, ...]] = field(default_factory=dict)
    done: tuple[str, ...] = ()
    problem: str = ""

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


class SliceList:
    """Lists the slices that the next run learns from; looks again only at segments that have changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Hashable, _Found]] = {}

    def look(self, volume: Any, segmentation: Any) -> Overview:
        """What is painted by now; nothing is changed.

        Args:
            volume: vtkMRMLScalarVolumeNode.
            segmentation: vtkMRMLSegmentationNode.
        """
        try:
            grid = grid_of(volume, segmentation)
        except InputError as error:
            return Overview(problem=str(error))
        segments = segmentation.GetSegmentation()
        if segments.GetNumberOfSegments() and not has_labelmap_source(segments):
            return Overview()  # made into label maps when they are first painted on or segmented
        display = segmentation.GetDisplayNode()
        before, self._known = self._known, {}
        rows: list[PaintedSlice] = []
        filled: dict[str, tuple[int, ...]] = {}
        done: list[str] = []
        problem = ""
        for segment_id in segments.GetSegmentIDs():
            if display is not None and not display.GetSegmentVisibility(segment_id):
                continue
            segment = segments.GetSegment(segment_id)
            state = (_state(segment), grid.shape, grid.matrix.tobytes())
            known, found = before.get(segment_id, (None, _Found()))
            if known != state:
                found = _find(segment, grid)
            self._known[segment_id] = (state, found)
            problem = problem or found.problem
            if found.problem or not found.there:
                continue
            name = segment.GetName()
            rows += [PaintedSlice(segment_id, name, found.axis, i, i not in found.there) for i in found.painted]
            filled[segment_id] = tuple(i for i in found.there if i not in found.painted)
            done += [name] if found.done else []
        return Overview(tuple(rows), filled, tuple(done) if len(done) < len(filled) else (), problem)


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
        grid = grid_of(volume, segmentation)
        segment = segmentation.GetSegmentation().GetSegment(segment_id)
        if segment is None:
            raise InputError(_("The segment is gone; choose another one."))
        part = read_part(segment, grid)
        record = _record(segment, part, axis)
        if keep and index not in record.filled:
            raise InputError(_("The slice that is shown was not filled in; go to one that was."))
        if not 0 <= index < grid.shape[axis]:
            raise InputError(_("The slice lies outside the volume; go to one inside."))
        self._editor.open(segmentation)
        self._editor.begin_step()
        if not keep:
            self._editor.bring_onto(segment_id, grid)
            self._editor.remove(segment_id, grid, _on_slice(part, axis, index))
            part = read_part(segment, grid)
        segment.SetTag(TAG, _with_slice(record, part, index, painted).to_text())
        self._editor.end_step()
        segmentation.Modified()


def _state(segment: Any) -> Hashable:
    """Changes with the voxels of a segment and with what is remembered in it; its layer may be shared with others."""
    layer, record = segment.GetRepresentation(LABELMAP), record_of(segment)
    voxels = None if layer is None else (layer.GetMTime(), segment.GetLabelValue())
    return voxels, None if record is None else record.to_text()


def _find(segment: Any, grid: Grid) -> _Found:
    part = read_part(segment, grid)
    if part.empty:
        return _Found()
    record = record_of(segment)
    try:
        axis, painted = _painted(part, record)
    except InputError as error:
        return _Found(problem=str(error))
    thick = all(len(part.slices(a)) == part.box.shape[a] >= _MANY_SLICES for a in range(3))
    return _Found(axis, tuple(painted), tuple(part.slices(axis)), thick and record is None)


def _painted(part: Part, record: SliceRecord | None) -> tuple[int, list[int]]:
    known = record.painted_now(part) if record else None
    if record is not None and known is not None:
        return record.axis, known
    # With the voxels around it that there are: a box full of paint would look like whole slices of it.
    around = [(min(c, 1), min(n - c - b, 1)) for c, n, b in zip(part.corner, part.shape, part.box.shape, strict=True)]
    box = np.pad(part.box, around)
    paint = read_paint(box.view(np.uint8), box.shape)
    axis = paint.axes[1]
    first = part.corner[axis] - around[axis][0]
    return axis, [i + first for i in paint.slices[1]]


def _record(segment: Any, part: Part, axis: int) -> SliceRecord:
    """The record of a segment brought up to date with what was painted since, or its first one."""
    if part.empty:
        raise InputError(_("Paint the structure on at least one slice first."))
    own_axis, painted = _painted(part, record_of(segment))
    if own_axis != axis:
        raise InputError(_("The segment was painted along another axis; go to a slice view of that axis."))
    return SliceRecord.take(part, axis, painted)


def _with_slice(record: SliceRecord, part: Part, index: int, painted: bool) -> SliceRecord:
    support = {i: p for i, p in record.support.items() if i != index}
    filled = {i: p for i, p in record.filled.items() if i != index}
    if painted:
        support |= SliceRecord.take(part, record.axis, [index]).support
    return replace(record, support=dict(sorted(support.items())), filled=filled)


def _on_slice(part: Part, axis: int, index: int) -> Part:
    """What of a part lies on one slice."""
    first = part.corner[axis]
    if not first <= index < first + part.box.shape[axis]:
        return Part.of(np.zeros((0, 0, 0), bool), shape=part.shape)
    box = np.moveaxis(np.moveaxis(part.box, axis, 0)[index - first : index - first + 1], 0, axis)
    corner = list(part.corner)
    corner[axis] = index
    return Part.of(box, (corner[0], corner[1], corner[2]), part.shape)
