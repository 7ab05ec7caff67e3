"""The scripted module: what Slicer sees. Everything it does is in MetaSegmentLib."""

import runpy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vtk
from slicer.util import VTKObservationMixin

import slicer

try:
    from slicer.parameterNodeWrapper import parameterNodeWrapper
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
        parameterNodeWrapper,
    )

from MetaSegmentLib import dependencies
from MetaSegmentLib.app.flow import Flow
from MetaSegmentLib.app.installing import PyTorchExtension, SlicersInstaller
from MetaSegmentLib.scene import Run, Session
from MetaSegmentLib.scene.i18n import tr as _
from MetaSegmentLib.scene.i18n import translate
from MetaSegmentLib.scene.samples import SAMPLES, Sample, paint_sample
from MetaSegmentLib.scene.slices import SliceEdits
from MetaSegmentLib.scene.views import default_segmentation, default_volume
from MetaSegmentLib.settings import DEFAULT_METHOD

if TYPE_CHECKING:
    from MetaSegmentLib import Case, Cohort, Result, SeriesResult, Settings
    from MetaSegmentLib.executors import Executor

_EDITOR_TAG = "MetaSegmentPanel"


class MetaSegment(ScriptedLoadableModule):
    """The module's entry in Slicer."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        parent.title = _("MetaSegment")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations"]
        parent.contributors = ["MetaSegment contributors"]
        parent.helpText = _(
            "Paint a structure on a few slices of a volume, and have it segmented on all the others. "
            'The <a href="{url}">documentation</a> shows how to use it.'
        ).format(url="https://github.com/MetaSegment/SlicerMetaSegment#use")
        parent.acknowledgementText = _(
            "The network's weights were trained on public data; the documentation names those who made it."
        )
        if getattr(slicer, "app", None) is not None:
            slicer.app.connect("startupCompleted()", registerSampleData)


@parameterNodeWrapper
class MetaSegmentParameterNode:
    """What is chosen in the panel, saved with the scene."""

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    segmentation: slicer.vtkMRMLSegmentationNode
    method: str = DEFAULT_METHOD
    device: str = "auto"
    showPreview: bool = True
    showUncertainty: bool = False


class MetaSegmentLogic(ScriptedLoadableModuleLogic):
    """Segmentation from a few painted slices, for scripts and for the panel.

        logic = MetaSegmentLogic()
        result = logic.process(volumeNode, segmentationNode, method="maml")

    Attributes:
        session: the :class:`MetaSegmentLib.scene.Session` that does the work.
        flow: what the panel's Segment button does with it.
        edits: changes which slices count as painted.
    """

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.session = Session(schedule=_timer(), executor=_executor())
        self.flow = Flow(self.session)
        self.edits = SliceEdits(self.session.editor)

    def getParameterNode(self) -> MetaSegmentParameterNode:
        """What is chosen in the panel."""
        return MetaSegmentParameterNode(ScriptedLoadableModuleLogic.getParameterNode(self))

    def process(
        self,
        inputVolume: Any,
        segmentation: Any,
        segmentIds: Sequence[str] | None = None,
        method: str | None = None,
        slices: "Sequence[int] | Mapping[str | int, Sequence[int]] | None" = None,
        outputSegmentation: Any | None = None,
        device: str = "auto",
        wait: bool = True,
        progress: Callable[[str, int, int, float | None], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        finished: Callable[[Run], None] | None = None,
        weights: str = "",
    ) -> "Result | Run":
        """Fill the slices of a volume that are not painted; see :meth:`MetaSegmentLib.scene.Session.process`.

        Args:
            inputVolume: vtkMRMLScalarVolumeNode.
            segmentation: vtkMRMLSegmentationNode with the painted slices.
            segmentIds: which segments; the default is all visible ones.
            method: a name of ``metasegment methods``; the default is the most accurate one.
            slices: indices of the painted slices (numpy order); one without paint says that nothing is there.
                A mapping names them for each segment, by its identifier or label.
            outputSegmentation: written to instead of ``segmentation``.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
            wait: False returns a :class:`MetaSegmentLib.scene.Run` at once and works in the background.
            progress: called as ``progress(stage, done, total, eta_s)``.
            cancel: returning True stops the run.
            finished: called with the run when a background run has ended.
            weights: folder of your own weights, as ``metasegment train`` writes them.

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
            weights=weights,
        )

    def processSequence(
        self,
        sequence: Any,
        segmentation: Any,
        segmentIds: Sequence[str] | None = None,
        method: str | None = None,
        device: str = "auto",
        wait: bool = True,
        progress: Callable[[str, int, int, float | None], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        finished: Callable[[Run], None] | None = None,
        weights: str = "",
    ) -> "SeriesResult | Run":
        """Segment all time points of a sequence; see :meth:`MetaSegmentLib.scene.Session.process_sequence`.

        Args:
            sequence: vtkMRMLSequenceBrowserNode, vtkMRMLSequenceNode of volumes, or the volume that shows one of them.
            segmentation: vtkMRMLSegmentationNode, painted at the time point that is shown, perhaps at others too.

        The other arguments are those of :meth:`process`.

        Raises:
            MetaSegmentError: with one sentence that says what to do; nothing is changed.
        """
        return self.session.process_sequence(
            sequence, segmentation, segmentIds, method, device, wait, progress, cancel, finished, weights
        )

    def processCohort(
        self,
        cases: "Sequence[Case] | str | Path",
        folder: "str | Path",
        settings: "Settings | None" = None,
        supports: "Sequence[tuple[str | Path, str | Path]]" = (),
        format: str = "seg.nrrd",
        resume: bool = False,
        workers: int | None = None,
        progress: Callable[[str, int, int, float | None], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> "Cohort":
        """Segment many cases from files to files, as ``metasegment batch`` does; see :func:`MetaSegmentLib.run_cohort`.

        Args:
            cases: :class:`MetaSegmentLib.Case`, one each; or a manifest, or a folder that holds the cases.
            folder: for the results and the summary.
            supports: (image, painted) files of patients whose paint serves all cases without paint of their own.
            format: of the results: ``seg.nrrd``, ``nii.gz``, ``dicom-seg`` or ``rtstruct``.
            resume: go on with what is in the folder.
            workers: processes; by default one a GPU, or one for two cores.

        Raises:
            MetaSegmentError: with one sentence that says what to do.
        """
        from MetaSegmentLib.cohort.cases import Common, ending_of
        from MetaSegmentLib.cohort.engine import Workers
        from MetaSegmentLib.cohort.run import run_cohort, run_source

        common = Common(tuple(Path(p) for _, p in supports), tuple(Path(i) for i, _ in supports), ending_of(format))
        started = Workers(workers, dashboard=None)
        if isinstance(cases, (str, Path)):
            return run_source(Path(cases), Path(folder), common, settings, started, resume, progress, cancel)
        return run_cohort(cases, Path(folder), settings, started, resume, common.ending, (), progress, cancel)

    def poll(self) -> bool:
        """Whether a background run is under way; writes its result once it has ended. Slicer's timer does this."""
        return self.session.poll()

    def cancel(self) -> None:
        """Stop the background run; nothing is written."""
        self.session.cancel()

    def close(self) -> None:
        """Stop the background run, end the process that computes it, and let go of the last volume and of its undo."""
        self.session.close()

    def undo(self) -> bool:
        """Take the last step back, as the panel's Undo does; False when there is none."""
        return self.session.undo()


class MetaSegmentWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: a volume, a segmentation to paint in, and a button."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: MetaSegmentLogic | None = None
        self.panel: Any = None
        self._parameterNode: Any = None
        self._parameterNodeGuiTag: Any = None
        self._observed: dict[str, Any] = {}
        self._volume: Any = None
        self._shown = self._loadingSample = False

    def setup(self) -> None:
        """Make the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        import qt

        from MetaSegmentLib.gui.panel import Panel
        from MetaSegmentLib.gui.shortcuts import Shortcuts

        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MetaSegment.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        self.logic = MetaSegmentLogic()
        self.panel = Panel(self.ui, self.logic.flow, self.logic.edits, _installer(), slicer.util.errorDisplay)
        self.shortcuts = Shortcuts(
            {
                "Ctrl+Return": self.ui.applyButton.click,
                "Ctrl+Shift+N": self.ui.suggestButton.click,
                "Ctrl+Shift+A": self.ui.acceptButton.click,
                "Ctrl+Shift+E": self.ui.emptyButton.click,
            }
        )
        self.logic.session.editor.panel = self.panel.editor
        self.ui.tryButton.connect("clicked(bool)", self.onTry)
        self._selectEditorNode()
        uiWidget.setMRMLScene(slicer.mrmlScene)
        # What is loaded comes node by node; what to do with it is seen when all is there.
        self._choosing = qt.QTimer()
        self._choosing.setSingleShot(True)
        self._choosing.setInterval(0)
        self._choosing.connect("timeout()", self.chooseDefaults)
        self._observeClosing()

    def cleanup(self) -> None:
        """The module is about to go, perhaps with Slicer: stop what is under way."""
        self.exit()
        self.removeObservers()
        if self.panel is not None:
            self._choosing.stop()
            self.panel.close()
            self.logic.session.editor.panel = None

    def enter(self) -> None:
        """The module is shown."""
        if not self._shown:
            self._observeScene(self.addObserver)
        self._shown = True
        self.logic.session.warm_up()
        self._selectEditorNode()
        self._setParameterNode(self.logic.getParameterNode())
        self.chooseDefaults()
        self.ui.segmentEditor.setupViewObservations()
        self.ui.segmentEditor.installKeyboardShortcuts()
        self.shortcuts.install(slicer.util.mainWindow())
        self.panel.slice_views.follow(slicer.mrmlScene, self.logic.session.editor_node)

    def exit(self) -> None:
        """Another module is shown; a run goes on."""
        if not self._shown:
            return
        self._shown = False
        self._observeScene(self.removeObserver)
        self._choosing.stop()
        self.panel.slice_views.leave()
        self.shortcuts.remove()
        self.ui.segmentEditor.setActiveEffect(None)
        self.ui.segmentEditor.uninstallKeyboardShortcuts()
        self.ui.segmentEditor.removeViewObservations()
        self._disconnectParameterNode()

    def onSceneStartClose(self, _caller: Any, _event: str) -> None:
        """The scene is about to be closed."""
        self._choosing.stop()
        self.panel.slice_views.leave()
        self._disconnectParameterNode()
        self._parameterNode = self._volume = None
        self.panel.forget()
        self.ui.segmentEditor.setSegmentationNode(None)
        self.ui.segmentEditor.removeViewObservations()
        # What was observed once is held by the mixin; its voxels would outlive the scene.
        self.removeObservers()
        self._observeClosing()
        if self._shown:
            self._observeScene(self.addObserver)

    def onSceneEnd(self, _caller: Any, _event: str) -> None:
        """Another scene is there."""
        if self._shown:
            self.enter()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, _caller: Any, _event: str, node: Any) -> None:
        """A volume or a segmentation was loaded or made."""
        if self._shown and (node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLSegmentationNode")):
            self._choosing.start()

    def onBatchEnd(self, _caller: Any, _event: str) -> None:
        """Many nodes were loaded or made together."""
        if self._shown:
            self._choosing.start()

    def chooseDefaults(self) -> None:
        """Where nothing is chosen, choose what is there; with a volume a segmentation is made to paint in."""
        parameterNode = self._parameterNode
        if not self._shown or self._loadingSample or parameterNode is None or slicer.mrmlScene.IsBatchProcessing():
            return
        if parameterNode.inputVolume is None:
            parameterNode.inputVolume = default_volume(slicer.mrmlScene)
        if parameterNode.segmentation is None:
            parameterNode.segmentation = default_segmentation(slicer.mrmlScene, parameterNode.inputVolume)

    def onTry(self, _checked: bool = False) -> None:
        """Load a sample with painted slices."""
        self._loadingSample = True
        try:
            with slicer.util.tryWithErrorDisplay(_("The sample could not be loaded."), waitCursor=True):
                volume, segmentation = loadSample(SAMPLES[0])
                self._parameterNode.inputVolume = volume
                self._parameterNode.segmentation = segmentation
        finally:
            self._loadingSample = False

    def _observeClosing(self) -> None:
        """Also while another module is shown: results must not outlive their scene."""
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)

    def _observeScene(self, observe: Callable[..., None]) -> None:
        """Begin or end to follow what comes into the scene."""
        scene = slicer.mrmlScene
        observe(scene, scene.NodeAddedEvent, self.onNodeAdded)
        observe(scene, scene.EndBatchProcessEvent, self.onBatchEnd)
        observe(scene, scene.EndCloseEvent, self.onSceneEnd)
        observe(scene, scene.EndImportEvent, self.onSceneEnd)

    def _selectEditorNode(self) -> None:
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(_EDITOR_TAG, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.vtkMRMLSegmentEditorNode()
            node.SetSingletonTag(_EDITOR_TAG)
            node = scene.AddNode(node)
        self.logic.session.editor_node = node
        self.ui.segmentEditor.setMRMLSegmentEditorNode(node)

    def _setParameterNode(self, parameterNode: Any) -> None:
        self._disconnectParameterNode()
        self._parameterNode = parameterNode
        self._volume = parameterNode.inputVolume
        self._parameterNodeGuiTag = parameterNode.connectGui(self.ui)
        self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        self._observeChoice(parameterNode.inputVolume, parameterNode.segmentation)
        self.panel.attach(parameterNode)

    def _disconnectParameterNode(self) -> None:
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            if self.hasObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified):
                self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        self._observeChoice(None, None)

    def _onParametersModified(self, _caller: Any = None, _event: str = "") -> None:
        volume = self._parameterNode.inputVolume
        if volume is not self._volume:
            self._volume = volume
            if volume is not None:
                self._choosing.start()
        self._observeChoice(volume, self._parameterNode.segmentation)
        self.panel.parameters_changed()

    def _observeChoice(self, volume: Any, segmentation: Any) -> None:
        for name, node, events in (
            ("volume", volume, _volumeEvents()),
            ("segmentation", segmentation, _paintEvents()),
        ):
            before = self._observed.get(name)
            if node is before:
                continue
            for event in events if before is not None else ():
                self.removeObserver(before, event, self._onPaint)
            for event in events if node is not None else ():
                self.addObserver(node, event, self._onPaint)
            self._observed[name] = node

    def _onPaint(self, _caller: Any = None, _event: str = "") -> None:
        self.panel.refresh_soon()


def loadSample(sample: Sample) -> tuple[Any, Any]:
    """Download a sample, once, and paint its structure on some slices.

    Returns:
        The volume node and the segmentation node.
    """
    import SampleData

    volume = SampleData.SampleDataLogic().downloadFromURL(
        uris=sample.uri, fileNames=sample.file_name, nodeNames=sample.node_name, checksums=sample.checksum
    )[0]
    return volume, paint_sample(sample, volume)


def registerSampleData() -> None:
    """Put the samples into the Sample Data module."""
    import SampleData

    for sample in SAMPLES:
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category="MetaSegment",
            sampleName=sample.name,
            uris=sample.uri,
            fileNames=sample.file_name,
            nodeNames=sample.node_name,
            checksums=sample.checksum,
            customDownloader=lambda _source, sample=sample: loadSample(sample),
        )


def _paintEvents() -> tuple[int, ...]:
    """What a segmentation node tells when anything in it that matters here changes."""
    kind = slicer.vtkSegmentation
    return (
        kind.SegmentAdded,
        kind.SegmentRemoved,
        kind.SegmentModified,
        kind.SourceRepresentationModified,
        slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent,
        slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
    )


def _volumeEvents() -> tuple[int, ...]:
    """What a volume node tells when its voxels or its place change."""
    return (
        slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
        slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
    )


class MetaSegmentTest(ScriptedLoadableModuleTest):
    """Runs the checks in Testing/slicer of the source tree; an installed extension comes without them."""

    def runTest(self) -> None:
        folder = Path(__file__).resolve().parents[1] / "Testing" / "slicer"
        if not folder.is_dir():
            self.skipTest("The checks are in the source tree, which is not here.")
        runpy.run_path(str(folder / "check_scene.py"))["run_all"]()
        if slicer.util.mainWindow() is not None:
            runpy.run_path(str(folder / "check_panel.py"))["run_all"]()


def _timer() -> Callable[[Callable[[], None], int], None] | None:
    """Runs a callable some milliseconds later on Slicer's main thread; None where there is no application."""
    if not hasattr(slicer, "app"):
        return None
    import qt

    return lambda call, milliseconds: qt.QTimer.singleShot(milliseconds, call)


def _executor() -> "Executor | None":
    """Where background runs are computed in Slicer; None where there is no application."""
    if not hasattr(slicer, "app"):
        return None
    from MetaSegmentLib.gui.process import slicer_executor

    return slicer_executor()


def _installer() -> Any:
    """Who installs what is missing: Slicer's own installer, with its own window; before 5.11 this module's."""
    from MetaSegmentLib.gui.installer import Installer

    ensure = partial(dependencies.ensure, torch=PyTorchExtension(_ask))
    if dependencies.slicer_shows_progress():
        return SlicersInstaller(_ask, ensure)
    return Installer(_ask, slicer.util.mainWindow(), ensure)


def _ask(question: str) -> bool:
    """The user's answer; in Slicer's tests, where nobody is there to give one, it is no."""
    return not slicer.app.testingEnabled() and slicer.util.confirmYesNoDisplay(question)
