"""A result, written into the segments of a segmentation node as Slicer's own editor would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import slicer

from ..errors import InputError
from ..settings import Result
from .geometry import Grid, grid_of
from .reader import LABELMAP, Painting, has_labelmap_source, make_labelmaps, read_mask
from .record import TAG, SliceRecord, record_of
from .rules import PRIVATE_TAG, EditRules, Mask


class Editor:
    """Slicer's segment editor logic with a node of its own, so that the user's editor keeps its selections.

    Its undo history belongs to the segmentation that was written last.
    """

    def __init__(self) -> None:
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._node: Any = None

    def open(self, segmentation: Any, overwrite_mode: int) -> None:
        """Direct all that follows at a segmentation node."""
        scene = segmentation.GetScene()
        if self._node is None or self._node.GetScene() is not scene:
            node = slicer.vtkMRMLSegmentEditorNode()
            node.SetSingletonTag(PRIVATE_TAG)
            node.SetHideFromEditors(True)
            node.SetSaveWithScene(False)
            self._node = scene.AddNode(node)
            self._logic.SetMRMLScene(scene)
            self._logic.SetSegmentEditorNode(self._node)
        self._node.SetAndObserveSegmentationNode(segmentation)
        self._node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
        self._node.SetSourceVolumeIntensityMask(False)
        self._node.SetOverwriteMode(overwrite_mode)

    def save_state(self) -> None:
        """Begin an undo step."""
        self._logic.SaveStateForUndo()

    def undo(self) -> bool:
        """Take the last step back; False when there is none."""
        if self._node is None or self._node.GetSegmentationNode() is None or not self._logic.CanUndo():
            return False
        self._logic.Undo()
        return True

    def use_labelmaps(self) -> None:
        """Make label maps the source representation, as Slicer's editor does before the first stroke."""
        if not self._logic.TrivialSetSourceRepresentationToBinaryLabelmap():
            self._logic.SetSourceRepresentationToBinaryLabelMap()

    def change(self, segment_id: str, grid: Grid, patch: _Patch | None, add: bool) -> None:
        """Add or remove the voxels of a patch; adding takes them from other segments if the overwrite mode says so."""
        if patch is None:
            return
        mode = self._logic.ModificationModeAdd if add else self._logic.ModificationModeRemove
        image = grid.image(patch.box, patch.corner)
        self._logic.ModifySegmentByLabelmap(self._node.GetSegmentationNode(), segment_id, image, mode, False, False)

    def remove(self, segment_id: str, grid: Grid, mask: Mask) -> None:
        """Remove the voxels of a (K, J, I) mask from a segment whose label map lies on ``grid``."""
        target = self._node.GetSegmentationNode()
        _bring_onto(grid, target.GetSegmentation(), target, segment_id)
        self.change(segment_id, grid, _Patch.of(mask), add=False)


@dataclass(frozen=True, eq=False)
class _Patch:
    """The voxels of a mask in their bounding box (uint8), and where the box begins."""

    box: NDArray[np.uint8]
    corner: tuple[int, int, int]

    @classmethod
    def of(cls, mask: Mask) -> _Patch | None:
        """None for a mask without voxels."""
        spans = []
        for axis in range(3):
            hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
            if not len(hit):
                return None
            spans.append(slice(int(hit[0]), int(hit[-1]) + 1))
        return cls(mask[tuple(spans)].astype(np.uint8), (spans[0].start, spans[1].start, spans[2].start))


@dataclass(frozen=True, eq=False)
class _Change:
    """What is to happen to one segment, worked out before anything is written."""

    segment_id: str
    added: _Patch | None
    removed: _Patch | None
    record: SliceRecord


def write_result(
    painting: Painting,
    result: Result,
    volume: Any,
    source: Any,
    target: Any,
    rules: EditRules,
    editor: Editor,
    save_state: Callable[[], None] | None = None,
) -> None:
    """Write ``result`` into ``target`` as one undo step.

    Painted slices keep every voxel, and so do slices that were edited in ``source`` while the run was under way.
    Elsewhere the segments become what the result says, where ``rules`` allow it.

    Args:
        source: the segmentation node that ``painting`` was read from.
        target: the segmentation node to write to; may be ``source``.
        save_state: called once before the first change to begin an undo step; the default is the editor's own.

    Raises:
        InputError: the volume, its place or the segments are not what they were when the painting was read.
    """
    if not painting.grid.same_as(grid_of(volume, source)):
        raise InputError("The volume or the segmentation was moved or replaced during the run; run it again.")
    grid = grid_of(volume, target)
    with _one_event(target):
        editor.open(target, rules.overwrite_mode)
        if not has_labelmap_source(target.GetSegmentation()) and target.GetSegmentation().GetNumberOfSegments():
            make_labelmaps(target.GetSegmentation(), grid)
        editor.use_labelmaps()
        target.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        (save_state or editor.save_state)()
        destinations = _destinations(source, target, painting.segment_ids)
        changes = _changes(painting, result, target, source, grid, rules, destinations)
        bystanders = _bystanders(target, {c.segment_id for c in changes}, grid)
        segments = target.GetSegmentation()
        for change in changes:
            _bring_onto(grid, segments, target, change.segment_id)
            editor.change(change.segment_id, grid, change.removed, add=False)
        for change in changes:
            editor.change(change.segment_id, grid, change.added, add=True)
            segments.GetSegment(change.segment_id).SetTag(TAG, change.record.to_text())
        for segment_id, (record, before) in bystanders.items():
            segment = segments.GetSegment(segment_id)
            after = record.carried_over(before, read_mask(segment, grid))
            if after != record:
                segment.SetTag(TAG, after.to_text())


def _changes(
    painting: Painting,
    result: Result,
    target: Any,
    source: Any,
    grid: Grid,
    rules: EditRules,
    destinations: dict[str, str],
) -> list[_Change]:
    axis, support = int(result.report["axis"]), [int(i) for i in result.report["support_slices"]]
    changes = []
    for label, source_id in enumerate(painting.segment_ids, start=1):
        if not (np.moveaxis(painting.labels, axis, 0)[support] == label).any():
            continue  # the named slices say nothing about this segment
        segment_id = destinations[source_id]
        now = read_mask(target.GetSegmentation().GetSegment(segment_id), grid)
        final: Mask = np.asarray(result.labels == label)
        free = rules.editable(segment_id if target is source else source_id)
        if free is not None:
            np.moveaxis(free, axis, 0)[support] = True
            np.copyto(final, now, where=~free)
        edited = painting.edited_since(source_id, now, axis) if target is source else []
        np.moveaxis(final, axis, 0)[edited] = np.moveaxis(now, axis, 0)[edited]
        record = SliceRecord.take(final, axis, support, ignore=edited)
        changes.append(_Change(segment_id, _Patch.of(final > now), _Patch.of(now > final), record))
    return changes


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


def _bring_onto(grid: Grid, segments: Any, target: Any, segment_id: str) -> None:
    """Give a segment whose voxels lie elsewhere a label map of its own on the volume's grid."""
    segment = segments.GetSegment(segment_id)
    layer = segment.GetRepresentation(LABELMAP)
    if layer is None or layer.IsEmpty() or grid.holds(layer):
        return
    image = grid.image(read_mask(segment, grid).astype(np.uint8))
    segments.SeparateSegmentLabelmap(segment_id)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(image, target, segment_id, logic.MODE_REPLACE)


def _bystanders(target: Any, written: set[str], grid: Grid) -> dict[str, tuple[SliceRecord, Mask]]:
    """Segments with a record that are not written themselves but may lose voxels to those that are."""
    segments = target.GetSegmentation()
    found = {}
    for segment_id in segments.GetSegmentIDs():
        record = None if segment_id in written else record_of(segments.GetSegment(segment_id))
        if record is not None:
            found[segment_id] = (record, read_mask(segments.GetSegment(segment_id), grid))
    return found


@contextmanager
def _one_event(node: Any) -> Iterator[None]:
    was_modifying = node.StartModify()
    try:
        yield
    finally:
        node.EndModify(was_modifying)
