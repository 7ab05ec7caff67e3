"""The scripted module: what Slicer sees. Everything it does is in MetaSegmentLib."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    from slicer.i18n import tr as _
    from slicer.i18n import translate
    from slicer.ScriptedLoadableModule import (
        ScriptedLoadableModule,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
        ScriptedLoadableModuleWidget,
    )
except ImportError:  # slicer-core: MRML without the application, so without modules and panels
    from MetaSegmentLib.scene.runtime import (
        ScriptedLoadableModule,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
        ScriptedLoadableModuleWidget,
        translate,
    )
    from MetaSegmentLib.scene.runtime import tr as _

from MetaSegmentLib.errors import MetaSegmentError
from MetaSegmentLib.scene import Run, Session

if TYPE_CHECKING:
    from MetaSegmentLib import Result

_POLL_MILLISECONDS = 50


class MetaSegment(ScriptedLoadableModule):
    """The module's entry in Slicer."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        parent.title = _("MetaSegment")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations"]
        parent.contributors = ["MetaSegment contributors"]
        parent.helpText = _("Paint a structure on a few slices of a volume, and have it segmented on all the others.")
        parent.acknowledgementText = ""


class MetaSegmentLogic(ScriptedLoadableModuleLogic):
    """Segmentation from a few painted slices, for scripts and for the panel.

        logic = MetaSegmentLogic()
        result = logic.process(volumeNode, segmentationNode, method="maml")

    Attributes:
        session: the :class:`MetaSegmentLib.scene.Session` that does the work.
    """

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.session = Session(schedule=_timer())

    def process(
        self,
        inputVolume: Any,
        segmentation: Any,
        segmentIds: Sequence[str] | None = None,
        method: str | None = None,
        slices: Sequence[int] | None = None,
        outputSegmentation: Any | None = None,
        device: str = "auto",
        wait: bool = True,
        progress: Callable[[str, int, int, float | None], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        finished: Callable[[Run], None] | None = None,
    ) -> Result | Run:
        """Fill the slices of a volume that are not painted; see :meth:`MetaSegmentLib.scene.Session.process`.

        Args:
            inputVolume: vtkMRMLScalarVolumeNode.
            segmentation: vtkMRMLSegmentationNode with the painted slices.
            segmentIds: which segments; the default is all visible ones.
            method: a name of ``metasegment methods``; the default is the most accurate one.
            slices: indices of the painted slices (numpy order); one without paint says that nothing is there.
            outputSegmentation: written to instead of ``segmentation``.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
            wait: False returns a :class:`MetaSegmentLib.scene.Run` at once and works in the background.
            progress: called as ``progress(stage, done, total, eta_s)``.
            cancel: returning True stops the run.
            finished: called with the run when a background run has ended.

        Raises:
            MetaSegmentError: with one sentence that says what to do; nothing is changed.
        """
        return self.session.process(
            inputVolume,
            segmentation,
            segmentIds,
            method=method,
            slices=slices,
            output=outputSegmentation,
            device=device,
            wait=wait,
            progress=progress,
            cancel=cancel,
            finished=finished,
        )

    def poll(self) -> bool:
        """Whether a background run is under way; writes its result once it has ended. Slicer's timer does this."""
        return self.session.poll()

    def cancel(self) -> None:
        """Stop the background run; nothing is written."""
        self.session.cancel()

    def undo(self) -> bool:
        """Take the last result back; False when there is none."""
        return self.session.undo()


class MetaSegmentWidget(ScriptedLoadableModuleWidget):
    """The panel: what to segment, how, and a button."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.logic: MetaSegmentLogic | None = None

    def setup(self) -> None:
        """Make the panel."""
        super().setup()
        import qt

        import slicer
        from MetaSegmentLib.methods import METHODS
        from MetaSegmentLib.settings import DEFAULT_METHOD

        self.logic = MetaSegmentLogic()
        form = qt.QFormLayout()
        self.layout.addLayout(form)
        self.volumeSelector = self._nodeSelector("vtkMRMLScalarVolumeNode")
        form.addRow(_("Volume:"), self.volumeSelector)
        self.segmentationSelector = self._nodeSelector("vtkMRMLSegmentationNode")
        form.addRow(_("Segmentation:"), self.segmentationSelector)
        self.methodBox = qt.QComboBox()
        for name, info in METHODS.items():
            self.methodBox.addItem(info.title, name)
        self.methodBox.setCurrentIndex(max(0, self.methodBox.findData(DEFAULT_METHOD)))
        form.addRow(_("Method:"), self.methodBox)
        self.applyButton = qt.QPushButton()
        self.applyButton.connect("clicked(bool)", self.onApply)
        self.layout.addWidget(self.applyButton)
        self.statusLabel = qt.QLabel()
        self.statusLabel.setWordWrap(True)
        self.layout.addWidget(self.statusLabel)
        self.layout.addStretch(1)
        for selector in (self.volumeSelector, self.segmentationSelector):
            selector.setMRMLScene(slicer.mrmlScene)
            selector.connect("currentNodeChanged(vtkMRMLNode*)", self._checkCanApply)
        self._checkCanApply()

    def cleanup(self) -> None:
        """The module is about to go: stop what is under way."""
        if self.logic is not None:
            self.logic.cancel()

    def onApply(self, _checked: bool = False) -> None:
        """Start, or cancel what was started."""
        import slicer

        assert self.logic is not None
        if self.logic.session.running:
            self.logic.cancel()
            return
        with slicer.util.tryWithErrorDisplay(_("The segmentation could not be started.")):
            self.logic.process(
                self.volumeSelector.currentNode(),
                self.segmentationSelector.currentNode(),
                method=self.methodBox.currentData,
                wait=False,
                progress=self._onProgress,
                finished=self._onFinished,
            )
        self._checkCanApply()

    def _nodeSelector(self, nodeType: str) -> Any:
        import slicer

        selector = slicer.qMRMLNodeComboBox()
        selector.nodeTypes = [nodeType]
        selector.addEnabled = False
        selector.removeEnabled = False
        selector.noneEnabled = True
        return selector

    def _checkCanApply(self, _node: Any = None) -> None:
        assert self.logic is not None
        if self.logic.session.running:
            self.applyButton.text, self.applyButton.toolTip = _("Cancel"), _("Stop; nothing will be changed.")
            self.applyButton.enabled = True
            return
        self.applyButton.text = _("Segment")
        if self.volumeSelector.currentNode() is None:
            missing = _("Choose the volume to segment.")
        elif self.segmentationSelector.currentNode() is None:
            missing = _("Choose the segmentation with the painted slices.")
        else:
            missing = ""
        self.applyButton.enabled = not missing
        self.applyButton.toolTip = missing or _("Segment the slices that are not painted.")

    def _onProgress(self, stage: str, done: int, total: int, eta: float | None) -> None:
        left = "" if eta is None else _(", {seconds} s left").format(seconds=round(eta))
        self.statusLabel.text = f"{stage}: {done}/{total}{left}"

    def _onFinished(self, run: Run) -> None:
        if run.error is None:
            self.statusLabel.text = _("Done.")
        elif isinstance(run.error, MetaSegmentError):
            self.statusLabel.text = str(run.error)
        else:
            self.statusLabel.text = _("The segmentation failed: {error}").format(error=run.error)
        self._checkCanApply()


class MetaSegmentTest(ScriptedLoadableModuleTest):
    """Runs the checks in Testing/slicer of the source tree; an installed extension comes without them."""

    def runTest(self) -> None:
        checks = Path(__file__).resolve().parents[1] / "Testing" / "slicer" / "check_scene.py"
        if not checks.is_file():
            self.skipTest("The checks are in the source tree, which is not here.")
        runpy.run_path(str(checks))["run_all"]()


def _timer() -> Callable[[Callable[[], None]], None] | None:
    """Runs a callable a little later on Slicer's main thread; None where there is no application."""
    import slicer

    if not hasattr(slicer, "app"):
        return None
    import qt

    return lambda call: qt.QTimer.singleShot(_POLL_MILLISECONDS, call)
