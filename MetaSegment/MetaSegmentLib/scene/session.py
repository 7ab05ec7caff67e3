"""From painted segments in the scene to filled segments in the scene, at once or in the background."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

from ..errors import InputError, MetaSegmentError
from ..progress import CancelCallback, ProgressCallback
from ..settings import DEFAULT_METHOD, Result, Settings
from .editor import Editor
from .i18n import tr as _
from .learner import Learner
from .reader import Painting, read_painting
from .rules import EditRules, find_editor
from .run import Job, Run
from .views import OVERLAY
from .worker import Worker
from .writer import write_result
from .yielding import let_threads_run


class Session:
    """Segments volumes of a MRML scene from their painted slices.

    All methods are for one thread, the one that owns the scene; only the engine runs elsewhere, on copies.

    Attributes:
        editor_node: the vtkMRMLSegmentEditorNode whose masking settings hold; by default the one in the scene that
            refers to the segmentation.
        editor: writes; holds the undo steps.

    Args:
        schedule: runs a callable a little later on this thread (a timer's single shot), so that a background run
            polls itself and its thread gets its turns. Without it, somebody calls :meth:`poll` or :meth:`Run.wait`.
    """

    def __init__(self, schedule: Callable[[Callable[[], None]], None] | None = None) -> None:
        self.editor_node: Any | None = None
        self.editor = Editor()
        self._schedule = schedule
        self._worker = Worker()
        self._learner = Learner()
        self._job: Job | None = None

    @property
    def running(self) -> bool:
        """Whether a background run is under way."""
        return self._job is not None

    def process(
        self,
        volume: Any,
        segmentation: Any,
        segment_ids: Sequence[str] | None = None,
        method: str | None = None,
        slices: Sequence[int] | None = None,
        output: Any | None = None,
        device: str = "auto",
        wait: bool = True,
        progress: ProgressCallback | None = None,
        cancel: CancelCallback | None = None,
        finished: Callable[[Run], None] | None = None,
        same_step: bool = False,
    ) -> Result | Run:
        """Fill the slices that are not painted.

        Args:
            volume: vtkMRMLScalarVolumeNode.
            segmentation: vtkMRMLSegmentationNode with the painted slices.
            segment_ids: which segments; the default is all visible ones.
            method: a name of ``metasegment methods``; the default is the most accurate one.
            slices: indices of the painted slices; one without paint says that the structures are absent there. The
                default is every slice with paint that an earlier run did not fill.
            output: another vtkMRMLSegmentationNode to write to; ``segmentation`` stays as it is.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
            wait: False returns a :class:`Run` at once; the result is written when the session is polled.
            progress: called as ``progress(stage, done, total, eta_s)``, on the calling thread.
            cancel: polled, on the calling thread; returning True stops the run.
            finished: called with the :class:`Run` when it has ended.
            same_step: the undo step of the last result goes on, unless the user has changed something since.

        Returns:
            The engine's result, whose label n is the n-th segment, or a :class:`Run`. Its report also says under
            ``written`` how large each segment is now, and how much of it was left to other segments.

        Raises:
            MetaSegmentError: what was given cannot be used, or the run was cancelled; nothing is changed.
        """
        if self._job is not None:
            raise MetaSegmentError(_("A segmentation is under way; wait for it or cancel it first."))
        _check_node(volume, "vtkMRMLScalarVolumeNode", _("Choose the volume to segment; it must be in the scene."))
        if volume.GetAttribute(OVERLAY):
            raise InputError(_("Choose the scan itself; this volume only shows how uncertain a result is."))
        _check_node(segmentation, "vtkMRMLSegmentationNode", _("Choose the segmentation with the painted slices."))
        target = segmentation if output is None else output
        _check_node(target, "vtkMRMLSegmentationNode", _("Choose a segmentation of the scene for the result."))
        painting = read_painting(volume, segmentation, segment_ids, slices)
        settings, origin = Settings(method=method or DEFAULT_METHOD, device=device), _state(volume)

        def compute(progress: ProgressCallback | None, cancel: CancelCallback | None) -> Result:
            return self._learner.compute(painting, origin, settings, progress, cancel)

        def write(result: Result) -> Result:
            return self._write(painting, result, volume, segmentation, target, same_step)

        if wait:
            return write(compute(progress, cancel))
        # The volume may be changed or deleted while the engine works.
        painting = replace(painting, image=painting.image.copy())
        run = Run(self)
        self._job = Job(run, self._worker, compute, write, (volume, segmentation, target), progress, cancel, finished)
        if self._schedule is not None:
            self._schedule(self._tick)
        return run

    def poll(self) -> bool:
        """Report progress, pass on a cancellation and, when the run has ended, write its result.

        Returns:
            Whether a run is still under way. Errors do not come out of here; they are in :attr:`Run.error`.
        """
        job = self._job
        if job is None:
            return False
        if not job.relay():
            return True
        self._job = None
        job.finish()
        return False

    def cancel(self) -> None:
        """Cancel the background run, if there is one."""
        if self._job is not None:
            self._job.run.cancel()

    def abandon(self) -> None:
        """Cancel the background run without a word to its caller, who is about to go."""
        if self._job is not None:
            self._job.abandon()

    def forget(self) -> None:
        """Let go of the last volume, which is kept so that the next run on it is quick."""
        if self._job is None:
            self._learner.forget()

    def undo(self) -> bool:
        """Take back the last result that was written; False when there is none. In a segmentation that a panel shows,
        it is the last step in the panel, which may be a stroke."""
        return self.editor.undo()

    def _tick(self) -> None:
        job = self._job
        try:
            let_threads_run()
            self.poll()
        finally:  # a caller's callback that fails must not leave the run without anybody who looks after it
            if job is not None and self._job is job and self._schedule is not None:
                self._schedule(self._tick)

    def _write(
        self, painting: Painting, result: Result, volume: Any, segmentation: Any, target: Any, same_step: bool
    ) -> Result:
        editor = self.editor_node
        if editor is None or editor.GetSegmentationNode() not in (target, segmentation):
            editor = find_editor(target, segmentation)
        rules = EditRules(editor, volume)
        written = write_result(painting, result, volume, segmentation, target, rules, self.editor, same_step)
        return replace(result, report={**result.report, "written": written})


def _state(volume: Any) -> Hashable:
    """Changes whenever the voxels do."""
    return volume.GetID(), id(volume), volume.GetImageData().GetMTime()


def _check_node(node: Any, kind: str, advice: str) -> None:
    if node is None or not hasattr(node, "IsA") or not node.IsA(kind) or node.GetScene() is None:
        raise InputError(advice)
