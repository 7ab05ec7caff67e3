"""What the Segment Editor's settings allow a result to change: masks and overwrite mode."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import slicer

from ..errors import InputError
from .geometry import Grid, grid_of, volume_image, voxels
from .runtime import nodes_of_class

Mask = NDArray[np.bool_]

# Marks the node through which results are written; its own settings are never the user's.
PRIVATE_TAG = "MetaSegment"


class EditRules:
    """The masks and the overwrite mode of one vtkMRMLSegmentEditorNode.

    Args:
        editor: the node to obey; None allows everything and leaves other segments alone.
        volume: the volume that is segmented; the editable intensity range holds for it when the editor has no
            source volume of its own.
    """

    def __init__(self, editor: Any | None, volume: Any) -> None:
        self._editor = editor
        self._volume = volume

    @property
    def overwrite_mode(self) -> int:
        """A vtkMRMLSegmentEditorNode overwrite mode."""
        if self._editor is None:
            return int(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        return int(self._editor.GetOverwriteMode())

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
        raise InputError("The editable area cannot be worked out; check the masking settings in the Segment Editor.")
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
