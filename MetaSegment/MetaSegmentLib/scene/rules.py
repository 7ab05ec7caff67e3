"""Where the Segment Editor's settings allow a result to go: masks, and whether segments may overlap."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

import slicer

from ..errors import InputError
from .editor import PRIVATE_TAG
from .geometry import Grid, grid_of, volume_image, voxels
from .i18n import tr as _
from .parts import Mask
from .reader import read_part
from .runtime import nodes_of_class


class EditRules:
    """The masking settings of one vtkMRMLSegmentEditorNode.

    Args:
        editor: the node to obey; None allows everything.
        volume: the volume that is segmented; the editable intensity range holds for it when the editor has no
            source volume of its own.
    """

    def __init__(self, editor: Any | None, volume: Any) -> None:
        self._editor = editor
        self._volume = volume

    def kept_free(self, segmentation: Any, written: Collection[str], grid: Grid) -> Mask | None:
        """(K, J, I): what other segments than those ``written`` keep for themselves; None if segments may overlap.

        A stroke takes voxels from other segments unless overlap is allowed. A result is no stroke: nobody aims it
        voxel by voxel. It never takes any, and where overlap is not allowed it stops at the others' borders.
        """
        editor, kind = self._editor, slicer.vtkMRMLSegmentEditorNode
        if editor is None or editor.GetOverwriteMode() == kind.OverwriteNone:
            return None
        display = segmentation.GetDisplayNode()
        only_visible = display is not None and editor.GetOverwriteMode() == kind.OverwriteVisibleSegments
        segments, taken = segmentation.GetSegmentation(), np.zeros(grid.shape, bool)
        for segment_id in segments.GetSegmentIDs():
            if segment_id not in written and not (only_visible and not display.GetSegmentVisibility(segment_id)):
                part = read_part(segments.GetSegment(segment_id), grid)
                taken |= part.whole()
        return taken

    def editable(self, segment_id: str) -> Mask | None:
        """(K, J, I) of the volume: where the segment may be changed; None where everything is allowed."""
        editor = self._editor
        if editor is None:
            return None
        grid = grid_of(self._volume, editor.GetSegmentationNode())
        allowed: Mask | None = None
        if editor.GetMaskMode() != slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere:
            allowed = _allowed_by_segments(editor, grid, segment_id)
        if editor.GetSourceVolumeIntensityMask():
            in_range = _in_intensity_range(editor, grid, self._volume)
            allowed = in_range if allowed is None else allowed & in_range
        return allowed


def _allowed_by_segments(editor: Any, grid: Grid, segment_id: str) -> Mask:
    forbidden = slicer.vtkOrientedImageData()
    mode, mask_segment = editor.GetMaskMode(), editor.GetMaskSegmentID() or ""
    node = editor.GetSegmentationNode()
    if not node.GenerateEditMask(forbidden, mode, grid.reference(), segment_id, mask_segment):
        raise InputError(_("The editable area cannot be worked out; check the masking settings in the Segment Editor."))
    return np.asarray(grid.sample(forbidden, outside=1.0) == 0)


def _in_intensity_range(editor: Any, grid: Grid, volume: Any) -> Mask:
    low, high = editor.GetSourceVolumeIntensityMaskRange()
    source = editor.GetSourceVolumeNode() or volume
    if source is volume:
        values = voxels(source.GetImageData())
    else:
        values = grid.sample(volume_image(source, editor.GetSegmentationNode()), linear=True)
    return np.asarray((values >= low) & (values <= high))


def find_editor(*segmentations: Any) -> Any | None:
    """The segment editor node of the scene that refers to the first of the segmentations that has one."""
    for segmentation in segmentations:
        for editor in nodes_of_class(segmentation.GetScene(), "vtkMRMLSegmentEditorNode"):
            if editor.GetSegmentationNode() is segmentation and editor.GetSingletonTag() != PRIVATE_TAG:
                return editor
    return None
