"""The record of painted and filled slices (see task/record.py) as a tag of a vtkSegment."""

from __future__ import annotations

from typing import Any

import vtk

from ..task.record import TAG, SliceRecord

__all__ = ["TAG", "SliceRecord", "record_of", "records_of"]


def record_of(segment: Any) -> SliceRecord | None:
    """The record of a vtkSegment, if it carries a readable one."""
    text = vtk.reference("")
    return SliceRecord.from_text(str(text)) if segment.GetTag(TAG, text) else None


def records_of(segmentation: Any) -> frozenset[tuple[str, str]]:
    """(segment id, record as text) of the segments of a vtkMRMLSegmentationNode that carry one."""
    segments = segmentation.GetSegmentation()
    found = ((i, record_of(segments.GetSegment(i))) for i in segments.GetSegmentIDs())
    return frozenset((i, record.to_text()) for i, record in found if record is not None)
