"""Where the Segment Editor's settings allow a result to go: masks, and whether segments may overlap."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import slicer

from ..errors import InputError
from ..pieces import Steps
from ..task.parts import Extent, Mask, Values, size_of
from .editor import is_private
from .geometry import Grid, volume_image, voxels
from .i18n import tr as _
from .paint_grid import PaintGrid
from .reader import read_part_steps
from .runtime import nodes_of_class


class EditRules:
    """The masking settings of one vtkMRMLSegmentEditorNode.

    Args:
        editor: the node to obey; None allows everything.
        volume: the volume that is segmented; the editable intensity range holds for it when the editor has no
            source volume of its own.
        held: the node that holds what a node of the scene shows: itself, or at another time point one of a sequence.
    """

    def __init__(self, editor: Any | None, volume: Any, held: Callable[[Any], Any] = lambda node: node) -> None:
        self._editor = editor
        self._volume = volume
        self.held = held

    def kept_free_steps(
        self, segmentation: Any, written: Collection[str], grid: Grid
    ) -> Steps[Callable[[Extent], Mask] | None]:
        """What other segments than those ``written`` keep for themselves, for any box of the grid; None if segments may
        overlap.

        A stroke takes voxels from other segments unless overlap is allowed. A result is no stroke: nobody aims it
        voxel by voxel. It never takes any, and where overlap is not allowed it stops at the others' borders.
        """
        editor, kind = self._editor, slicer.vtkMRMLSegmentEditorNode
        if editor is None or editor.GetOverwriteMode() == kind.OverwriteNone:
            return None
        display = segmentation.GetDisplayNode()
        only_visible = display is not None and editor.GetOverwriteMode() == kind.OverwriteVisibleSegments
        segments = self.held(segmentation).GetSegmentation()
        others = [
            i
            for i in segments.GetSegmentIDs()
            if i not in written and not (only_visible and not display.GetSegmentVisibility(i))
        ]
        return (yield from _inside_steps(segments, others, grid))

    def editable_steps(
        self, segment_id: str, paint_grid: PaintGrid, source: Any
    ) -> Steps[Callable[[Extent], Mask] | None]:
        """Where a segment may be changed, for any box of the grid of the paint; None where everything is allowed.

        Args:
            source: the segmentation node that the paint is in.
        """
        editor = self._editor
        if editor is None:
            return None
        grid = paint_grid.seen_from(source, editor.GetSegmentationNode())
        by_segments = None
        if editor.GetMaskMode() != slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere:
            segments = self.held(editor.GetSegmentationNode()).GetSegmentation()
            by_segments = yield from _allowed_by_segments_steps(editor, segments, grid, segment_id)
        if not editor.GetSourceVolumeIntensityMask():
            return by_segments
        source_volume = editor.GetSourceVolumeNode() or self._volume
        same_voxels = paint_grid.is_volumes and source_volume is self._volume
        in_range = _intensity_range(editor, grid, source_volume, self.held(source_volume), same_voxels)
        return in_range if by_segments is None else lambda extent: by_segments(extent) & in_range(extent)


def _allowed_by_segments_steps(
    editor: Any, segments: Any, grid: Grid, segment_id: str
) -> Steps[Callable[[Extent], Mask]]:
    """As vtkMRMLSegmentationNode.GenerateEditMask has it, which can only do the whole volume at once."""
    node, kind, mode = editor.GetSegmentationNode(), slicer.vtkMRMLSegmentationNode, editor.GetMaskMode()
    every, display = list(segments.GetSegmentIDs()), node.GetDisplayNode()
    if mode in (kind.EditAllowedInsideVisibleSegments, kind.EditAllowedOutsideVisibleSegments):
        if display is None:
            raise InputError(
                _("The editable area cannot be worked out; check the masking settings in the Segment Editor.")
            )
        every = [i for i in every if display.GetSegmentVisibility(i)]
    elif mode == kind.EditAllowedInsideSingleSegment:
        every = [i for i in every if i == editor.GetMaskSegmentID()]
    if mode in (kind.EditAllowedOutsideAllSegments, kind.EditAllowedOutsideVisibleSegments):
        inside = yield from _inside_steps(segments, [i for i in every if i != segment_id], grid)
        return lambda extent: ~inside(extent)
    return (yield from _inside_steps(segments, every, grid))


def _inside_steps(segments: Any, segment_ids: Sequence[str], grid: Grid) -> Steps[Callable[[Extent], Mask]]:
    """Where any of the segments is, for any box of the grid."""
    parts = []
    for segment_id in segment_ids:
        part = yield from read_part_steps(segments.GetSegment(segment_id), grid)
        parts.append(part)

    def inside(extent: Extent) -> Mask:
        result = np.zeros(size_of(extent), bool)
        for part in parts:
            result |= part.within(extent)
        return result

    return inside


def _intensity_range(editor: Any, grid: Grid, source: Any, held: Any, same_voxels: bool) -> Callable[[Extent], Mask]:
    """Args: held: has the voxels of the volume ``source``. same_voxels: these are the voxels of ``grid``."""
    low, high = editor.GetSourceVolumeIntensityMaskRange()
    values = held.GetImageData()
    if values is None or values.GetPointData().GetScalars() is None or values.GetNumberOfScalarComponents() != 1:
        raise InputError(
            _("The volume of the editable intensity range has no single intensity a voxel; choose a grey one.")
        )
    if same_voxels:
        read: Values = voxels(values).__getitem__
    else:
        image = volume_image(source, editor.GetSegmentationNode(), held)

        def read(extent: Extent) -> NDArray[Any]:
            return grid.sample(image, extent, linear=True)

    def in_range(extent: Extent) -> Mask:
        values = read(extent)
        return np.asarray((values >= low) & (values <= high))

    return in_range


def find_editor(*segmentations: Any) -> Any | None:
    """The segment editor node of the scene that refers to the first of the segmentations that has one."""
    for segmentation in segmentations:
        for editor in nodes_of_class(segmentation.GetScene(), "vtkMRMLSegmentEditorNode"):
            if editor.GetSegmentationNode() is segmentation and not is_private(editor):
                return editor
    return None
