"""A segmented series, written as a sequence of segmentations beside that of the images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import slicer

from ..errors import InputError
from ..pieces import Steps
from ..settings import Result
from ..task.parts import NOWHERE
from .editor import Editor
from .geometry import LABELMAP, Grid, grid_of
from .i18n import tr as _
from .layers import Layer, put
from .reader import has_labelmap_source, make_labelmaps
from .record import TAG
from .rules import EditRules
from .sequence import SequenceNodes, check_one_grid
from .sequence_reader import Frames
from .sequence_step import SequenceStep, WrittenFrame, look
from .writer import Change, add_segment, one_event, prepare_steps, use_labelmaps

if TYPE_CHECKING:
    from ..series import SeriesResult


def write_frames_steps(
    nodes: SequenceNodes, frames: Frames, series: SeriesResult, segmentation: Any, settings: Any | None, editor: Editor
) -> Steps[tuple[SequenceStep, Steps[None]]]:
    """Write all time points as one undo step, in pieces.

    Each is written as a single volume is, see :func:`~.writer.write_result_steps`: painted slices and those that were
    edited meanwhile stay, the rest becomes what the result says where the user's settings allow it. All is worked out
    in pieces, begun again when something is changed or another time point is shown between two of them, and put in
    place in a single one.

    Args:
        settings: the vtkMRMLSegmentEditorNode whose masking settings hold, if there is one.

    Returns:
        The step, which is complete, and further pieces in which Slicer shows what was written; they may be left out.

    Raises:
        InputError: the time points, their place or the segments are not what they were when they were read; nothing
            is written.
    """
    grid = frames.paint_grid.grid
    while True:
        held = _checked(nodes, frames, segmentation)
        use_labelmaps(segmentation, grid, editor)
        yield from _labelmaps_steps(held, grid)
        before = nodes.stamp(segmentation)
        there, prepared = yield from _prepare_steps(nodes, frames, series, segmentation, held, settings)
        if _checked(nodes, frames, segmentation) == held and nodes.stamp(segmentation) == before:
            break
    kinds = {i: next(s for s in (n.GetSegmentation().GetSegment(i) for n in there) if s) for i in frames.segment_ids}
    home, nodes = nodes.home(segmentation), _with_browser(nodes)
    written = []
    with one_event(nodes.browser):  # or else Slicer brings shown and stored into step in the midst of it
        stored = _stored(nodes, segmentation, there, home)
        editor.open(segmentation)
        with one_event(segmentation):
            editor.begin_step()
            for segments, (changes, layers) in zip(stored, prepared, strict=True):
                for segment_id, kind in kinds.items():
                    if segments.GetSegment(segment_id) is None:
                        add_segment(segments, segment_id, kind)
                written.append(_write(segments, changes, layers))
        editor.end_step()
    current = nodes.current
    changed = {i: change.mask for i, change in prepared[current][0].items() if change.different}
    step = SequenceStep(nodes.browser, segmentation, written.pop(current), written)
    return step, step.show_steps(changed, grid, editor)


def _labelmaps_steps(held: Sequence[Any], grid: Grid) -> Steps[None]:
    """As :func:`~.writer.use_labelmaps`, of what is stored."""
    for node in held:
        if node is not None and not has_labelmap_source(node.GetSegmentation()):
            make_labelmaps(node.GetSegmentation(), grid)
            node.GetSegmentation().SetSourceRepresentationName(LABELMAP)
            yield


def _prepare_steps(
    nodes: SequenceNodes,
    frames: Frames,
    series: SeriesResult,
    segmentation: Any,
    held: Sequence[Any],
    settings: Any | None,
) -> Steps[tuple[list[Any], list[tuple[dict[str, Change], list[Layer]]]]]:
    """For each time point the node that holds its segments, one beside the scene where there is none yet; and what is
    to happen to them, by identifier, with the layers that make it happen."""
    grid, bare = frames.paint_grid.grid, None
    there, prepared = [], []
    for t, result in enumerate(_results(frames, series)):
        node = held[t]
        if node is None:
            bare = bare or _without(segmentation, frames.segment_ids, grid)
            node = slicer.vtkMRMLSegmentationNode()
            node.GetSegmentation().DeepCopy(bare)
            yield
        rules = EditRules(settings, nodes.placed, _Holder(nodes, segmentation, t, node))
        preparing = prepare_steps(frames.at(t), result, segmentation, segmentation, grid, rules)
        changes, layers, *_left = yield from preparing
        there.append(node)
        prepared.append(({frames.segment_ids[label - 1]: change for label, change in changes.items()}, layers))
    return there, prepared


def _checked(nodes: SequenceNodes, frames: Frames, segmentation: Any) -> list[Any]:
    """The node that holds the segments of each time point, None where there is none yet; all is as it was read."""
    if nodes.state(segmentation) != frames.state:
        raise InputError(_("Time points were added, removed or exchanged during the run; run it again."))
    check_one_grid(nodes)
    if not frames.paint_grid.volume.same_as(grid_of(nodes.placed, segmentation)):
        raise InputError(_("The volume or the segmentation was moved or replaced during the run; run it again."))
    held = nodes.all_held(segmentation)
    for node, there in zip(held, frames.snapshots, strict=True):
        if any(node is None or node.GetSegmentation().GetSegment(i) is None for i in there):
            raise InputError(_("A segment was removed during the run; run it again."))
    return held


def _without(segmentation: Any, segment_ids: Sequence[str], grid: Grid) -> Any:
    """A copy of the vtkSegmentation of a node in which some segments are empty."""
    segments = slicer.vtkSegmentation()
    segments.DeepCopy(segmentation.GetSegmentation())
    for segment_id in segment_ids:
        segment = segments.GetSegment(segment_id)
        if segment is not None:
            segment.AddRepresentation(LABELMAP, grid.blank(NOWHERE))
            segment.SetTag(TAG, "")
    return segments


def _results(frames: Frames, series: SeriesResult) -> Iterator[Result]:
    """What is to become of each time point: of all segments that anything was learned of, at any of them. Where nothing
    is painted, a report names the slices of the others."""
    learned = sorted({int(label) for one in series.frames.values() for label in one.report["segments"]})
    for t, labels in enumerate(series.labels):
        report, segments = series.frames[t].report, {}
        for label in learned:
            found = report["segments"].get(str(label), {})
            support = found.get("support_slices", []) if t in frames.painted else []
            support = sorted({*support, *frames.absent.get(t, {}).get(label, [])})
            segments[str(label)] = {**found, "support_slices": support}
        yield replace(series.frames[t], labels=labels, layers=(), report={**report, "segments": segments})


@dataclass(frozen=True, eq=False)
class _Holder:
    """What holds at a time point what nodes of the scene show; for :class:`EditRules`."""

    nodes: SequenceNodes
    segmentation: Any
    t: int
    held: Any

    def __call__(self, node: Any) -> Any:
        if node is self.segmentation:
            return self.held
        if node is self.nodes.placed:
            return self.nodes.sequence.GetNthDataNode(self.t)
        return self.nodes.held(node, self.t) or node


def _with_browser(nodes: SequenceNodes) -> SequenceNodes:
    """The same with a browser, and a volume that shows the first time point, where there were none."""
    browser, volume = nodes.browser, nodes.volume
    if browser is None:
        browser = nodes.sequence.GetScene().AddNode(slicer.vtkMRMLSequenceBrowserNode())
        browser.SetName(nodes.sequence.GetName())
        browser.SetAndObserveMasterSequenceNodeID(nodes.sequence.GetID())
        browser.SetSelectedItemNumber(0)
        volume = browser.GetProxyNode(nodes.sequence)
    if volume is None:
        data = nodes.sequence.GetNthDataNode(nodes.first)
        volume = browser.AddProxyNode(data, nodes.sequence, True)
        volume.CopyContent(data)
    return replace(nodes, browser=browser, volume=volume)


def _stored(nodes: SequenceNodes, segmentation: Any, held: Sequence[Any], home: int) -> list[Any]:
    """The vtkSegmentation of each time point in the sequence that the segmentation node shows, which gets what is
    missing there.

    What is shown and what is stored of that time point are one vtkSegmentation: so Slicer has it, which would put one
    in the place of the other, and forget what can be undone.
    """
    browser: Any = nodes.browser
    own = nodes.sequence_of(segmentation)
    is_new = own is None
    if own is None:
        own = segmentation.GetScene().AddNewNodeByClass("vtkMRMLSequenceNode", segmentation.GetName())
        for name in ("IndexName", "IndexUnit", "IndexType"):
            getattr(own, f"Set{name}")(getattr(nodes.sequence, f"Get{name}")())
    bare = slicer.vtkMRMLSegmentationNode()
    bare.SetName(segmentation.GetName())
    bare.CopyContent(segmentation, False)
    bare.SetAndObserveSegmentation(slicer.vtkSegmentation())  # the sequence takes a deep copy
    for t, value in enumerate(nodes.values):
        if own.GetDataNodeAtValue(value, True) is None:
            data = own.SetDataNodeAtValue(bare, value)
            data.SetAndObserveSegmentation(held[t].GetSegmentation())
    own.UpdateDataNodeAtValue(segmentation, nodes.values[home], True)
    stored = [own.GetDataNodeAtValue(value, True) for value in nodes.values]
    if nodes.current != home:
        segmentation.CopyContent(stored[nodes.current], False)
    if is_new:
        browser.AddSynchronizedSequenceNodeID(own.GetID())
        browser.AddProxyNode(segmentation, own, False)
    browser.SetSaveChanges(own, True)
    return [data.GetSegmentation() for data in stored]


def _write(segments: Any, changes: dict[str, Change], layers: Sequence[Layer]) -> WrittenFrame:
    touched = {*changes, *(segment_id for layer in layers for segment_id in layer.labels)}
    before = look(segments, touched)
    put(layers, segments)
    for segment_id, change in changes.items():
        segments.GetSegment(segment_id).SetTag(TAG, change.record.to_text())
    return WrittenFrame(segments, before, look(segments, touched))
