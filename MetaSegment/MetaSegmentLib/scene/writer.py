"""A result, written into the segments of a segmentation node as Slicer's own editor would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..executors import Steps
from ..settings import Result
from .editor import Editor
from .geometry import Grid, grid_of
from .i18n import tr as _
from .parts import Mask, Part
from .reader import Painting, has_labelmap_source, make_labelmaps, read_mask
from .record import TAG, SliceRecord
from .rules import EditRules


@dataclass(frozen=True, eq=False)
class _Change:
    """What is to happen to one segment, worked out before anything is written."""

    segment_id: str
    added: Part
    removed: Part
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
    """Write ``result`` into ``target`` as one undo step.

    Painted slices keep every voxel, and so do slices that were edited in ``source`` while the run was under way.
    Elsewhere the segments become what the result says, where ``rules`` allow it. Other segments are not changed.

    Args:
        source: the segmentation node that ``painting`` was read from.
        target: the segmentation node to write to; may be ``source``.
        same_step: the step of the last result goes on, unless the user has changed something since.

    Returns:
        What became of the segments, for the report: ``volume_ml`` by label, and ``left_to_others_ml``, the part of the
        result that lies in other segments and was left out.

    Raises:
        InputError: the volume, its place or the segments are not what they were when the painting was read.
    """
    if not painting.grid.same_as(grid_of(volume, source)):
        raise InputError(_("The volume or the segmentation was moved or replaced during the run; run it again."))
    if any(source.GetSegmentation().GetSegment(i) is None for i in painting.segment_ids):
        raise InputError(_("A segment was removed during the run; run it again."))
    grid = grid_of(volume, target)
    segments = target.GetSegmentation()
    with _one_event(target):
        editor.open(target)
        if not has_labelmap_source(segments) and segments.GetNumberOfSegments():
            make_labelmaps(segments, grid)
        editor.use_labelmaps()
        target.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        editor.begin_step(same_step)
        destinations = _destinations(source, target, painting.segment_ids)
        changes, left_out = _changes(painting, result, target, source, grid, rules, destinations)
        for change in changes.values():
            editor.bring_onto(change.segment_id, grid)
            editor.remove(change.segment_id, grid, change.removed)
        for change in changes.values():
            editor.add(change.segment_id, grid, change.added)
            segments.GetSegment(change.segment_id).SetTag(TAG, change.record.to_text())
    editor.end_step()
    millilitres = float(np.prod(painting.spacing)) / 1000
    volumes = {label: change.voxels * millilitres for label, change in changes.items()}
    return {"volume_ml": volumes, "left_to_others_ml": left_out * millilitres}


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
    """The same in pieces; see :func:`write_result`."""
    yield
    return write_result(painting, result, volume, source, target, rules, editor, same_step)


def _changes(
    painting: Painting,
    result: Result,
    target: Any,
    source: Any,
    grid: Grid,
    rules: EditRules,
    destinations: dict[str, str],
) -> tuple[dict[int, _Change], int]:
    """What is to happen, by label, and how many voxels of the result are left to other segments."""
    axis, support = int(result.report["axis"]), [int(i) for i in result.report["support_slices"]]
    painted = np.moveaxis(painting.labels, axis, 0)[support]
    # Of a segment that is not on any of the named slices nothing was learned.
    learned = {n: i for n, i in enumerate(painting.segment_ids, start=1) if (painted == n).any()}
    taken = rules.kept_free(target, {destinations[i] for i in learned.values()}, grid)
    if taken is not None:
        np.moveaxis(taken, axis, 0)[support] = False
    changes, left_out = {}, 0
    for label, source_id in learned.items():
        segment_id = destinations[source_id]
        now = read_mask(target.GetSegmentation().GetSegment(segment_id), grid)
        final: Mask = np.asarray(result.labels == label)
        if taken is not None:
            left_out += int(np.count_nonzero(final & taken))
            final &= ~taken
        free = rules.editable(segment_id if target is source else source_id)
        if free is not None:
            np.moveaxis(free, axis, 0)[support] = True
            np.copyto(final, now, where=~free)
        edited = painting.edited_since(source_id, now, axis) if target is source else []
        np.moveaxis(final, axis, 0)[edited] = np.moveaxis(now, axis, 0)[edited]
        record = SliceRecord.take(Part.of(final), axis, support, ignore=edited)
        voxels = int(np.count_nonzero(final))
        changes[label] = _Change(segment_id, Part.of(final & ~now), Part.of(now & ~final), record, voxels)
    return changes, left_out


def _destinations(source: Any, target: Any, segment_ids: Sequence[str]) -> dict[str, str]:
    """The segments of ``target`` named as those of ``source``, made with their colours and meanings if missing."""
    if target is source:
        return {i: i for i in segment_ids}
    if target.GetDisplayNode() is None:
        target.CreateDefaultDisplayNodes()
    segments = target.GetSegmentation()
    free = list(segments.GetSegmentIDs())
    found: dict[str, str] = {}
    for segment_id in segment_ids:
        segment = source.GetSegmentation().GetSegment(segment_id)
        same = next((i for i in free if segments.GetSegment(i).GetName() == segment.GetName()), None)
        if same is not None:
            free.remove(same)  # names need not be unique
            found[segment_id] = same
            continue
        new_id = "" if segments.GetSegment(segment_id) is not None else segment_id
        found[segment_id] = str(segments.AddEmptySegment(new_id, segment.GetName(), segment.GetColor()))
        if segment.HasTerminology():
            segments.GetSegment(found[segment_id]).SetTerminology(segment.GetTerminology())
    return found


@contextmanager
def _one_event(node: Any) -> Iterator[None]:
    was_modifying = node.StartModify()
    try:
        yield
    finally:
        node.EndModify(was_modifying)
