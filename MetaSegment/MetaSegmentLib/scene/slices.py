"""The painted slices of a segmentation: listed, taken back, named as empty, accepted.

What the user painted and what was filled in is kept in the segments (see record.py); here it is read for a list and
changed one slice at a time. Every change is one undo step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import slicer

from ..errors import InputError
from ..support import find_support
from .geometry import grid_of
from .i18n import tr as _
from .reader import has_labelmap_source, read_mask
from .record import TAG, SliceRecord, record_of
from .writer import Editor

Mask = NDArray[np.bool_]


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
        problem: why the paint cannot be used as it is, in one sentence; empty when it can.
    """

    slices: tuple[PaintedSlice, ...] = ()
    filled: dict[str, tuple[int, ...]] | None = None
    problem: str = ""

    @property
    def axis(self) -> int | None:
        """The slice axis; None where nothing is painted."""
        return self.slices[0].axis if self.slices else None


def painted_slices(volume: Any, segmentation: Any) -> Overview:
    """List the slices that the next run learns from; nothing is changed.

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
    rows: list[PaintedSlice] = []
    filled: dict[str, tuple[int, ...]] = {}
    problem = ""
    for segment_id in segments.GetSegmentIDs():
        if display is not None and not display.GetSegmentVisibility(segment_id):
            continue
        segment = segments.GetSegment(segment_id)
        mask = read_mask(segment, grid)
        if not mask.any():
            continue
        try:
            axis, painted = _painted(mask, record_of(segment))
        except InputError as error:
            problem = problem or str(error)
            continue
        there: Mask = np.asarray(np.moveaxis(mask, axis, 0).any(axis=(1, 2)))
        rows += [PaintedSlice(segment_id, segment.GetName(), axis, i, not bool(there[i])) for i in painted]
        filled[segment_id] = tuple(int(i) for i in np.flatnonzero(there) if i not in painted)
    return Overview(tuple(rows), filled, problem)


class SliceEdits:
    """Changes which slices count as painted.

    Args:
        save_state: called before each change to begin an undo step; the default is the editor's own.
    """

    def __init__(self, save_state: Callable[[], None] | None = None) -> None:
        self.save_state = save_state
        self._editor = Editor()

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

    def undo(self) -> bool:
        """Take the last change back; False when there is none. Not used with ``save_state``."""
        return self._editor.undo()

    def _rewrite(
        self, volume: Any, segmentation: Any, segment_id: str, axis: int, index: int, keep: bool, painted: bool
    ) -> None:
        grid = grid_of(volume, segmentation)
        segment = segmentation.GetSegmentation().GetSegment(segment_id)
        if segment is None:
            raise InputError(_("The segment is gone; choose another one."))
        mask = read_mask(segment, grid)
        record = _record(segment, mask, axis)
        if keep and index not in record.filled:
            raise InputError(_("The slice that is shown was not filled in; go to one that was."))
        if not 0 <= index < grid.shape[axis]:
            raise InputError(_("The slice lies outside the volume; go to one inside."))
        editor = self._editor
        editor.open(segmentation, slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        (self.save_state or editor.save_state)()
        if not keep:
            editor.remove(segment_id, grid, _on_slice(mask, axis, index))
            mask = read_mask(segment, grid)
        segment.SetTag(TAG, _with_slice(record, mask, index, painted).to_text())
        segmentation.Modified()


def _painted(mask: Mask, record: SliceRecord | None) -> tuple[int, list[int]]:
    known = record.painted_now(mask) if record else None
    if record is not None and known is not None:
        return record.axis, known
    box, corner = _cropped(mask)
    support = find_support(box.view(np.uint8), box.shape)
    return support.axis, [i + corner[support.axis] for i in support.slices]


def _cropped(mask: Mask) -> tuple[Mask, list[int]]:
    """The part of a mask that holds all of it, with the voxels around it that there are, and its first voxel."""
    corner = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        corner.append(max(int(hit[0]) - 1, 0))
        mask = np.moveaxis(np.moveaxis(mask, axis, 0)[corner[-1] : int(hit[-1]) + 2], 0, axis)
    return np.ascontiguousarray(mask), corner


def _record(segment: Any, mask: Mask, axis: int) -> SliceRecord:
    """The record of a segment brought up to date with what was painted since, or its first one."""
    if not mask.any():
        raise InputError(_("Paint the structure on at least one slice first."))
    old = record_of(segment)
    own_axis, painted = _painted(mask, old)
    if own_axis != axis:
        raise InputError(_("The segment was painted along another axis; go to a slice view of that axis."))
    return SliceRecord.take(mask, axis, painted)


def _with_slice(record: SliceRecord, mask: Mask, index: int, painted: bool) -> SliceRecord:
    support = {i: p for i, p in record.support.items() if i != index}
    filled = {i: p for i, p in record.filled.items() if i != index}
    if painted:
        support |= SliceRecord.take(mask, record.axis, [index]).support
    return replace(record, support=dict(sorted(support.items())), filled=filled)


def _on_slice(mask: Mask, axis: int, index: int) -> Mask:
    only = np.zeros_like(mask)
    np.moveaxis(only, axis, 0)[index] = np.moveaxis(mask, axis, 0)[index]
    return only
