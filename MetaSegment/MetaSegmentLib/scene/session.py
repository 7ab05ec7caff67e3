"""From painted segments in the scene to filled segments in the scene, at once or in the background."""

from __future__ import annotations

import math
import time
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..answer.layers import merge_steps
from ..answer.report import with_voxel_volume
from ..errors import Cancelled, InputError, MetaSegmentError
from ..executors import (
    Executor,
    Handle,
    InProcessExecutor,
    Request,
    background_executor,
    own_interpreter,
)
from ..executors.in_process import ThreadHandle
from ..executors.thread import Worker
from ..pieces import Steps, drain
from ..progress import CancelCallback, ProgressCallback
from ..settings import DEFAULT_METHOD, Result, Settings
from .editor import Editor
from .geometry import grid_of
from .i18n import tr as _
from .inputs import playing, why_not
from .presence import Removed, watched, while_there
from .reader import Painting, SegmentSlices, read_painting_steps
from .rules import EditRules, find_editor
from .run import Job, Run, same_axis
from .sequence import nodes_of
from .sequence_reader import Frames, read_frames_steps
from .sequence_result import on_volume_steps, segment_frames
from .sequence_step import SequenceStep
from .sequence_writer import write_frames_steps
from .time_point import check_time_points, time_points
from .views import OVERLAY
from .writer import write_result_steps
from .yielding import PAUSE_MILLISECONDS, let_threads_run

if TYPE_CHECKING:
    from ..series import SeriesResult

_BUDGET_SECONDS = 0.02
"""How long the thread that owns the scene is held at a time."""
_WAIT_MILLISECONDS = 25
"""Between two looks at a run that is being computed: what Qt does not announce, and a cancellation, wait that long."""

_LAST_SECONDS = 10.0
"""What a run that was cancelled is given to end before another one begins."""
_STEPS = 5
"""Over how many runs on a sequence undo goes back; Slicer's own history is as long."""

Schedule = Callable[[Callable[[], None], int], None]


class Session:
    """Segments volumes of a MRML scene from their painted slices.

    All methods are for one thread, the one that owns the scene; only the engine runs elsewhere, on copies.

    Attributes:
        editor_node: the vtkMRMLSegmentEditorNode whose masking settings hold; by default the one in the scene that
            refers to the segmentation.
        editor: writes; holds the undo steps.

    Args:
        schedule: runs a callable on this thread after some milliseconds (a timer's single shot), so that a background
            run polls itself, and reads and writes in short pieces. Without it, somebody calls :meth:`poll` or
            :meth:`Run.wait`, and reading and writing are done at once.
        executor: where background runs are computed; the default is a process of its own, where there can be one.
    """

    def __init__(self, schedule: Schedule | None = None, executor: Executor | None = None) -> None:
        self.editor_node: Any | None = None
        self.editor = Editor()
        self._schedule = schedule
        self._here = InProcessExecutor()
        self._background = executor or background_executor(own_interpreter())
        self._worker = Worker()
        self._sequence_steps: deque[SequenceStep] = deque(maxlen=_STEPS)
        self._job: Job | None = None
        self._polling = self._warm = False
        self._background.listen(_polls(weakref.ref(self)))

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
        slices: SegmentSlices | None = None,
        output: Any | None = None,
        device: str = "auto",
        wait: bool = True,
        progress: ProgressCallback | None = None,
        cancel: CancelCallback | None = None,
        finished: Callable[[Run], None] | None = None,
        same_step: bool = False,
        probabilities: bool = True,
        started: float | None = None,
        weights: str = "",
    ) -> Result | Run:
        """Fill the slices that are not painted.

        Segments that overlap where they are painted are computed one layer after the other, and may share voxels where
        the editor's masking settings allow overlap.

        Args:
            volume: vtkMRMLScalarVolumeNode.
            segmentation: vtkMRMLSegmentationNode with the painted slices.
            segment_ids: which segments; the default is all visible ones.
            method: a name of ``metasegment methods``; the default is the most accurate one.
            slices: indices of the painted slices of the volume; one without paint says that the structures are absent
                there. A mapping from a segment's identifier, or its label, to indices names them for that one; labels
                count segments with paint, and are refused where a visible one without any comes before. The default
                is every slice with paint that an earlier run did not fill.
            output: another vtkMRMLSegmentationNode to write to; ``segmentation`` stays as it is.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
            wait: False returns a :class:`Run` at once; the result is written when the session is polled. Where a timer
                polls it, the paint is read in pieces, too, and what is wrong with it is found in the run's ``error``.
            progress: called as ``progress(stage, done, total, eta_s)``, on the calling thread.
            cancel: polled, on the calling thread; returning True stops the run.
            finished: called with the :class:`Run` when it has ended.
            same_step: the undo step of the last result goes on, unless the user has changed something since.
            probabilities: False leaves them out of a background run's result, which is then a half as large.
            started: when the user began to wait, of :func:`time.monotonic`; the default is now.
            weights: folder of weights that take the place of the shipped ones.

        Returns:
            The engine's result, whose label n is the n-th segment, or a :class:`Run`; where segments overlap,
            ``result.mask(n)`` has all of the n-th one. Its report also says under
            ``written`` how large each segment is now, and how much of it was left to other segments; its total of
            seconds is what the user waited, until the result was in the scene.

        Raises:
            MetaSegmentError: what was given cannot be used, a sequence shows another time point in the end than in the
                beginning, or the run was cancelled; nothing is changed.
        """
        self._make_way()
        _check_node(volume, "vtkMRMLScalarVolumeNode", _("Choose the volume to segment; it must be in the scene."))
        if volume.GetAttribute(OVERLAY):
            raise InputError(_("Choose the scan itself; this volume only shows how uncertain a result is."))
        _check_node(segmentation, "vtkMRMLSegmentationNode", _("Choose the segmentation with the painted slices."))
        target = segmentation if output is None else output
        _check_node(target, "vtkMRMLSegmentationNode", _("Choose a segmentation of the scene for the result."))
        image = volume.GetImageData()
        several = image is not None and image.GetNumberOfScalarComponents() > 1
        if several or volume.IsA("vtkMRMLLabelMapVolumeNode"):
            raise InputError(why_not(volume))
        if playing(volume):
            raise InputError(_("The volume's sequence is playing; stop it at the time point to segment."))
        settings = Settings(method or DEFAULT_METHOD, device, weights=weights)
        grid_of(volume, target)  # before any work: neither may be under a transform that is not linear
        start = time.monotonic() if started is None else started

        shown = time_points(volume, segmentation, target)

        def read() -> Steps[Painting]:
            painting = yield from read_painting_steps(volume, segmentation, segment_ids, slices)
            check_time_points(shown, volume, segmentation, target)
            return replace(painting, shown=shown)

        def requests(painting: Painting) -> list[Request]:
            if painting.cut_off and target is segmentation:
                text = _(
                    'Segment "{name}" lies on a voxel grid that is turned against the volume, and partly outside the '
                    "volume, where it would be lost; choose another segmentation for the result."
                )
                raise InputError(text.format(name=painting.cut_off))
            state = _state(volume), painting.paint_grid.resampling
            return [
                Request(
                    painting.image,
                    state,
                    labels,
                    painting.spacing,
                    painting.slices_in(layer),
                    painting.axis,
                    painting.names,
                    settings,
                    wait or probabilities,
                )
                for layer, labels in enumerate(painting.layers)
            ]

        def submit(request: Request) -> Steps[Handle]:
            return self._background.submit(request)

        def write(painting: Painting, results: Sequence[Result]) -> Steps[Result]:
            return self._write(painting, results, volume, segmentation, target, same_step, start)

        nodes = (volume, segmentation, target)
        if wait:
            are_there = watched(nodes)
            painting = drain(read())
            results: list[Result] = []
            for request in requests(painting):
                results.append(self._here.compute(same_axis(request, results), progress, cancel))
            if not are_there():  # a caller's callback may let the user's events through
                raise Removed
            return drain(write(painting, results))
        run = Run(self)

        def state() -> Hashable:
            return _state(volume), _paint_state(segmentation), target is segmentation or _paint_state(target)

        job = Job(run, read, requests, submit, write, nodes, state, progress, cancel, finished)
        if self._schedule is None:
            job.advance(math.inf)
            if job.error is not None and not job.submitted and not isinstance(job.error, Cancelled):
                raise job.error  # the paint cannot be used
        self._job = job
        if self._schedule is not None:
            self._schedule(self._tick, 0)
        return run

    def process_sequence(
        self,
        sequence: Any,
        segmentation: Any,
        segment_ids: Sequence[str] | None = None,
        method: str | None = None,
        device: str = "auto",
        wait: bool = True,
        progress: ProgressCallback | None = None,
        cancel: CancelCallback | None = None,
        finished: Callable[[Run], None] | None = None,
        weights: str = "",
    ) -> SeriesResult | Run:
        """Segment all time points of a sequence from those that are painted.

        The result becomes a sequence of segmentations that the sequence's browser shows in ``segmentation``, as one
        undo step. Painted slices stay as they are; to correct a time point, show it, paint and call this again.

        Each time point is written as :meth:`process` writes a volume; other time points may be shown meanwhile.

        Args:
            sequence: vtkMRMLSequenceBrowserNode, vtkMRMLSequenceNode of volumes, or the volume that shows one of them.
            segmentation: vtkMRMLSegmentationNode with the paint of the time point that is shown, and in its own
                sequence, if it has one, that of the others.
            wait, progress, cancel, finished, weights: as for :meth:`process`; the result is a
                :class:`~MetaSegmentLib.SeriesResult`, whose label n is the n-th segment.

        Raises:
            MetaSegmentError: what was given cannot be used, or the run was cancelled; nothing is changed.
        """
        self._make_way()
        _check_node(segmentation, "vtkMRMLSegmentationNode", _("Choose the segmentation with the painted slices."))
        nodes = nodes_of(sequence)
        if nodes.playing:
            raise InputError(_("The volume's sequence is playing; stop it at the time point to segment."))
        settings = Settings(method or DEFAULT_METHOD, device, weights=weights)

        about = [node for node in (nodes.sequence, nodes.browser, nodes.volume, segmentation) if node is not None]

        def read() -> Steps[Frames]:
            return read_frames_steps(nodes, segmentation, segment_ids)

        def write(frames: Frames, results: Sequence[SeriesResult]) -> Steps[SeriesResult]:
            user = self._users_editor(segmentation)
            writing = write_frames_steps(nodes, frames, results[0], segmentation, user, self.editor)
            step, showing = yield from while_there(writing, about)
            done = (one for one in self._sequence_steps if one.done)  # what was taken back is gone, as in the history
            self._sequence_steps = deque([*done, step], maxlen=_STEPS)
            yield from showing
            return (yield from on_volume_steps(frames, results[0]))

        if wait:
            are_there = watched(about)
            frames = drain(read())
            series = segment_frames(frames, settings, progress, cancel)
            if not are_there():
                raise Removed
            return drain(write(frames, [series]))

        def submit(frames: Frames) -> Steps[ThreadHandle[SeriesResult]]:
            yield
            return ThreadHandle(self._worker, lambda *callbacks: segment_frames(frames, settings, *callbacks))

        def state() -> Hashable:
            return nodes.current, nodes.state(segmentation), _paint_state(segmentation)

        run = Run(self)
        job = Job(run, read, lambda frames: [frames], submit, write, tuple(about), state, progress, cancel, finished)
        job.shares_lock = True
        self._job = job
        if self._schedule is not None:
            self._schedule(self._tick, 0)
        return run

    def poll(self) -> bool:
        """Report progress, pass on a cancellation and, when the run has ended, write its result.

        Returns:
            Whether a run is still under way. Errors do not come out of here; they are in :attr:`Run.error`.
        """
        job = self._job
        if job is None or self._polling:  # a callback, or Qt while it is asked for messages
            return job is not None
        self._polling = True
        try:
            ended = job.advance(math.inf if self._schedule is None else _BUDGET_SECONDS)
        finally:
            self._polling = False
        if ended:
            self._job = None
            job.finish()
            if self._warm and isinstance(job.error, Cancelled):  # it may have been killed
                self._background.warm_up()
        return not ended

    def warm_up(self) -> None:
        """Get ready for background runs that may come."""
        self._warm = True
        self._background.warm_up()

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
            self._here.forget()
            self._background.forget()

    def close(self) -> None:
        """Cancel what is under way, end the process that computes, and let go of the last volume and of its undo.

        Another run may follow; it starts afresh.
        """
        self.cancel()
        self._warm = False
        self._sequence_steps.clear()
        self.editor.close()
        self._background.close()
        self._here.forget()

    def undo(self) -> bool:
        """Take back the last result that was written; False when there is none. In a segmentation that a panel shows,
        it is the last step in the panel, which may be a stroke."""
        return self._with_sequence(self.editor.undo()) or self._alone(reversed(self._sequence_steps), done=True)

    def redo(self) -> bool:
        """Bring back what :meth:`undo` took back last; False when there is nothing."""
        return self._with_sequence(self.editor.redo()) or self._alone(self._sequence_steps, done=False)

    def _make_way(self) -> None:
        """A run that was cancelled is brought to its end, so that another one may begin.

        Raises:
            MetaSegmentError: one is under way.
        """
        until = time.monotonic() + _LAST_SECONDS
        while self._job is not None and self._job.run.cancelled and not self._polling and time.monotonic() < until:
            if self.poll():
                time.sleep(_WAIT_MILLISECONDS / 1000)
        if self._job is not None:
            raise MetaSegmentError(_("A segmentation is under way; wait for it or cancel it first."))

    def _with_sequence(self, done: bool) -> bool:
        """The other time points follow the one that is shown."""
        for step in self._sequence_steps if done else ():
            step.follow()
        return done

    def _alone(self, steps: Iterable[SequenceStep], done: bool) -> bool:
        """Take the first step that is ``done``, or not, back or forth without the editor's history."""
        step = next((step for step in steps if step.done is done), None)
        return step is not None and step.segmentation is self.editor.segmentation and step.go()

    def _tick(self) -> None:
        job = self._job
        if job is None:
            return
        try:
            shares_lock = self._background.shares_lock or job.shares_lock
            if job.waiting and shares_lock:
                let_threads_run()
            self.poll()
        finally:  # a caller's callback that fails must not leave the run without anybody who looks after it
            if self._job is job and self._schedule is not None:
                patient = job.waiting and not shares_lock
                self._schedule(self._tick, _WAIT_MILLISECONDS if patient else PAUSE_MILLISECONDS)

    def _write(
        self,
        painting: Painting,
        results: Sequence[Result],
        volume: Any,
        segmentation: Any,
        target: Any,
        same_step: bool,
        start: float,
    ) -> Steps[Result]:
        result = with_voxel_volume((yield from merge_steps(results)), painting.voxel_ml)
        rules = EditRules(self._users_editor(target, segmentation), volume)
        nodes = (volume, segmentation, target)
        written = yield from write_result_steps(painting, result, *nodes, rules, self.editor, same_step)
        result = yield from painting.paint_grid.result_steps(result)
        seconds = {**result.report["seconds"], "total": round(time.monotonic() - start, 3)}
        warnings = painting.warnings_with(result.report["warnings"])
        return replace(result, report={**result.report, "seconds": seconds, "warnings": warnings, "written": written})

    def _users_editor(self, *segmentations: Any) -> Any | None:
        """The editor node whose masking settings hold."""
        editor = self.editor_node
        return editor if editor and editor.GetSegmentationNode() in segmentations else find_editor(*segmentations)


def _state(volume: Any) -> Hashable:
    """Changes whenever the voxels do."""
    image = volume.GetImageData()
    return volume.GetID(), id(volume), None if image is None else image.GetMTime()


def _paint_state(node: Any) -> Hashable:
    """Changes whenever the voxels of a segment do, or which segments there are."""
    segments = node.GetSegmentation()
    source, found = segments.GetSourceRepresentationName(), []
    for identifier in segments.GetSegmentIDs():
        segment = segments.GetSegment(identifier)
        layer = segment.GetRepresentation(source)
        found.append((identifier, segment.GetLabelValue(), None if layer is None else layer.GetMTime()))
    return source, tuple(found)


def _polls(of: weakref.ref[Session]) -> Callable[[], None]:
    def poll() -> None:
        session = of()
        if session is not None:
            session.poll()

    return poll


def _check_node(node: Any, kind: str, advice: str) -> None:
    if node is None or not hasattr(node, "IsA") or not node.IsA(kind) or node.GetScene() is None:
        raise InputError(advice)
