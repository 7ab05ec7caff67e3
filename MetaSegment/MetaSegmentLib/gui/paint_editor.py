"""Slicer's segment editor inside the panel, reduced to what painting a few slices takes."""

from __future__ import annotations

from typing import Any

_EFFECTS = ("Paint", "Draw", "Erase", "Scissors", "Threshold")


class PaintEditor:
    """A qMRMLSegmentEditorWidget with few effects and folded masking; its undo history is the panel's.

    Args:
        widget: the qMRMLSegmentEditorWidget.
    """

    def __init__(self, widget: Any) -> None:
        import ctk
        import qt

        self._widget = widget
        widget.setEffectNameOrder(_EFFECTS)
        widget.unorderedEffectsVisible = False
        masking = widget.findChild(ctk.ctkCollapsibleGroupBox, "MaskingGroupBox")
        if masking is not None:
            masking.collapsed = True
        self._undo_button = widget.findChild(qt.QToolButton, "UndoButton")
        self._redo_button = widget.findChild(qt.QToolButton, "RedoButton")

    def show(self, segmentation: Any | None, volume: Any | None) -> None:
        """Edit another segmentation on another volume; a volume alone cannot be edited."""
        widget = self._widget
        if widget.segmentationNode() is not segmentation:
            widget.setSegmentationNode(segmentation)
        if segmentation is not None and widget.sourceVolumeNode() is not volume:
            widget.setSourceVolumeNode(volume)

    def segmentationNode(self) -> Any:
        """What is edited."""
        return self._widget.segmentationNode()

    def currentSegmentID(self) -> str:
        """The selected segment; empty when there is none."""
        return str(self._widget.currentSegmentID())

    def saveStateForUndo(self) -> None:
        """Begin a step."""
        self._widget.saveStateForUndo()

    def canUndo(self) -> bool:
        """Whether there is a step to take back; only the button in the widget knows."""
        return self._undo_button is None or bool(self._undo_button.enabled)

    def undo(self) -> None:
        """Take the last step back."""
        self._widget.undo()

    def canRedo(self) -> bool:
        """Whether there is a step to bring back."""
        return self._redo_button is None or bool(self._redo_button.enabled)

    def redo(self) -> None:
        """Bring back the step that was taken back last."""
        self._widget.redo()

    def select(self, segment_id: str) -> None:
        """Select a segment."""
        node = self._widget.mrmlSegmentEditorNode()
        if node is not None:
            node.SetSelectedSegmentID(segment_id)
