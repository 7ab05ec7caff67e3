"""A stand-in for Slicer's segment editor: real undo, real rules for adding segments, parts as tall as the real ones.

Heights were measured in Slicer 5.12 with an effect active.
"""

from __future__ import annotations

from typing import Any

from PySide6 import QtWidgets

import slicer
from host.basics import qMRMLWidget
from host.pythonqt import Wrapped, qt_class

_ROW, _TOOL, _TABLE, _OPTIONS, _MASKING, _TITLE = 29, 30, 190, 130, 111, 24


class ctkCollapsibleGroupBox(Wrapped, QtWidgets.QGroupBox):
    """A titled box that can be folded away."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._collapsed = False
        self.setFixedHeight(_MASKING)

    def _get_collapsed(self) -> bool:
        return self._collapsed

    def _set_collapsed(self, collapsed: bool) -> None:
        self._collapsed = collapsed
        self.setFixedHeight(_TITLE if collapsed else _MASKING)


class qMRMLSegmentEditorWidget(qMRMLWidget):
    """Slicer's own logic under buttons; effects are only drawn."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._logic.SetVerbose(True)
        self._node: Any = None
        self._observed: list[tuple[Any, int]] = []
        self._keyboard = self._views = False
        self._effects: list[str] = []
        self._build()
        self._logic.AddObserver(self._logic.SegmentationHistoryChangedEvent, lambda *_: self._show_undo())
        self._show_undo()

    def _build(self) -> None:
        grid = QtWidgets.QGridLayout(self)
        row = QtWidgets.QHBoxLayout()
        self._add, self._remove = (_named("QPushButton", name) for name in ("AddSegmentButton", "RemoveSegmentButton"))
        for button, text in ((self._add, "Add"), (self._remove, "Remove")):
            button.setText(text)
            button.setFixedHeight(_ROW)
            button.setEnabled(False)
            row.addWidget(button)
        self._add.clicked.connect(lambda: self._logic.AddEmptySegment())
        grid.addLayout(row, 0, 0)
        columns, left, right = QtWidgets.QHBoxLayout(), QtWidgets.QVBoxLayout(), QtWidgets.QVBoxLayout()
        left.setSpacing(7)
        columns.addLayout(left)
        columns.addLayout(right)
        grid.addLayout(columns, 1, 0)
        self._tools = _named("QFrame", "EffectsGroupBox")
        self._tools.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        QtWidgets.QGridLayout(self._tools)
        undo = _named("QFrame", "UndoRedoGroupBox")
        undo.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        buttons = QtWidgets.QGridLayout(undo)
        self._undo, self._redo = (_named("QToolButton", name) for name in ("UndoButton", "RedoButton"))
        for column, (button, text) in enumerate(((self._undo, "↶"), (self._redo, "↷"))):
            button.setText(text)
            button.setFixedSize(_TOOL, _TOOL)
            buttons.addWidget(button, 0, column)
        self._undo.clicked.connect(lambda: self.undo())
        self._redo.clicked.connect(lambda: self.redo())
        left.addWidget(self._tools)
        left.addWidget(undo)
        left.addStretch()
        self._list = QtWidgets.QListWidget()
        self._list.setFixedHeight(_TABLE)
        self._options = _named("QGroupBox", "OptionsGroupBox")
        self._options.setFixedHeight(_OPTIONS)
        self._masking = ctkCollapsibleGroupBox()
        self._masking.setObjectName("MaskingGroupBox")
        self._masking.setTitle("Masking")
        for part in (self._list, self._options, self._masking):
            right.addWidget(part)
        right.addStretch()
        self._options.hide()
        self._masking.hide()

    def setEffectNameOrder(self, names: Any) -> None:
        self._effects = list(names)
        layout = QtWidgets.QWidget.layout(self._tools)
        for place, name in enumerate(("None", *names)):
            button = QtWidgets.QToolButton()
            button.setText(name[:2])
            button.setFixedSize(_TOOL, _TOOL)
            layout.addWidget(button, place // 2, place % 2)

    def setMRMLScene(self, scene: Any) -> None:
        super().setMRMLScene(scene)
        self._logic.SetMRMLScene(scene)
        self._logic.SetSegmentEditorNode(self._node)
        self.updateWidgetFromMRML()

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        self._node = node
        self._logic.SetSegmentEditorNode(node)
        self._observe()
        self.updateWidgetFromMRML()

    def mrmlSegmentEditorNode(self) -> Any:
        return self._node

    def setSegmentationNode(self, node: Any) -> None:
        if self._node is not None and self._node.GetScene() is not None:
            self._logic.SetSegmentationNode(node)
        self._observe()
        self.updateWidgetFromMRML()

    def setSourceVolumeNode(self, node: Any) -> None:
        if self._node is not None and self._node.GetScene() is not None:
            self._logic.SetSourceVolumeNode(node)
        self.updateWidgetFromMRML()

    def updateWidgetFromMRML(self) -> None:
        if self._node is None:
            return
        node = self.segmentationNode()
        segments = node.GetSegmentation() if node is not None else None
        self._list.clear()
        if segments is not None:
            self._list.addItems([segments.GetSegment(i).GetName() for i in segments.GetSegmentIDs()])
        self._add.setEnabled(self._node.GetScene() is not None and self._logic.CanAddSegments())
        effect = self._node.GetActiveEffectName()
        self._options.setTitle(effect or "")
        self._options.setVisible(bool(effect))
        self._masking.setVisible(bool(effect))

    def currentSegmentID(self) -> str:
        return (self._node.GetSelectedSegmentID() or "") if self._node is not None else ""

    def saveStateForUndo(self) -> None:
        self._logic.SaveStateForUndo()

    def undo(self) -> None:
        self._logic.Undo()

    def redo(self) -> None:
        self._logic.Redo()

    def segmentationNode(self) -> Any:
        return self._node.GetSegmentationNode() if self._node is not None else None

    def sourceVolumeNode(self) -> Any:
        return self._node.GetSourceVolumeNode() if self._node is not None else None

    def setActiveEffect(self, effect: Any) -> None:
        assert effect is None
        self.setActiveEffectByName("")

    def setActiveEffectByName(self, name: str) -> None:
        if self._node is not None:
            self._node.SetActiveEffectName(name)

    def installKeyboardShortcuts(self, _parent: Any = None) -> None:
        self._keyboard = True

    def uninstallKeyboardShortcuts(self) -> None:
        self._keyboard = False

    def setupViewObservations(self) -> None:
        self._views = True

    def removeViewObservations(self) -> None:
        self._views = False

    def _observe(self) -> None:
        for owner, tag in self._observed:
            owner.RemoveObserver(tag)
        self._observed = []
        segmentation = self.segmentationNode()
        events = [(self._node, "ModifiedEvent")]
        if segmentation is not None:
            events += [(segmentation, event) for event in (slicer.vtkSegmentation.SegmentAdded, "ModifiedEvent")]
        for owner, event in events:
            if owner is not None:
                self._observed.append((owner, owner.AddObserver(event, lambda *_: self.updateWidgetFromMRML())))

    def _show_undo(self) -> None:
        self._undo.setEnabled(self._logic.CanUndo())
        self._redo.setEnabled(self._logic.CanRedo())


def _named(kind: str, name: str) -> Any:
    widget = qt_class(kind)()
    widget.setObjectName(name)
    return widget
