"""A segmented series, written as a sequence of segmentations beside that of the images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import vtk
from numpy.typing import NDArray

import slicer

from ..answer.report import with_voxel_volume
from ..pieces import drain
from ..progress import CancelCallback, ProgressCallback
from ..settings import Settings
from ..task.history import note_of_run, with_note
from ..task.parts import Part
from .editor import Editor
from .geometry import LABELMAP
from .layers import Layer, layers_steps, put
from .reader import has_labelmap_source, make_labelmaps
from .record import TAG, SliceRecord, record_of, records_of
from .sequence import Frames, SequenceNodes

if TYPE_CHECKING:
    from ..series import SeriesResult

_Kept = dict[str, tuple[Any, int, str]]
"""Segment → its layer, its value there and its record."""


@dataclass(eq=False)
class SequenceStep:
    """What was written, to go back and forth: the time points that are not shown follow the one that is, which the
    editor's undo history looks after.

    Attributes:
        segmentation: shows a time point.
        find: the vtkSegmentation of each time point.
        before, after: what each holds before and after.
        records: of the segmentation, before and after; by them it is known where undo has led.
    """

    segmentation: Any
    find: Callable[[], list[Any]]
    before: list[_Kept]
    after: list[_Kept]
    records: tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]

    def follow(self) -> None:
        """An undo or a redo has changed what is shown."""
        now = records_of(self.segmentation)
        if now in self.records:
            for segments, kept in zip(self.find(), self.before if now == self.records[0] else self.after, strict=True):
                _bring_back(segments, kept)


def segment_frames(
    frames: Frames, settings: Settings, progress: ProgressCallback | None = None, cancel: CancelCallback | None = None
) -> SeriesResult:
    """Segment all time points; in any thread.

    Raises:
        MetaSegmentError: see :func:`MetaSegmentLib.segment_series`.
    """
    from ..series import segment_series

    given = (frames.images, frames.painted, frames.spacing, frames.slices, frames.axis)
    series = segment_series(*given, settings, progress, cancel, frames.names)
    measured = {t: with_voxel_volume(one, frames.voxel_ml) for t, one in series.frames.items()}
    return replace(series, frames=measured)


def write_frames(
    nodes: SequenceNodes, frames: Frames, series: SeriesResult, segmentation: Any, editor: Editor
) -> SequenceStep:
    """Write all time points, at once and as one undo step."""
    editor.open(segmentation)
    segments = segmentation.GetSegmentation()
    if not has_labelmap_source(segments):
        make_labelmaps(segments, frames.grid)
        editor.use_labelmaps()
    own, values, shown = sequence_for(nodes, segmentation, frames.segment_ids), nodes.values, nodes.current

    def find() -> list[Any]:
        return [own.GetDataNodeAtValue(value, True).GetSegmentation() for value in values]

    before = [_kept(one, frames.segment_ids) for one in find()]
    records = records_of(segmentation)
    reports = [{**series.report, **series.frames[t].report} for t in range(len(values))]
    for t, one in enumerate(find()):
        put(new_layers(frames, series.labels[t], one), one)
        note_records(frames, t, series.labels[t], reports[t], one)
    after = [_kept(one, frames.segment_ids) for one in find()]
    was_modifying = segmentation.StartModify()
    try:
        editor.begin_step()
        editor.put(new_layers(frames, series.labels[shown], segments))
        note_records(frames, shown, series.labels[shown], reports[shown], segments)
    finally:
        segmentation.EndModify(was_modifying)
    editor.end_step()
    for n, segment_id in enumerate(frames.segment_ids, start=1):
        editor.show(segmentation, segment_id, frames.grid, Part.of(series.labels[shown] == n))
    return SequenceStep(segmentation, find, before, after, (records, records_of(segmentation)))


def sequence_for(nodes: SequenceNodes, segmentation: Any, segment_ids: Sequence[str]) -> Any:
    """The sequence that a segmentation node shows; a new one is as it is at the time point that is shown, and without
    paint of the chosen segments at the others. A segment that was added since is empty at all that lack it."""
    own = nodes.browser.GetSequenceNode(segmentation)
    if own is None:
        own = segmentation.GetScene().AddNewNodeByClass("vtkMRMLSequenceNode", segmentation.GetName())
        for name in ("IndexName", "IndexUnit", "IndexType"):
            getattr(own, f"Set{name}")(getattr(nodes.sequence, f"Get{name}")())
        nodes.browser.AddSynchronizedSequenceNodeID(own.GetID())
        nodes.browser.AddProxyNode(segmentation, own, False)
        nodes.browser.SetSaveChanges(own, True)
    for t, value in enumerate(nodes.values):
        if own.GetDataNodeAtValue(value, True) is None:
            node = own.SetDataNodeAtValue(segmentation, value)
            if t != nodes.current:
                for segment_id in segment_ids:
                    _empty(node.GetSegmentation().GetSegment(segment_id))
        stored, shown = own.GetDataNodeAtValue(value, True).GetSegmentation(), segmentation.GetSegmentation()
        for segment_id in segment_ids:
            if stored.GetSegment(segment_id) is None:
                added = slicer.vtkSegment()
                added.DeepCopy(shown.GetSegment(segment_id))
                added.RemoveAllRepresentations()
                _empty(added)
                stored.AddSegment(added, segment_id)
    return own


def new_layers(frames: Frames, labels: NDArray[Any], segments: Any) -> list[Layer]:
    """The layers with which a vtkSegmentation becomes what ``labels`` (K, J, I) says, beside its other segments."""
    masks = {i: Part.of(labels == n) for n, i in enumerate(frames.segment_ids, start=1)}
    return drain(layers_steps(segments, masks, frames.grid))


def note_records(frames: Frames, t: int, labels: NDArray[Any], report: Mapping[str, Any], segments: Any) -> None:
    """Write down in the segments of a time point which slices were painted, and which were filled now."""
    axis = int(report["axis"])
    for n, segment_id in enumerate(frames.segment_ids, start=1):
        learned = report["segments"].get(str(n), {})
        support = [int(i) for i in learned.get("support_slices", ())] if t in frames.painted else []
        segment = segments.GetSegment(segment_id)
        known = record_of(segment)
        record = SliceRecord.take(Part.of(labels == n), axis, support)
        if learned:
            note = note_of_run(report, n, len(support))
            record = replace(record, runs=with_note(known.runs if known else (), note))
        segment.SetTag(TAG, record.to_text())


def _kept(segments: Any, segment_ids: Sequence[str]) -> _Kept:
    kept: _Kept = {}
    for segment_id in segment_ids:
        segment, text = segments.GetSegment(segment_id), vtk.reference("")
        segment.GetTag(TAG, text)
        kept[segment_id] = (segment.GetRepresentation(LABELMAP), int(segment.GetLabelValue()), str(text))
    return kept


def _bring_back(segments: Any, kept: _Kept) -> None:
    for segment_id, (layer, value, text) in kept.items():
        segment = segments.GetSegment(segment_id)
        if segment is not None:
            segment.AddRepresentation(LABELMAP, layer)
            segment.SetLabelValue(value)
            segment.SetTag(TAG, text)


def _empty(segment: Any) -> None:
    if segment is not None:
        segment.AddRepresentation(LABELMAP, slicer.vtkOrientedImageData())
        segment.SetTag(TAG, "")
