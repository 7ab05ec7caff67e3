"""Stand-ins for the CTK and qMRML widgets of the panel: they look simple, and keep to the real ones' names."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from host import inventory
from host.basics import qMRMLWidget
from host.pythonqt import Refused, Wrapped, qt_class
from host.segment_editor import ctkCollapsibleGroupBox, qMRMLSegmentEditorWidget

_HEADER = 26


class ctkCollapsibleButton(Wrapped, QtWidgets.QWidget):
    """A header with a text, and contents under it that can be folded away."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._text = ""
        self._collapsed = False
        self.setContentsMargins(0, _HEADER, 0, 0)

    def _loaded(self) -> None:
        self._text = self.property("text") or ""
        self._set_collapsed(bool(self.property("collapsed")))

    def _get_text(self) -> str:
        return self._text

    def _get_collapsed(self) -> bool:
        return self._collapsed

    def _set_collapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                QtWidgets.QWidget.setVisible(child, not collapsed)
        QtWidgets.QWidget.setMaximumHeight(self, _HEADER if collapsed else 16777215)
        super().__getattribute__("contentsCollapsed").emit(collapsed)

    def paintEvent(self, _event: Any) -> None:
        painter = QtGui.QPainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect.setHeight(_HEADER - 3)
        option.text = f"{'▸' if self._collapsed else '▾'}  {self._text}"
        style = QtWidgets.QWidget.style(self)
        style.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButton, option, painter, self)


class ctkMenuButton(Wrapped, QtWidgets.QPushButton):
    pass


_selectors: list[qMRMLNodeComboBox] = []


def let_go_of_the_scene() -> None:
    """No selector observes a scene any more; for when panels go but the scene stays."""
    for selector in _selectors:
        selector._stop_watching()
    _selectors.clear()


class qMRMLNodeComboBox(Wrapped, QtWidgets.QWidget):
    """Lists the nodes of its types in the scene."""

    currentNodeChanged = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._tags: list[tuple[Any, int]] = []
        self._nodes: list[Any] = []
        self._current: Any = None
        _selectors.append(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._box = QtWidgets.QComboBox()
        self._box.currentIndexChanged.connect(self._chosen)
        layout.addWidget(self._box)

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        self._stop_watching()
        self._scene = scene
        if scene is not None:
            for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent):
                self._tags.append((scene, scene.AddObserver(event, lambda *_: self._update())))
        self._update()

    def _stop_watching(self) -> None:
        for owner, tag in self._tags:
            owner.RemoveObserver(tag)
        self._tags = []

    def currentNode(self) -> Any:
        return self._current

    def setCurrentNode(self, node: Any) -> None:
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node)
        if node is not None and node not in self._nodes:
            self._update()
        self._box.setCurrentIndex(0 if node is None else 1 + self._nodes.index(node))

    def addNode(self) -> Any:
        if not QtCore.QObject.property(self, "addEnabled"):
            raise Refused("This selector does not add nodes.")
        node = self._scene.AddNewNodeByClass(QtCore.QObject.property(self, "nodeTypes")[0])
        if hasattr(node, "CreateDefaultDisplayNodes"):
            node.CreateDefaultDisplayNodes()
        self.setCurrentNode(node)
        super().__getattribute__("nodeAddedByUser").emit(node)
        return node

    def _update(self) -> None:
        from MetaSegmentLib.scene.runtime import nodes_of_class

        kinds = QtCore.QObject.property(self, "nodeTypes") or []
        if self._scene is None:
            self._nodes = []
        else:
            self._nodes = [n for kind in kinds for n in nodes_of_class(self._scene, kind) if not n.GetHideFromEditors()]
        current = self._current if self._current in self._nodes else None
        was_blocked = self._box.blockSignals(True)
        self._box.clear()
        self._box.addItem("None")
        self._box.addItems([node.GetName() for node in self._nodes])
        self._box.setCurrentIndex(0 if current is None else 1 + self._nodes.index(current))
        self._box.blockSignals(was_blocked)
        self._chosen(self._box.currentIndex())

    def _chosen(self, index: int) -> None:
        node = self._nodes[index - 1] if index > 0 else None
        if node is not self._current:
            self._current = node
            super().__getattribute__("currentNodeChanged").emit(node)


class qMRMLSegmentationShow3DButton(ctkMenuButton):
    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._segmentation: Any = None

    def setSegmentationNode(self, node: Any) -> None:
        self._segmentation = node

    def segmentationNode(self) -> Any:
        return self._segmentation


CTK = {
    "ctkCollapsibleButton": ctkCollapsibleButton,
    "ctkCollapsibleGroupBox": ctkCollapsibleGroupBox,
    "ctkMenuButton": ctkMenuButton,
}
QMRML = {
    "qMRMLWidget": qMRMLWidget,
    "qMRMLNodeComboBox": qMRMLNodeComboBox,
    "qMRMLSegmentEditorWidget": qMRMLSegmentEditorWidget,
    "qMRMLSegmentationShow3DButton": qMRMLSegmentationShow3DButton,
}


def widget_class(name: str) -> Any:
    """The class that a .ui file means.

    Raises:
        Refused: Slicer cannot load it from a .ui file.
    """
    for module, table in (("ctk", CTK), ("slicer", QMRML)):
        if name in table:
            if not inventory.knows_class(module, name) or not inventory.in_designer(name):
                raise Refused(f"Slicer cannot make a {name} from a .ui file.")
            return table[name]
    return qt_class(name)
