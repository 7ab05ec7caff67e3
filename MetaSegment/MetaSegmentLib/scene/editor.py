"""Slicer's own segment editor logic, which knows about shared layers and undo."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import count
from typing import Any, Protocol

import slicer

from ..task.parts import Part, one_voxel, pasted
from .geometry import LABELMAP, Grid, voxels
from .layers import Layer, put
from .presence import stamp

_PRIVATE_TAG = "MetaSegmentWriter"
_numbers = count(1)


def is_private(node: Any) -> bool:
    """Whether results are written through a vtkMRMLSegmentEditorNode; its own settings are never the user's."""
    return (node.GetSingletonTag() or "").startswith(_PRIVATE_TAG)


class Panel(Protocol):
    """A segment editor on screen; its undo history is the one that the user knows."""

    def segmentationNode(self) -> Any: ...
    def saveStateForUndo(self) -> None: ...
    def canUndo(self) -> bool: ...
    def undo(self) -> None: ...
    def canRedo(self) -> bool: ...
    def redo(self) -> None: ...


class Editor:
    """Changes segments, with an editor node of its own, so that the user's editor keeps its selections.

    Attributes:
        panel: where a segmentation is edited by a user; steps on it belong to its undo history, so that one undo
            takes back strokes and results in their order. Other segmentations have a history of their own, which
            belongs to the one that was opened last.
    """

    def __init__(self) -> None:
        self.panel: Panel | None = None
        self._tag = f"{_PRIVATE_TAG}{next(_numbers)}"  # who shares a node takes the other's undo history away
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._node: Any = None
        self._written: tuple[Hashable, ...] = ()

    def open(self, segmentation: Any) -> None:
        """Direct all that follows at a segmentation node."""
        scene = segmentation.GetScene()
        if self._node is None or self._node.GetScene() is not scene:
            node = slicer.vtkMRMLSegmentEditorNode()
            node.SetSingletonTag(self._tag)
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

    def close(self) -> None:
        """Forget what can be undone, and take the editor node out of its scene if that is still there; :meth:`open`
        adds another one."""
        node, self._node = self._node, None
        self._logic, self._written = slicer.vtkSlicerSegmentEditorLogic(), ()
        if node is not None and node.GetScene() is not None:
            node.GetScene().RemoveNode(node)

    @property
    def segmentation(self) -> Any | None:
        """The segmentation node whose steps :meth:`undo` takes back."""
        panel = self._panel()
        return self._segmentation() if panel is None else panel.segmentationNode()

    def begin_step(self, same: bool = False) -> None:
        """Begin an undo step; with ``same`` go on with the last one, unless the user has changed something since."""
        if same and stamp(self._segmentation()) == self._written:
            return
        panel = self._panel()
        if panel is not None:
            panel.saveStateForUndo()
        else:
            self._logic.SaveStateForUndo()

    def end_step(self) -> None:
        """Remember what was written."""
        self._written = stamp(self._segmentation())

    def undo(self) -> bool:
        """Take the last step back, in the panel also one of the user's; False when there is none."""
        panel = self._panel()
        if panel is not None:
            if not panel.canUndo():
                return False
            segmentation = panel.segmentationNode()
            before = stamp(segmentation)
            panel.undo()
            return stamp(segmentation) != before
        if self._segmentation() is None or not self._logic.CanUndo():
            return False
        self._logic.Undo()
        return True

    def redo(self) -> bool:
        """Bring back the step that the last undo took back; False when there is none."""
        panel = self._panel()
        if panel is not None:
            if not panel.canRedo():
                return False
            panel.redo()
            return True
        if self._segmentation() is None or not self._logic.CanRedo():
            return False
        self._logic.Redo()
        return True

    def use_labelmaps(self) -> None:
        """Make label maps the source representation, as Slicer's editor does before the first stroke."""
        if not self._logic.TrivialSetSourceRepresentationToBinaryLabelmap():
            self._logic.SetSourceRepresentationToBinaryLabelMap()

    def put(self, layers: Sequence[Layer]) -> None:
        """Put new layers in the place of those that their segments have; see :func:`layers_steps`. It takes a moment,
        whatever the number of voxels."""
        put(layers, self._logic.GetSegmentation())

    def show(self, segmentation: Any, segment_id: str, grid: Grid, part: Part) -> None:
        """Have Slicer show what was put in the place of a segment, in 3D too where it is shown there; nothing is done
        when the segment or the segmentation was removed since.

        Slicer does so when its own logic changes a segment: it is asked to write a voxel as it is.
        """
        is_open = self._segmentation() is segmentation
        segment = segmentation.GetSegmentation().GetSegment(segment_id) if is_open else None
        if segment is None:
            return
        layer, where = segment.GetRepresentation(LABELMAP), one_voxel(part)
        there = False
        if not layer.IsEmpty():
            if not grid.holds(layer):
                return
            value = pasted(grid.place_of(layer), voxels(layer).__getitem__, where)
            there = bool(value == segment.GetLabelValue())
        image = grid.blank(where)
        voxels(image)[:] = 1
        mode = self._logic.ModificationModeAdd if there else self._logic.ModificationModeRemove
        goes_on = stamp(segmentation) == self._written
        self._logic.ModifySegmentByLabelmap(segmentation, segment_id, image, mode, image.GetExtent(), False, False)
        if goes_on:
            self.end_step()

    def _segmentation(self) -> Any | None:
        return self._node.GetSegmentationNode() if self._node is not None else None

    def _panel(self) -> Panel | None:
        """The panel, if it shows what was opened last."""
        shown = self.panel.segmentationNode() if self.panel is not None else None
        return self.panel if shown is not None and self._segmentation() in (None, shown) else None
