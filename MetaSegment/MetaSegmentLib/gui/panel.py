"""The panel's controls: what each one does. When it can be used and what it says is worked out in the app package."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Protocol

from ..app import wording
from ..app.flow import PREVIEW_METHOD, Flow, RunRequest
from ..app.state import Situation, controls
from ..app.steps import StepNames
from ..errors import Cancelled, MetaSegmentError
from ..predictors.registry import METHODS
from ..scene import views
from ..scene.hardware import gpu
from ..scene.i18n import tr as _
from ..scene.record import runs_of
from ..scene.review import DoubtfulSlice
from ..scene.slices import Overview, PaintedSlice, SliceEdits, SliceList
from ..settings import Result
from . import choices
from .hint import Hint
from .installer import InstallationFailed, Installer
from .paint_editor import PaintEditor
from .pieces import InPieces
from .result_view import ResultView
from .review_view import ReviewView
from .slice_table import SliceTable
from .slice_views import SliceViews
from .weights_choice import WeightsChoice

if TYPE_CHECKING:
    from ..series import SeriesResult

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
        editor: paints.
        view: the result that is shown.
        slice_views: looks after the slice views while the panel is shown.
        review: leads through doubtful slices.

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
        self.editor = PaintEditor(ui.segmentEditor)
        self.view = ResultView(ui)
        self._request: RunRequest | None = None
        self._flow = flow
        self._edits = edits
        self._installer = installer
        self._show_error = show_error
        self._slices = SliceList()
        self._table = SliceTable(ui.sliceTable, self._go, self.update)
        self.slice_views = SliceViews(ui, self._table, self.update, self._say)
        self.review = ReviewView(ui, self._nodes, self.editor.select, self._accept_reviewed)
        self._hint = Hint(ui)
        self._steps = StepNames()
        self._step, self._before = "", self.overview.state
        self._pause = qt.QTimer()
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MILLISECONDS)
        self._pause.connect("timeout()", self._look)
        self._looking = InPieces()
        for button, action in (
            (ui.applyButton, self.segment_or_cancel),
            (ui.framesButton, self.segment_frames),
            (ui.removeButton, self.remove),
            (ui.emptyButton, self.mark_empty),
            (ui.acceptButton, self.accept),
            (ui.suggestButton, self.go_to_suggestion),
            (ui.undoButton, self.undo),
            (ui.redoButton, self.redo),
        ):
            button.connect("clicked(bool)", _without_arguments(action))
        ui.methodBox.connect("currentIndexChanged(int)", self._method_chosen)
        ui.allMethodsBox.connect("currentIndexChanged(int)", self._any_method_chosen)
        ui.deviceBox.connect("currentIndexChanged(int)", self._device_chosen)
        self._weights = WeightsChoice(ui.weightsBox)
        ui.expectationLabel.text = ui.deviceBox.toolTip = wording.expectation(gpu())
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
        self.editor.show(parameters.segmentation, parameters.inputVolume)
        self.ui.show3DButton.setSegmentationNode(parameters.segmentation)
        self.refresh()

    def refresh_soon(self) -> None:
        """The paint changed; wait for a pause, as looking at it takes a moment."""
        self._pause.start()

    @property
    def busy(self) -> bool:
        """Whether something is still to be looked at or shown."""
        return (
            self._pause.isActive() or self._looking.busy or self.view.busy or self.slice_views.busy or self.review.busy
        )

    def refresh(self) -> None:
        """Look at the paint and show what it means, at once."""
        self._pause.stop()
        self._looking.stop()
        self._show_overview(self._slices.look(*self._nodes()) if self._usable else Overview())

    def _look(self, then: Callable[[], None] = lambda: None) -> None:
        """The same in pieces; then something else."""

        def looked(overview: Overview) -> None:
            self._show_overview(overview)
            then()

        self._pause.stop()
        if self._usable:
            self._looking.begin(self._slices.look_steps(*self._nodes()), looked)
        else:
            self._looking.stop()
            looked(Overview())

    @property
    def _usable(self) -> bool:
        volume, segmentation = self._nodes()
        return volume is not None and volume.GetImageData() is not None and segmentation is not None

    def _show_overview(self, overview: Overview) -> None:
        volume, segmentation = self._nodes()
        self.overview = overview
        self._steps.follow(overview.state, self.editor.canRedo())
        self._table.show(self.overview.slices, views.orientations(volume) if self._usable else ())
        self.view.follow(volume, segmentation, {(row.axis, row.index) for row in self.overview.slices if not row.doubt})
        if self.parameters is not None:
            self.view.show_uncertainty(self.parameters.showUncertainty)
        self.slice_views.show(volume if self._usable else None, overview.axis)
        log = wording.history(runs_of(segmentation)) if segmentation is not None else ""
        self.ui.historyLabel.text = log or _("No run has filled these segments.")
        self.update()

    def update(self) -> None:
        """Enable what can be used, and say why the rest cannot."""
        ui, running = self.ui, self._flow.running
        volume, segmentation = self._nodes()
        now = Situation(
            volume,
            segmentation,
            self.overview,
            running,
            self._table.current is not None,
            self.view.result is not None,
            self.view.has_uncertainty,
            bool(self.view.suggestions),
            self.editor.canRedo(),
        )
        for name, control in controls(now).items():
            getattr(ui, name).enabled = control.enabled
            getattr(ui, name).toolTip = control.tip
        ui.applyButton.text = _("Cancel") if running else _("Segment")
        ui.framesButton.visible = now.in_sequence and not running
        ui.progressBar.visible = running
        # What is not needed any more leaves its room to the paint tools.
        ui.expectationLabel.visible = not (gpu() or running or self.view.result is not None)
        for part in (ui.tryLabel, ui.tryButton):
            part.visible = volume is None
        if not running:
            ui.statusLabel.text = now.obstacle or wording.advice(self.overview)
        self.view.label_button()
        ui.undoButton.text = wording.undo_text(self._steps.undo)
        ui.redoButton.text = wording.redo_text(self._steps.redo)
        self.review.update(not running and self._usable and bool(now.segments))
        for selector in (
            ui.inputSelector,
            ui.segmentationSelector,
            ui.methodBox,
            ui.allMethodsBox,
            ui.deviceBox,
            ui.weightsBox,
        ):
            selector.enabled = not running and self.parameters is not None
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
        if self._pause.isActive() or self._looking.busy:
            self._look(self._segment)  # the paint has just changed
        else:
            self._segment()

    def _segment(self) -> None:
        if self.parameters is None or not self.ui.applyButton.enabled or self._flow.running:
            return
        try:
            # The preview needs nothing that could be missing, and is there before anything is asked.
            first = self.parameters.method == PREVIEW_METHOD
            if not first or self._installer.ready():
                self._start(self.parameters)
        except InstallationFailed as error:
            self._note(error)  # its window says so already
        except Exception as error:
            self._fail(error)

    def segment_frames(self) -> None:
        """Segment every time point of the sequence that the volume belongs to."""
        if self.parameters is None or self._flow.running:
            return
        try:
            if self._installer.ready():
                self._request = self._requested(self.parameters)
                self._before, self._step = self.overview.state, _("segment all frames")
                self._flow.start_frames(self._request, self._on_progress, self._on_frames, self._on_frames_ended)
                self._started()
        except InstallationFailed as error:
            self._note(error)  # its window says so already
        except Exception as error:
            self._fail(error)

    def remove(self) -> None:
        """Take the paint off the selected slice."""
        row = self._table.current
        if row is not None:
            self._edit(self._edits.remove, _("remove slice {index}"), row.segment_id, row.axis, row.index)

    def mark_empty(self) -> None:
        """Say that the structure is absent on the slice that is shown."""
        self._edit_shown(self._edits.mark_empty, _("mark slice {index} as empty"))

    def accept(self) -> None:
        """Count the slice that is shown as painted."""
        self._edit_shown(self._edits.accept, _("accept slice {index}"))

    def undo(self) -> None:
        """Take the last step back."""
        undone = self._flow.undo()
        self.refresh()
        if not undone:
            self._say(_("There is nothing to take back."))

    def redo(self) -> None:
        """Bring back the step that was taken back last."""
        redone = self._flow.redo()
        self.refresh()
        if not redone:
            self._say(_("There is nothing to bring back."))

    def go_to_suggestion(self) -> None:
        """Show the slice where painting helps most."""
        self.view.next_suggestion()
        self.update()

    def forget(self) -> None:
        """The scene is about to go: stop, and let go of everything."""
        self._pause.stop()
        self._looking.stop()
        self._flow.close()
        self._slices = SliceList()
        self.view.clear()
        self.review.forget()
        self._steps.forget()
        self._request = None
        self.ui.show3DButton.setSegmentationNode(None)
        self.slice_views.show(None, None)
        self.attach(None)

    def close(self) -> None:
        """The controls are about to go: stop, and touch them no more."""
        self._pause.stop()
        self._looking.stop()
        self.view.stop()
        self.review.stop()
        self.slice_views.leave()
        self._flow.abandon()
        self._flow.close()

    def _start(self, parameters: Parameters) -> None:
        self._request = self._requested(parameters)
        self._before, self._step = self.overview.state, ""
        self._flow.start(self._request, self._on_progress, self._on_shown, self._on_ended, self._installer.ready)
        self._started()

    def _requested(self, parameters: Parameters) -> RunRequest:
        return RunRequest(
            parameters.inputVolume,
            parameters.segmentation,
            parameters.method,
            parameters.device,
            parameters.showPreview or not self._installer.complete,
            self._weights.folder,
        )

    def _started(self) -> None:
        self.ui.progressBar.setRange(0, 0)
        self.update()
        self.ui.statusLabel.text = _("Reading the painted slices…")

    def _nodes(self) -> tuple[Any | None, Any | None]:
        if self.parameters is None:
            return None, None
        return self.parameters.inputVolume, self.parameters.segmentation

    def _go(self, row: PaintedSlice) -> None:
        volume, _segmentation = self._nodes()
        if volume is not None:
            views.jump(volume, row.axis, row.index)

    def _edit_shown(self, change: Callable[..., None], name: str) -> None:
        volume, segmentation = self._nodes()
        if volume is None or segmentation is None:
            return
        shown = views.shown_slice(volume, self.overview.axis)
        if shown is None:
            self._fail(MetaSegmentError(_("Go to a slice of the volume in a slice view first.")))
            return
        segment_id = self.editor.currentSegmentID() or segmentation.GetSegmentation().GetNthSegmentID(0)
        self._edit(change, name, segment_id, *shown)

    def _edit(self, change: Callable[..., None], name: str, segment_id: str, axis: int, index: int) -> bool:
        nodes, before = self._nodes(), self.overview.state
        try:
            change(*nodes, segment_id, axis, index)
        except Exception as error:
            self._fail(error)
            return False
        self.view.carry_over(*nodes)
        self.refresh()
        self._name_step(before, name.format(index=index))
        return True

    def _accept_reviewed(self, one: DoubtfulSlice) -> bool:
        return self._edit(self._edits.accept, _("accept slice {index}"), one.segment_id, one.axis, one.index)

    def _name_step(self, before: Hashable, name: str) -> None:
        self._steps.note(before, self.overview.state, name)
        self.update()

    def _say(self, text: str) -> None:
        self.ui.statusLabel.text = text

    def _on_progress(self, stage: str, done: int, total: int, eta_s: float | None) -> None:
        self.ui.progressBar.setRange(0, 100 if total > 0 else 0)
        if total > 0:
            self.ui.progressBar.setValue(round(100 * done / total))
        self.ui.statusLabel.text = wording.progress_text(stage, eta_s)

    def _on_shown(self, result: Result, last: bool) -> None:
        if self._request is not None and self.parameters is not None:
            self._step = wording.run_step(len(result.report["segments"]))
            self._hint.done()
            self.view.show(result, self._request.volume, self._request.segmentation, last, self._flow.seconds)
            self.view.show_uncertainty(self.parameters.showUncertainty)

    def _on_frames(self, series: SeriesResult) -> None:
        if self._request is not None:
            self.view.show_frames(series, self._request.volume, self._request.segmentation, self._flow.seconds)

    def _on_frames_ended(self, error: Exception | None) -> None:
        if error is not None:
            self._step = ""
        else:
            self._hint.done()
        self._on_ended(error)

    def _on_ended(self, error: Exception | None) -> None:
        if isinstance(error, InstallationFailed):
            self._note(error)  # its window says so already
        elif error is not None:
            self._fail(error)

        def looked() -> None:
            if self._step:
                self._name_step(self._before, self._step)
            self.ui.statusLabel.text = wording.advice(self.overview) or _("Done.")
            if error is not None:
                self.ui.statusLabel.text = wording.failure(error)

        self._look(looked)

    def _fail(self, error: Exception) -> None:
        text = self._note(error)
        if isinstance(error, Cancelled):
            return
        logging.error("MetaSegment: %s", type(error).__name__, exc_info=error)
        self._show_error(text)

    def _note(self, error: Exception) -> str:
        self.update()
        text = wording.failure(error)
        self.ui.statusLabel.text = text
        return text

    def _method_chosen(self, index: int) -> None:
        if self.parameters is not None and index >= 0:
            self.parameters.method = self.ui.methodBox.itemData(index)

    def _any_method_chosen(self, index: int) -> None:
        if self.parameters is not None and index >= 0:
            self.parameters.method = self.ui.allMethodsBox.itemData(index)

    def _device_chosen(self, index: int) -> None:
        if self.parameters is not None and index >= 0:
            self.parameters.device = self.ui.deviceBox.itemData(index)


def _without_arguments(action: Callable[[], None]) -> Callable[[bool], None]:
    def clicked(_checked: bool = False) -> None:
        action()

    return clicked
