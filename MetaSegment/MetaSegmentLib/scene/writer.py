"""A result, written into the segments of a segmentation node as Slicer's own editor would."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from typing import Any, Protocol

import numpy as np

from ..errors import InputError
from ..pieces import Steps, drain, slabs
from ..settings import Result
from ..task.history import note_of_run, with_note
from ..task.parts import Part, Snapshot, bounds_steps, cut, on_slices, size_of, union
from .editor import Editor
from .geometry import Grid, grid_of
from .i18n import tr as _
from .layers import Layer, layers_steps
from .paint_grid import PaintGrid
from .presence import stamp, while_there
from .reader import Painting, has_labelmap_source, lies_on, make_labelmaps, read_part_steps
from .record import TAG, SliceRecord, record_of, tag_of
from .rules import EditRules
from .time_point import check_time_points


class AsRead(Protocol):
    """What was read of segments, to which a result is to be written; see :class:`Painting`."""

    @property
    def segment_ids(self) -> tuple[str, ...]: ...
    @property
    def paint_grid(self) -> PaintGrid: ...
    @property
    def snapshots(self) -> Mapping[str, Snapshot]: ...
    @property
    def records(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, eq=False)
class Change:
    """What is to happen to one segment, worked out before anything is written."""

    mask: Part
    different: bool
    record: SliceRecord
    voxels: int


def write_result(
    painting: Painting,
    result: Result,
    volume: Any,
    source: Any,
    target: Any,
    rules: EditRules,
    editor: Editor,
    same_step: bool = False,
) -> dict[str, Any]:
    """Write ``result`` into ``target`` as one undo step, at once; see :func:`write_result_steps`."""
    return drain(write_result_steps(painting, result, volume, source, target, rules, editor, same_step))


def write_result_steps(
    painting: Painting,
    result: Result,
    volume: Any,
    source: Any,
    target: Any,
    rules: EditRules,
    editor: Editor,
    same_step: bool = False,
) -> Steps[dict[str, Any]]:
    """Write ``result`` into ``target`` as one undo step, in pieces.

    Painted slices keep every voxel, and so do slices that were edited in ``source`` while the run was under way.
    Elsewhere the segments become what the result says, where ``rules`` allow it. Other segments are not changed. Voxels
    that several segments of the result share go to all of them, or to that of ``result.labels`` where overlap is not
    allowed.

    All is worked out in pieces while the segmentation stays as it is, and is put in place in a single one. So nobody
    ever sees half a result, and nothing has to be rolled back. When the segmentation is changed between two pieces,
    working out begins again. In the last pieces, one for each segment, Slicer shows what was written; the result is
    complete by then, and stays if they are left out.

    The piece that puts it in place also has Slicer save a state for undo. Slicer copies the layers that changed since
    the last state in one go, as it does before a stroke: 1 ms for each million voxels of them.

    Args:
        source: the segmentation node that ``painting`` was read from.
        target: the segmentation node to write to; may be ``source``.
        same_step: the step of the last result goes on, unless the user has changed something since.

    Returns:
        What became of the segments, for the report: ``volume_ml`` by label, and ``left_to_others_ml``, the part of the
        result that lies in other segments and was left out, and ``masked_ml``, what was left as it is because the
        editor's masking settings protect it.

    Raises:
        InputError: the volume, its place, the segments or the time points that are shown are not what they were when
            the painting was read.
        Cancelled: a node was removed meanwhile.
    """
    while True:
        grid = _checked_grid(painting, volume, source, target)
        use_labelmaps(target, grid, editor)
        before = (stamp(source), stamp(target))
        preparing = prepare_steps(painting, result, target, source, grid, rules, same_step)
        changes, layers, left_out, masked = yield from while_there(preparing, (volume, source, target))
        if (stamp(source), stamp(target)) == before:
            break
    grid = _checked_grid(painting, volume, source, target)
    destinations = _destinations(source, target, painting.segment_ids)
    segments = target.GetSegmentation()
    with one_event(target):
        editor.open(target)
        if painting.paint_grid.is_volumes and _all_others_on(grid, segments, destinations.values()):
            target.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        editor.begin_step(same_step)
        for source_id, segment_id in destinations.items():
            if segments.GetSegment(segment_id) is None:
                if target.GetDisplayNode() is None:
                    target.CreateDefaultDisplayNodes()
                add_segment(segments, segment_id, source.GetSegmentation().GetSegment(source_id))
        by_id = {destinations[painting.segment_ids[label - 1]]: change for label, change in changes.items()}
        editor.put(layers)
        for segment_id, change in by_id.items():
            segments.GetSegment(segment_id).SetTag(TAG, change.record.to_text())
    editor.end_step()
    for segment_id in [i for i, change in by_id.items() if change.different]:
        yield
        editor.show(target, segment_id, grid, by_id[segment_id].mask)
    volumes = {label: change.voxels * painting.voxel_ml for label, change in changes.items()}
    return {
        "volume_ml": volumes,
        "left_to_others_ml": left_out * painting.voxel_ml,
        "masked_ml": masked * painting.voxel_ml,
    }


def _checked_grid(painting: Painting, volume: Any, source: Any, target: Any) -> Grid:
    """The grid of the paint as seen from ``target``."""
    check_time_points(painting.shown, volume, source, target)
    if not painting.paint_grid.volume.same_as(grid_of(volume, source)):
        raise InputError(_("The volume or the segmentation was moved or replaced during the run; run it again."))
    if any(source.GetSegmentation().GetSegment(i) is None for i in painting.segment_ids):
        raise InputError(_("A segment was removed during the run; run it again."))
    grid_of(volume, target)  # nothing must be under a non-linear transform
    return painting.paint_grid.seen_from(source, target)


def use_labelmaps(target: Any, grid: Grid, editor: Editor) -> None:
    """As Slicer's editor does before the first stroke; not in pieces, as Slicer converts all segments in one go."""
    segments = target.GetSegmentation()
    if has_labelmap_source(segments):
        return
    with one_event(target):
        editor.open(target)
        if segments.GetNumberOfSegments():
            make_labelmaps(segments, grid)
        editor.use_labelmaps()


def prepare_steps(
    painting: AsRead, result: Result, target: Any, source: Any, grid: Grid, rules: EditRules, same_step: bool = False
) -> Steps[tuple[dict[int, Change], list[Layer], int, int]]:
    """What is to happen, by label; the layers that make it happen; how many voxels are left to other segments, and
    how many to the masking settings. It happens to what ``rules`` says that holds the segments."""
    axis = int(result.report["axis"])
    # Of a segment that is not on any of the named slices nothing was learned.
    learned = {int(label): painting.segment_ids[int(label) - 1] for label in result.report["segments"]}
    destinations = _destinations(source, target, painting.segment_ids)
    taken = yield from rules.kept_free_steps(target, {destinations[i] for i in learned.values()}, grid)
    segments = rules.held(target).GetSegmentation()
    changes, left_out, masked = {}, 0, 0
    for label, source_id in learned.items():
        support = [int(i) for i in result.report["segments"][str(label)]["support_slices"]]
        segment = segments.GetSegment(destinations[source_id])
        now = Part.nothing(grid.shape) if segment is None else (yield from read_part_steps(segment, grid))
        free = yield from rules.editable_steps(
            destinations[source_id] if target is source else source_id, painting.paint_grid, source
        )
        edited: list[int] = []
        if target is source:
            edited = yield from _edited_steps(painting, source_id, segment, now, axis)
        found = yield from bounds_steps(grid.extent, partial(result.mask, label))
        extent = union(found, now.extent)
        final = np.empty(size_of(extent), bool)
        different = segment is not None and not lies_on(segment, grid)
        voxels = 0
        for slab in slabs(final.shape):
            box = cut(extent, slab)
            here = result.mask(label, box)
            there = now.within(box)
            if taken is not None:
                others = taken(box) | (result.labels[box] != label)
                others[on_slices(box, axis, support)] = False
                left_out += int(np.count_nonzero(here & others))
                here &= ~others
            if free is not None:
                allowed = free(box)
                allowed[on_slices(box, axis, support)] = True
                masked += int(np.count_nonzero((here != there) & ~allowed))
                np.copyto(here, there, where=~allowed)
            own = on_slices(box, axis, edited)
            here[own] = there[own]
            voxels += int(np.count_nonzero(here))
            different = different or not np.array_equal(here, there)
            final[slab] = here
            yield
        k, j, i = (s.start for s in extent)
        mask = yield from Part.steps(final.__getitem__, final.shape, (k, j, i), grid.shape)
        record = yield from SliceRecord.take_steps(mask, axis, support, ignore=edited)
        learned_from = rules.held(source).GetSegmentation().GetSegment(source_id)
        known = None if learned_from is None else record_of(learned_from)
        on_volume = {painting.paint_grid.to_volume(axis, i) for i in support}
        note = note_of_run(result.report, label, len(on_volume))
        runs = with_note(known.runs if known else (), note, replaces=same_step)
        changes[label] = Change(mask, different, replace(record, runs=runs), voxels)
    masks = {i: Part.nothing(grid.shape) for i in destinations.values() if segments.GetSegment(i) is None}
    masks |= {destinations[learned[label]]: change.mask for label, change in changes.items() if change.different}
    layers = yield from layers_steps(segments, masks, grid)
    return changes, layers, left_out, masked


def _edited_steps(painting: AsRead, segment_id: str, segment: Any, now: Part, axis: int) -> Steps[list[int]]:
    """Slices that the user has edited since the painting was read.

    Where a run or an undo changed the segment meanwhile, and its record with it, what they filled or emptied is not the
    user's.
    """
    edited = yield from painting.snapshots[segment_id].changed_steps(now, axis)
    if not edited or tag_of(segment) == painting.records[segment_id]:
        return edited
    record = record_of(segment)
    if record is not None and record.axis != axis:
        return edited
    own = None if record is None else (yield from record.painted_now_steps(now))
    by_hand = set(own if own is not None else (yield from now.slices_steps(axis)))
    return [index for index in edited if index in by_hand]


def _all_others_on(grid: Grid, segments: Any, written: Collection[str]) -> bool:
    """Whether no segment but those ``written`` lies on another grid, from which the next stroke would take it away if
    ``grid`` became that of the segmentation."""
    return all(lies_on(segments.GetSegment(i), grid) for i in segments.GetSegmentIDs() if i not in written)


def _destinations(source: Any, target: Any, segment_ids: Sequence[str]) -> dict[str, str]:
    """The segments of ``target`` that are named as those of ``source``, or the identifiers of those to be added.

    Names need not be unique: of namesakes, one with the identifier of another segment of ``source`` is that one's.
    """
    if target is source:
        return {i: i for i in segment_ids}
    segments, learned_from = target.GetSegmentation(), source.GetSegmentation()
    free = list(segments.GetSegmentIDs())
    used = set(free)
    found: dict[str, str] = {}
    for segment_id in segment_ids:
        name = learned_from.GetSegment(segment_id).GetName() or segment_id  # as it is called when it is added
        namesakes = [i for i in free if segments.GetSegment(i).GetName() == name]
        same = next((i for i in namesakes if i == segment_id or not _is_named(learned_from.GetSegment(i), name)), None)
        if same is not None:
            free.remove(same)
            found[segment_id] = same
            continue
        candidates = chain([segment_id], (f"{segment_id}_{n}" for n in count(1)))
        found[segment_id] = next(i for i in candidates if i not in used)
        used.add(found[segment_id])
    return found


def _is_named(segment: Any | None, name: str) -> bool:
    return segment is not None and segment.GetName() == name


def add_segment(segments: Any, segment_id: str, like: Any) -> None:
    """Add an empty segment with the name, colour and meaning of another one to a vtkSegmentation."""
    segments.AddEmptySegment(segment_id, like.GetName() or segment_id, like.GetColor())
    if like.HasTerminology():
        segments.GetSegment(segment_id).SetTerminology(like.GetTerminology())


@contextmanager
def one_event(node: Any) -> Iterator[None]:
    """All changes of a node are told at the end."""
    was_modifying = node.StartModify()
    try:
        yield
    finally:
        node.EndModify(was_modifying)
