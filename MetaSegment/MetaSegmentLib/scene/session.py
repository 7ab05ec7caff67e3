"""From painted segments in the scene to filled segments in the scene, at once or in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, DependencyError, InputError, MetaSegmentError
from ..progress import CancelCallback, ProgressCallback
from ..settings import DEFAULT_METHOD, Result, Settings
from .reader import Painting, read_painting
from .rules import EditRules, find_editor
from .worker import Worker
from .writer import Editor, write_result

if TYPE_CHECKING:
    from ..engine import Adapted

_POLL_SECONDS = 0.02


class Run:
    """A segmentation that goes on in the background.

    Attributes:
        done: whether it has ended, with ``result`` or with ``error``.
        result: the engine's result, once it has been written to the scene.
        error: why there is no result; :class:`Cancelled` if it was cancelled.
    """

    def __init__(self, session: Session) -> None:
        self.done = False
        self.result: Result | None = None
        self.error: Exception | None = None
        self._session = session
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop within one batch; nothing will be written."""
        self._cancelled.set()

    def wait(self, timeout: float | None = None) -> Result:
        """Poll until the run has ended, in seconds at most ``timeout``; not for the thread of a GUI.

        Raises:
            TimeoutError: the run is still under way.
            MetaSegmentError: the run has failed or was cancelled.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self.done:
            self._session.poll()
            if self.done:
                break
            if end is not None and time.monotonic() > end:
                raise TimeoutError("The segmentation is still under way.")
            time.sleep(_POLL_SECONDS)
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result


class Session:
    """Segments volumes of a MRML scene from their painted slices.

    All methods are for one thread, the one that owns the scene; only the engine runs elsewhere, on copies.

    Attributes:
        editor_node: the vtkMRMLSegmentEditorNode whose masks and overwrite mode hold; by default the one in the scene
            that refers to the segmentation.
        save_state: called to begin an undo step; by default the step belongs to :meth:`undo`. A panel with a
            qMRMLSegmentEditorWidget sets its ``saveStateForUndo``, so that the step is one of its own.

    Args:
        schedule: runs a callable a little later on this thread (a timer's single shot), so that a background run
            polls itself. Without it, somebody calls :meth:`poll` or :meth:`Run.wait`.
    """

    def __init__(self, schedule: Callable[[Callable[[], None]], None] | None = None) -> None:
        self.editor_node: Any | None = None
        self.save_state: Callable[[], None] | None = None
        self._schedule = schedule
        self._worker = Worker()
        self._editor = Editor()
        self._learner = _Learner()
        self._job: _Job | None = None

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

        Returns:
            The engine's result, whose label n is the n-th segment, or a :class:`Run`.

        Raises:
            MetaSegmentError: what was given cannot be used, or the run was cancelled; nothing is changed.
        """
        if self._job is not None:
            raise MetaSegmentError("A segmentation is under way; wait for it or cancel it first.")
        _check_node(volume, "vtkMRMLScalarVolumeNode", "Choose the volume to segment; it must be in the scene.")
        _check_node(segmentation, "vtkMRMLSegmentationNode", "Choose the segmentation with the painted slices.")
        target = segmentation if output is None else output
        _check_node(target, "vtkMRMLSegmentationNode", "Choose a segmentation of the scene for the result.")
        painting = read_painting(volume, segmentation, segment_ids, slices)
        settings = Settings(method=method or DEFAULT_METHOD, device=device)
        if wait:
            result = self._learner.compute(painting, _state(volume), settings, progress, cancel)
            self._write(painting, result, volume, segmentation, target)
            return result
        run = Run(self)
        self._job = _Job(self, run, painting, settings, (volume, segmentation, target), progress, cancel, finished)
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

    def forget(self) -> None:
        """Let go of the last volume, which is kept so that the next run on it is quick."""
        if self._job is None:
            self._learner.forget()

    def undo(self) -> bool:
        """Take back the last result that was written; False when there is none. Not used with ``save_state``."""
        return self._editor.undo()

    def _tick(self) -> None:
        job = self._job
        try:
            self.poll()
        finally:  # a caller's callback that fails must not leave the run without anybody who looks after it
            if job is not None and self._job is job and self._schedule is not None:
                self._schedule(self._tick)

    def _write(self, painting: Painting, result: Result, volume: Any, segmentation: Any, target: Any) -> None:
        editor = self.editor_node
        if editor is None or editor.GetSegmentationNode() not in (target, segmentation):
            editor = find_editor(target, segmentation)
        rules = EditRules(editor, volume)
        write_result(painting, result, volume, segmentation, target, rules, self._editor, self.save_state)


class _Job:
    """A background run and what it needs to come to its end."""

    def __init__(
        self,
        session: Session,
        run: Run,
        painting: Painting,
        settings: Settings,
        nodes: tuple[Any, Any, Any],
        progress: ProgressCallback | None,
        cancel: CancelCallback | None,
        finished: Callable[[Run], None] | None,
    ) -> None:
        self.run = run
        self._session = session
        # The volume may be changed or deleted while the engine works.
        self._painting = replace(painting, image=painting.image.copy())
        self._nodes = nodes
        self._ids = [(node.GetScene(), node.GetID()) for node in nodes]
        self._progress = progress
        self._cancel = cancel
        self._finished = finished
        self._reports: SimpleQueue[tuple[str, int, int, float | None]] = SimpleQueue()
        origin = _state(nodes[0])
        stopped, stopping = run._cancelled, session._worker.stopping

        def report(*about: Any) -> None:
            self._reports.put(about)

        def cancelled() -> bool:
            return stopped.is_set() or stopping.is_set()

        self._future: Future[Result] = session._worker.submit(
            lambda: session._learner.compute(self._painting, origin, settings, report, cancelled)
        )

    def relay(self) -> bool:
        """Pass reports to the caller and the caller's wishes to the engine; True when the engine has ended."""
        ended = self._future.done()
        while self._progress is not None:
            try:
                report = self._reports.get_nowait()
            except Empty:
                break
            self._progress(*report)
        if (self._cancel is not None and self._cancel()) or not self._nodes_are_there():
            self.run.cancel()
        return ended

    def finish(self) -> None:
        """Write the result and tell the caller."""
        run = self.run
        try:
            result = self._future.result()
            if not self._nodes_are_there():
                raise Cancelled("The volume or the segmentation was removed; nothing was written.")
            if run._cancelled.is_set():
                raise Cancelled
            self._session._write(self._painting, result, *self._nodes)
            run.result = result
        except Exception as error:
            run.error = error
        run.done = True
        if self._finished is not None:
            self._finished(run)

    def _nodes_are_there(self) -> bool:
        return all(scene.GetNodeByID(i) is node for node, (scene, i) in zip(self._nodes, self._ids, strict=True))


class _Learner:
    """Runs the engine; when the same segments of the same volume were painted on, it learns only what is new."""

    def __init__(self) -> None:
        self._adapted: Adapted | None = None
        self._learned: tuple[Any, ...] | None = None

    def forget(self) -> None:
        """Let go of the last volume."""
        self._adapted = self._learned = None

    def compute(
        self,
        painting: Painting,
        origin: Hashable,
        settings: Settings,
        progress: ProgressCallback | None,
        cancel: CancelCallback | None,
    ) -> Result:
        """``origin`` tells one state of a volume from another."""
        try:
            from ..engine import adapt
        except ImportError as error:
            raise DependencyError(
                f"The Python package {error.name} is not installed; install what MetaSegment needs and try again."
            ) from error
        about = (origin, settings.device, settings.seed, painting.names, painting.spacing)
        if self._adapted is not None and self._learned == (*about, painting.axis):
            adapted = self._adapted.update(painting.labels, painting.slices, progress, cancel, settings.method)
        else:
            self.forget()
            given = (painting.image, painting.labels, painting.spacing, painting.slices, painting.axis)
            adapted = adapt(*given, settings, progress, cancel, painting.names)
        result = adapted.predict()
        self._adapted, self._learned = adapted, (*about, result.report["axis"])
        return result


def _state(volume: Any) -> Hashable:
    """Changes whenever the voxels do."""
    return volume.GetID(), id(volume), volume.GetImageData().GetMTime()


def _check_node(node: Any, kind: str, advice: str) -> None:
    if node is None or not hasattr(node, "IsA") or not node.IsA(kind) or node.GetScene() is None:
        raise InputError(advice)
