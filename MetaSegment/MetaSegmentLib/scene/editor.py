"""Slicer's own segment editor logic, which knows about shared layers and undo."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

import slicer

from .geometry import Grid
from .parts import Part
from .reader import LABELMAP, read_part

PRIVATE_TAG = "MetaSegment"
"""Marks the node through which results are written; its own settings are never the user's."""


class Panel(Protocol):
    """A segment editor on screen; its undo history is the one that the user knows."""

    def segmentationNode(self) -> Any: ...
    def saveStateForUndo(self) -> None: ...
    def canUndo(self) -> bool: ...
    def undo(self) -> None: ...


class Editor:
    """Changes segments, with an editor node of its own, so that the user's editor keeps its selections.

    Attributes:
        panel: where a segmentation is edited by a user; steps on it belong to its undo history, so that one undo
            takes back strokes and results in their order. Other segmentations have a history of their own, which
            belongs to the one that was opened last.
    """

    def __init__(self) -> None:
        self.panel: Panel | None = None
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._node: Any = None
        self._written: tuple[int, ...] = ()

    def open(self, segmentation: Any) -> None:
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
        # Masks are worked out before anything is written; nothing is ever taken from another segment.
        self._node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
        self._node.SetSourceVolumeIntensityMask(False)
        self._node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)

    def begin_step(self, same: bool = False) -> None:
        """Begin an undo step; with ``same`` go on with the last one, unless the user has changed something since."""
        if same and _stamp(self._segmentation()) == self._written:
            return
        panel = self._panel()
        if panel is not None:
            panel.saveStateForUndo()
        else:
            self._logic.SaveStateForUndo()

    def end_step(self) -> None:
        """Remember what was written."""
        self._written = _stamp(self._segmentation())

    def undo(self) -> bool:
        """Take the last step back, in the panel also one of the user's; False when there is none."""
        panel = self._panel()
        if panel is not None:
            if not panel.canUndo():
                return False
            segmentation = panel.segmentationNode()
            before = _stamp(segmentation)
            panel.undo()
            return _stamp(segmentation) != before
        if self._segmentation() is None or not self._logic.CanUndo():
            return False
        self._logic.Undo()
        return True

    def use_labelmaps(self) -> None:
        """Make label maps the source representation, as Slicer's editor does before the first stroke."""
        if not self._logic.TrivialSetSourceRepresentationToBinaryLabelmap():
            self._logic.SetSourceRepresentationToBinaryLabelMap()

    def add(self, segment_id: str, grid: Grid, part: Part) -> None:
        """Add voxels to a segment; other segments keep theirs."""
        self._change(segment_id, grid, part, self._logic.ModificationModeAdd)

    def remove(self, segment_id: str, grid: Grid, part: Part) -> None:
        """Remove voxels from a segment."""
        self._change(segment_id, grid, part, self._logic.ModificationModeRemove)

    def bring_onto(self, segment_id: str, grid: Grid) -> None:
        """Give a segment whose voxels lie elsewhere a label map of its own on the volume's grid."""
        segmentation = self._node.GetSegmentationNode()
        segments = segmentation.GetSegmentation()
        segment = segments.GetSegment(segment_id)
        layer = segment.GetRepresentation(LABELMAP)
        if layer is None or layer.IsEmpty() or grid.holds(layer):
            return
        part = read_part(segment, grid)
        image = grid.image(part.whole().astype(np.uint8))
        segments.SeparateSegmentLabelmap(segment_id)
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        logic.SetBinaryLabelmapToSegment(image, segmentation, segment_id, logic.MODE_REPLACE)

    def _change(self, segment_id: str, grid: Grid, part: Part, mode: int) -> None:
        if not part.empty:
            image = grid.image(part.box.astype(np.uint8), part.corner)
            self._logic.ModifySegmentByLabelmap(self._segmentation(), segment_id, image, mode, False, False)

    def _segmentation(self) -> Any | None:
        return self._node.GetSegmentationNode() if self._node is not None else None

    def _panel(self) -> Panel | None:
        """The panel, if it shows what was opened last."""
        shown = self.panel.segmentationNode() if self.panel is not None else None
        return self.panel if shown is not None and self._segmentation() in (None, shown) else None


def _stamp(segmentation: Any | None) -> tuple[int, ...]:
    """Changes with every stroke, and with everything that is remembered in the segments."""
    if segmentation is None:
        return ()
    segments = segmentation.GetSegmentation()
    found = [segments.GetSegment(i) for i in segments.GetSegmentIDs()]
    layers = [segment.GetRepresentation(LABELMAP) for segment in found]
    return (*(s.GetMTime() for s in found), *(layer.GetMTime() for layer in layers if layer is not None))
