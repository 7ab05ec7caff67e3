"""A run over a sequence as one undo step: all its time points are shown, taken back and brought again together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import slicer

from ..pieces import Steps
from ..task.parts import Part
from .editor import Editor
from .geometry import LABELMAP, Grid
from .record import TAG, tag_of
from .writer import one_event


@dataclass(frozen=True)
class _Segment:
    """How a segment is: its layer, when that was last changed, its value there and its record."""

    layer: Any
    changed: int
    value: int
    record: str


_Segments = dict[str, _Segment | None]
"""By identifier; None where there is no such segment."""


@dataclass(frozen=True, eq=False)
class WrittenFrame:
    """What was written at one time point.

    Attributes:
        segments: vtkSegmentation.
        before, after: its segments that were written to, or share a layer with these.
    """

    segments: Any
    before: _Segments
    after: _Segments

    def is_there(self, done: bool) -> bool:
        """Whether the segments are as they were left, or as they were before if it was taken back."""
        left = self.after if done else self.before
        return look(self.segments, left) == left


@dataclass(eq=False)
class SequenceStep:
    """What was written, to go back and forth: the time points that are not shown follow the one that was, which the
    editor's undo history looks after.

    Attributes:
        browser: shows the sequence.
        segmentation: the node in which it does.
        shown: the time point that was shown.
        others: those that were not.
        done: whether it is there; it was taken back otherwise.
    """

    browser: Any
    segmentation: Any
    shown: WrittenFrame
    others: Sequence[WrittenFrame]
    done: bool = True

    def follow(self) -> None:
        """After an undo or a redo: the others go with the time point that was shown if this step was meant, but for
        those that were changed since."""
        before, after = (_records(segments) for segments in (self.shown.before, self.shown.after))
        now = _records(look(self.shown.segments, self.shown.before))
        if before == after or now != (before if self.done else after):
            return
        self._go(self.others)

    def go(self) -> bool:
        """Go back, or forth again, where the editor's history cannot: Slicer forgets it when another time point is
        shown. Only where nothing was changed since; False otherwise."""
        frames = [self.shown, *self.others]
        possible = all(frame.is_there(self.done) for frame in frames)
        if possible:
            self._go(frames)
        return possible

    def show_steps(self, changed: Mapping[str, Part], grid: Grid, editor: Editor) -> Steps[None]:
        """Have Slicer show what was written, in 3D too."""
        others = self.others
        for segment_id, mask in changed.items():
            if not self.done or self.segmentation.GetSegmentation() is not self.shown.segments:
                others = [self.shown, *others]  # taken back, or not the one that is shown any more
                break
            unchanged = self.shown.is_there(done=True)
            editor.show(self.segmentation, segment_id, grid, mask)
            if unchanged:  # a stroke since is not part of the step
                self.shown = replace(self.shown, after=look(self.shown.segments, self.shown.after))
            yield
        for frame in others:
            _make_surfaces(frame.segments)
            yield

    def _go(self, frames: Sequence[WrittenFrame]) -> None:
        with one_event(self.browser):  # or else Slicer brings shown and stored into step in the midst of it
            for frame in frames:
                if frame.is_there(self.done):
                    _bring(frame.segments, frame.before if self.done else frame.after)
                    _make_surfaces(frame.segments)
        self.done = not self.done


def look(segments: Any, segment_ids: Iterable[str]) -> _Segments:
    """How segments of a vtkSegmentation are, to be compared with how they are later."""
    found: _Segments = {}
    for segment_id in segment_ids:
        found[segment_id] = None
        if (segment := segments.GetSegment(segment_id)) is not None:
            layer = segment.GetRepresentation(LABELMAP)
            changed = 0 if layer is None else layer.GetMTime()
            found[segment_id] = _Segment(layer, changed, int(segment.GetLabelValue()), tag_of(segment))
    return found


def _records(segments: _Segments) -> dict[str, str | None]:
    return {i: None if segment is None else segment.record for i, segment in segments.items()}


def _bring(segments: Any, kept: _Segments) -> None:
    for segment_id, one in kept.items():
        segment = segments.GetSegment(segment_id)
        if segment is None or one is None:
            continue
        if one.layer is None:
            segment.RemoveRepresentation(LABELMAP)
        else:
            segment.AddRepresentation(LABELMAP, one.layer)
        segment.SetLabelValue(one.value)
        segment.SetTag(TAG, one.record)


def _make_surfaces(segments: Any) -> None:
    """Make the surfaces anew that are shown in 3D, as Slicer does where its own logic changes a segment."""
    name = slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
    if segments.ContainsRepresentation(name):
        segments.CreateRepresentation(name, True)
