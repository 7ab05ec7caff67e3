"""The panel's controls: what each one does, and when it can be used.

What they do is in the scene package, what they say in scene/wording.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from ..errors import Cancelled, MetaSegmentError
from ..methods import METHODS
from ..scene import views, wording
from ..scene.flow import Flow
from ..scene.i18n import tr as _
from ..scene.slices import Overview, PaintedSlice, SliceEdits, painted_slices
from ..settings import Result
from . import choices
from .installer import Installer
from .slice_table import SliceTable

_PAUSE_MILLISECONDS = 300
"""How long painting has to pause before the table is made anew."""


class Parameters(Protocol):
    """The parameter node."""

    inputVolume: Any | None
    segmentation: Any | None
    method: str
    device: str
    showPreview: bool
    showUncertainty: bool


class Panel:
    """Connects the controls of MetaSegment.ui.

    Attributes:
        parameters: what was chosen; None while no scene is open.
        overview: the painted slices.
        result: of the last run in this session.

    Args:
        ui: the controls by name.
        flow: runs.
        edits: changes which slices count as painted.
        installer: sees to it that the packages are there.
        show_error: shows a sentence in a window.
    """

    def __init__(
        self, ui: Any, flow: Flow, edits: SliceEdits, installer: Installer, show_error: Callable[[str], None]
    ) -> None:
        import qt

        self.ui = ui
        self.parameters: Parameters | None = None
        self.overview = Overview()
        self.result: Result | None = None
        self._volume: Any | None = None  # of the result
        self._overlaid: Result | None = None
        self._next_suggestion = 0
        self._flow = flow
        self._edits = edits
        self._installer = installer
        self._show_error = show_error
        self._table = SliceTable(ui.sliceTable, self._go, self.update)
        self._pause = qt.QTimer()
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MILLISECONDS)
        self._pause.connect("timeout()", self.refresh)
        for button, action in (
            (ui.applyButton, self.segment_or_cancel),
            (ui.removeButton, self.remove),
            (ui.emptyButton, self.mark_empty),
            (ui.acceptButton, self.accept),
            (ui.suggestButton, self.go_to_suggestion),
            (ui.undoButton, self.undo),
        ):
            button.connect("clicked(bool)", _without_arguments(action))
        ui.methodBox.connect("currentIndexChanged(int)", self._method_chosen)
        ui.allMethodsBox.connect("currentIndexChanged(int)", self._any_method_chosen)
        ui.deviceBox.connect("currentIndexChanged(int)", self._device_chosen)
        self.update()

    def attach(self, parameters: Parameters | None) -> None:
        """Show other parameters, or none."""
        self.parameters = parameters
        if parameters is None:
            self.refresh()
        else:
            self.parameters_changed()

    def parameters_changed(self) -> None:
        """The user, a script or a scene chose something."""
        parameters = self.parameters
        if parameters is None:
            return
        editor = self.ui.segmentEditor
        if editor.segmentationNode() is not parameters.segmentation:
            editor.setSegmentationNode(parameters.segmentation)
        if editor.sourceVolumeNode() is not parameters.inputVolume:
            editor.setSourceVolumeNode(parameters.inputVolume)
        self.ui.show3DButton.setSegmentationNode(parameters.segmentation)
        self._show_uncertainty()
        self.refresh()

    def refresh_soon(self) -> None:
        """The paint changed; wait for a pause, as looking at all of it takes a moment."""
        self._pause.start()

    def refresh(self) -> None:
        """Look at the paint and show what it means."""
        self._pause.stop()
        volume, segmentation = self._nodes()
        usable = volume is not None and volume.GetImageData() is not None and segmentation is not None
        self.overview = painted_slices(volume, segmentation) if usable else Overview()
        self._table.show(self.overview.slices, views.orientations(volume) if usable else ())
        self.update()

    def update(self) -> None:
        """Enable what can be used, and say why the rest cannot."""
        ui, running = self.ui, self._flow.running
        volume, segmentation = self._nodes()
        obstacle = wording.obstacle(volume, segmentation, self.overview)
        ui.applyButton.text = _("Cancel") if running else _("Segment")
        ui.applyButton.enabled = running or not obstacle
        ui.applyButton.toolTip = (
            _("Stop; nothing more will be changed.") if running else obstacle or _("Segment the slices in between.")
        )
        ui.progressBar.visible = running
        if not running:
            ui.statusLabel.text = obstacle or wording.advice(self.overview)
        painted = not obstacle and not running
        selected = self._table.current is not None
        _allow(ui.removeButton, painted and selected, _("Take the paint off the selected slice."), _("Select a slice."))
        first = _("Paint the structure on a slice first.")
        _allow(ui.emptyButton, painted, _("Say that the structure is absent on the slice that is shown."), first)
        filled = any((self.overview.filled or {}).values())
        _allow(
            ui.acceptButton,
            painted and filled,
            _("Count the slice that is shown as painted, as it is."),
            _("Segment first; then slices that are right can be accepted."),
        )
        suggestions = self.result.suggested_slices if self.result is not None else []
        ui.suggestButton.text = wording.suggestion_text(suggestions[self._next_suggestion :])
        _allow(
            ui.suggestButton,
            bool(suggestions) and not running,
            _("Go to the slice where painting helps most; again for the next one."),
            _("Segment first; then it is known where more paint helps most."),
        )
        _allow(
            ui.undoButton,
            segmentation is not None and not running,
            _("Take the last step back, be it paint or a result."),
            _("There is nothing to take back."),
        )
        ui.show3DButton.enabled = segmentation is not None
        ui.uncertaintyCheckBox.enabled = self.result is not None
        for control in (ui.inputSelector, ui.segmentationSelector, ui.methodBox, ui.allMethodsBox, ui.deviceBox):
            control.enabled = not running and self.parameters is not None
        ui.tryButton.enabled = not running
        if self.parameters is not None:
            method = self.parameters.method
            choices.fill(ui.methodBox, wording.method_choices(method), method)
            choices.fill(ui.allMethodsBox, [(info.title, name) for name, info in METHODS.items()], method)
            choices.fill(ui.deviceBox, wording.device_choices(), self.parameters.device)
            ui.allMethodsBox.toolTip = METHODS[method].summary if method in METHODS else ""

    def segment_or_cancel(self) -> None:
        """The large button."""
        if self._flow.running:
            self._flow.cancel()
            self.ui.statusLabel.text = _("Stopping…")
            return
        parameters = self.parameters
        self.refresh()
        if parameters is None or not self.ui.applyButton.enabled:
            return
        try:
            if not self._installer.ready():
                return
            self._volume = parameters.inputVolume
            self._flow.start(
                parameters.inputVolume,
                parameters.segmentation,
                parameters.method,
                parameters.device,
                parameters.showPreview,
                self._on_progress,
                self._on_shown,
                self._on_ended,
            )
        except Exception as error:
            self._fail(error)
            return
        self.ui.progressBar.setRange(0, 0)
        self.update()
        self.ui.statusLabel.text = _("Reading the painted slices…")

    def remove(self) -> None:
        """Take the paint off the selected slice."""
        row = self._table.current
        if row is not None:
            self._edit(self._edits.remove, row.segment_id, row.axis, row.index)

    def mark_empty(self) -> None:
        """Say that the structure is absent on the slice that is shown."""
        self._edit_shown(self._edits.mark_empty)

    def accept(self) -> None:
        """Count the slice that is shown as painted."""
        self._edit_shown(self._edits.accept)

    def undo(self) -> None:
        """Take the last step back."""
        self.ui.segmentEditor.undo()
        self.refresh()

    def go_to_suggestion(self) -> None:
        """Show the best suggested slice, with every press the next one."""
        if self.result is None or not self.result.suggested_slices or self._volume is None:
            return
        suggestions = self.result.suggested_slices
        suggestion = suggestions[self._next_suggestion]
        self._next_suggestion = (self._next_suggestion + 1) % len(suggestions)
        if self._volume.GetScene() is not None:
            views.jump(self._volume, suggestion["axis"], suggestion["index"])
        self.update()

    def forget(self) -> None:
        """The scene is about to go: stop, and let go of everything."""
        self._pause.stop()
        self._flow.cancel()
        self._flow.forget()
        self.result = self._overlaid = self._volume = None
        self.ui.summaryLabel.text = _("Nothing was segmented yet.")
        self.attach(None)

    def _nodes(self) -> tuple[Any | None, Any | None]:
        if self.parameters is None:
            return None, None
        return self.parameters.inputVolume, self.parameters.segmentation

    def _go(self, row: PaintedSlice) -> None:
        volume, _segmentation = self._nodes()
        if volume is not None:
            views.jump(volume, row.axis, row.index)

    def _edit_shown(self, change: Callable[..., None]) -> None:
        volume, segmentation = self._nodes()
        if volume is None or segmentation is None:
            return
        shown = views.shown_slice(volume, self.overview.axis)
        if shown is None:
            self._fail(MetaSegmentError(_("Go to a slice of the volume in a slice view first.")))
            return
        segment_id = self.ui.segmentEditor.currentSegmentID() or segmentation.GetSegmentation().GetNthSegmentID(0)
        self._edit(change, segment_id, *shown)

    def _edit(self, change: Callable[..., None], segment_id: str, axis: int, index: int) -> None:
        try:
            change(*self._nodes(), segment_id, axis, index)
        except Exception as error:
            self._fail(error)
        else:
            self.refresh()

    def _on_progress(self, stage: str, done: int, total: int, eta_s: float | None) -> None:
        self.ui.progressBar.setRange(0, 100 if total > 0 else 0)
        if total > 0:
            self.ui.progressBar.setValue(round(100 * done / total))
        self.ui.statusLabel.text = wording.progress_text(stage, eta_s)

    def _on_shown(self, result: Result, last: bool) -> None:
        self.result = result
        self._next_suggestion = 0
        text = wording.summary(result.report)
        self.ui.summaryLabel.text = text if last else _("Preview\n{summary}").format(summary=text)
        self._show_uncertainty()
        if last and result.suggested_slices and self._volume is not None:
            best = result.suggested_slices[0]
            views.jump(self._volume, best["axis"], best["index"])

    def _on_ended(self, error: Exception | None) -> None:
        self.refresh()
        if error is None:
            self.ui.statusLabel.text = wording.advice(self.overview) or _("Done.")
        else:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.update()
        text = wording.failure(error)
        self.ui.statusLabel.text = text
        if isinstance(error, Cancelled):
            return
        logging.error("MetaSegment: %s", type(error).__name__, exc_info=error)
        self._show_error(text)

    def _show_uncertainty(self) -> None:
        volume, parameters, result = self._volume, self.parameters, self.result
        if volume is None or volume.GetScene() is None or parameters is None or result is None:
            return
        if not parameters.showUncertainty:
            views.hide_uncertainty(volume.GetScene())
        elif self._overlaid is not result or views.overlay_of(volume.GetScene()) is None:
            self._overlaid = result
            views.show_uncertainty(volume, result.uncertainty)

    def _method_chosen(self, index: int) -> None:
        if self.parameters is not None and index >= 0:
            self.parameters.method = self.ui.methodBox.itemData(index)

    def _any_method_chosen(self, index: int) -> None:
        if self.parameters is not None and index >= 0:
            self.parameters.method = self.ui.allMethodsBox.itemData(index)

    def _device_chosen(self, index: int) -> None:
        if self.parameters is not None and index >= 0:
            self.parameters.device = self.ui.deviceBox.itemData(index)


def _allow(button: Any, allowed: bool, what: str, why_not: str) -> None:
    button.enabled = allowed
    button.toolTip = what if allowed else why_not


def _without_arguments(action: Callable[[], None]) -> Callable[[bool], None]:
    def clicked(_checked: bool = False) -> None:
        action()

    return clicked
