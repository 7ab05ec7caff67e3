"""What the panel does as slice views and the editor's effects change: align, follow, and keep paint in its slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..scene import alignment, brush, views
from ..scene.i18n import tr as _
from ..scene.runtime import nodes_of_class
from ..scene.watch import Watch
from .slice_table import SliceTable

_PAUSE_MILLISECONDS = 50


class SliceViews:
    """Looks after slice views that cut across a volume's slices, and after the row of the slice that is shown.

    Args:
        ui: the controls by name.
        table: whose row follows.
        changed: called when another row is selected.
        refused: called with a sentence when paint was refused.
    """

    def __init__(self, ui: Any, table: SliceTable, changed: Callable[[], None], refused: Callable[[str], None]) -> None:
        import qt

        self._ui = ui
        self._table = table
        self._changed = changed
        self._refused = refused
        self._volume: Any | None = None
        self._axis: int | None = None
        self._editor_node: Any | None = None
        self._effect = ""
        self._scene: Any | None = None
        self._watched: list[Any] = []
        self._watch = Watch(self._soon)
        self._pause = qt.QTimer()
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MILLISECONDS)
        self._pause.connect("timeout()", self.look)
        ui.alignLabel.text = _("The slice views cut across the slices of this volume.")
        ui.alignButton.connect("clicked(bool)", self._align)
        self._show(False)

    @property
    def busy(self) -> bool:
        """Whether a change is still to be looked at."""
        return bool(self._pause.isActive())

    @property
    def watching(self) -> bool:
        return self._watch.active

    def follow(self, scene: Any, editor_node: Any) -> None:
        """Begin to watch the slice views of a scene, and the effects of an editor."""
        self.leave()
        self._editor_node, self._effect = editor_node, editor_node.GetActiveEffectName() or ""
        self._scene, self._watched = scene, []
        self._watch.nodes(editor_node)
        self._watch.nodes(scene, events=(scene.NodeAddedEvent,))
        self.look()

    def leave(self) -> None:
        """Watch nothing more."""
        self._pause.stop()
        self._watch.stop()
        self._scene = self._editor_node = None
        self._watched = []

    def show(self, volume: Any | None, axis: int | None) -> None:
        """Another volume, or paint along another axis."""
        self._volume, self._axis = volume, axis
        self._look_at_views()

    def look(self) -> None:
        """See what the views show, and act on it; the row follows when a view moves, not when paint changes: what the
        user has selected to remove stays selected."""
        self._pause.stop()
        self._look_at_views()
        if self._volume is not None and self._volume.GetImageData() is not None and self.watching:
            shown = views.shown_slice(self._volume, self._axis)
            segment_id = self._ui.segmentEditor.currentSegmentID()
            if shown is not None and self._table.follow(*shown, str(segment_id)):
                self._changed()

    def _look_at_views(self) -> None:
        if self._scene is not None:
            new = [view for view in nodes_of_class(self._scene, "vtkMRMLSliceNode") if view not in self._watched]
            self._watched += new
            self._watch.nodes(*new)
        across = bool(alignment.unaligned_views(self._volume))
        self._show(across)
        node = self._editor_node
        if node is not None:
            before, self._effect = self._effect, node.GetActiveEffectName() or ""
            if across and brush.paints(node):
                self._effect = ""
                self._ui.segmentEditor.setActiveEffectByName("")
                self._refused(_("Align the views first: paint across the slices would leave a piece on many of them."))
            elif self._effect != before and brush.has_brush(self._effect):
                brush.flatten(node)

    def _soon(self) -> None:
        if self._watch.active and not self._pause.isActive():
            self._pause.start()

    def _show(self, across: bool) -> None:
        self._ui.alignLabel.visible = self._ui.alignButton.visible = across

    def _align(self, _checked: bool = False) -> None:
        if self._volume is not None:
            alignment.align_views(self._volume)
            self.look()
