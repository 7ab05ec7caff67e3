"""The record of painted and filled slices (see task/record.py) as a tag of a vtkSegment."""

from __future__ import annotations

from typing import Any

import vtk

from ..errors import InputError
from ..pieces import Steps
from ..task.history import RunNote
from ..task.parts import Part
from ..task.record import TAG, SliceRecord
from .i18n import tr as _

__all__ = ["TAG", "SliceRecord", "painted_now_steps", "record_of", "records_of", "runs_of", "tag_of"]


def tag_of(segment: Any) -> str:
    """The text of the record of a vtkSegment; "" where there is none."""
    text = vtk.reference("")
    return str(text) if segment.GetTag(TAG, text) else ""


def record_of(segment: Any) -> SliceRecord | None:
    """The record of a vtkSegment, if it carries a readable one."""
    return SliceRecord.from_text(tag_of(segment))


def painted_now_steps(record: SliceRecord, part: Part) -> Steps[list[int] | None]:
    """As :meth:`SliceRecord.painted_now_steps`.

    Raises:
        InputError: the run was on a volume of another size, where the segment was not the same.
    """
    found = yield from record.painted_now_steps(part)
    if found is None and record.filled and sorted(record.shape) != sorted(part.shape):
        raise InputError(
            _("The segment was filled on a volume of another size; choose that volume, or paint in a new segment.")
        )
    return found


def records_of(segmentation: Any) -> frozenset[tuple[str, str]]:
    """(segment id, record as text) of the segments of a vtkMRMLSegmentationNode that carry one."""
    segments = segmentation.GetSegmentation()
    found = ((i, record_of(segments.GetSegment(i))) for i in segments.GetSegmentIDs())
    return frozenset((i, record.to_text()) for i, record in found if record is not None)


def runs_of(segmentation: Any) -> list[tuple[str, tuple[RunNote, ...]]]:
    """(segment name, runs) of the segments of a vtkMRMLSegmentationNode that were filled."""
    segments = segmentation.GetSegmentation()
    found = [segments.GetSegment(i) for i in segments.GetSegmentIDs()]
    records = [(segment.GetName(), record_of(segment)) for segment in found]
    return [(name, record.runs) for name, record in records if record is not None and record.runs]
