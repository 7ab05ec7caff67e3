"""Time points of a volume in a sequence, and segmentations of them in another sequence beside it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray

import slicer

from ..errors import InputError
from ..pieces import Steps, copy_steps, drain
from ..task.parts import Part, Snapshot
from .geometry import Grid, grid_of, voxels
from .i18n import tr as _
from .inputs import why_not
from .paint_grid import PaintGrid, has_voxels, is_turned, paint_grid_of
from .presence import stamp
from .reader import (
    as_labelmaps,
    chosen_segments,
    label_maps_steps,
    painted_part_steps,
    read_part_steps,
    turned_warning,
)
from .record import painted_now_steps, record_of, tag_of
from .runtime import nodes_of_class
from .time_point import shown_value


@dataclass(frozen=True, eq=False)
class SequenceNodes:
    """The nodes of a sequence of volumes, as they are when a run begins.

    Attributes:
        sequence: vtkMRMLSequenceNode of volumes.
        browser: vtkMRMLSequenceBrowserNode; None where none shows the sequence.
        volume: the volume node that shows one of them; None where none does.
        first: which time point is shown when the run begins.
    """

    sequence: Any
    browser: Any | None
    volume: Any | None
    first: int

    @property
    def current(self) -> int:
        """Which time point is shown."""
        return _current(self.sequence, self.browser)

    @property
    def values(self) -> list[str]:
        """The index value of each time point."""
        return [self.sequence.GetNthIndexValue(t) for t in range(self.sequence.GetNumberOfDataNodes())]

    @property
    def placed(self) -> Any:
        """A volume that lies where those of the sequence are shown: under the transform of the one that shows them."""
        shown = self.volume is not None and self.volume.GetImageData() is not None
        return self.volume if shown else self.sequence.GetNthDataNode(0)

    @property
    def playing(self) -> bool:
        """Whether the browser shows one time point after the other just now."""
        return self.browser is not None and bool(self.browser.GetPlaybackActive())

    def sequence_of(self, node: Any) -> Any | None:
        """The sequence of which the browser shows a time point in a node."""
        return None if self.browser is None else self.browser.GetSequenceNode(node)

    def home(self, segmentation: Any) -> int:
        """The time point that is in a segmentation: the one that is shown, or where it is in no sequence yet, the one
        that was shown when the run began."""
        return self.first if self.sequence_of(segmentation) is None else self.current

    def held(self, node: Any, t: int) -> Any | None:
        """The node that holds at a time point what ``node`` shows; None where its sequence has nothing there."""
        own = self.sequence_of(node)
        return None if own is None else own.GetDataNodeAtValue(self.sequence.GetNthIndexValue(t), True)

    def all_held(self, segmentation: Any) -> list[Any | None]:
        """The node that holds the segments of each time point; None where there is none yet."""
        home = self.home(segmentation)
        return [segmentation if t == home else self.held(segmentation, t) for t in range(len(self.values))]

    def stamp(self, segmentation: Any) -> Hashable:
        """Changes with every stroke at any time point, and when another one is shown."""
        return self.current, tuple(stamp(node) for node in self.all_held(segmentation))

    def state(self, segmentation: Any) -> Hashable:
        """Changes when a time point is added, removed or exchanged, and when the segmentation comes to another
        sequence."""
        times = tuple((value, self.sequence.GetNthDataNode(t).GetID()) for t, value in enumerate(self.values))
        own = self.sequence_of(segmentation)
        return times, None if own is None else own.GetID()


@dataclass(frozen=True, eq=False)
class Frame:
    """What was read of the segments at one time point; see :class:`~.writer.AsRead`."""

    segment_ids: tuple[str, ...]
    paint_grid: PaintGrid
    snapshots: Mapping[str, Snapshot]
    records: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Frames:
    """A sequence and the paint on its time points.

    Attributes:
        images: (T, K, J, I) on the grid of the paint.
        spacing: mm in array order, in the world.
        voxel_ml: millilitres of a voxel there.
        paint_grid: the grid of the paint, and the volumes', as seen from the segmentation.
        painted: time point → (K, J, I) labels 1, 2, …, the order of ``segment_ids``.
        slices: time point → label → the slices that are complete; of a label that is missing all with paint.
        absent: time point → label → the slices that are stated to be empty, where nothing else is painted of it.
        snapshots: for each time point, the segments that are there, as they were read.
        records: of these, as text.
        state: of the nodes when they were read.
        warnings: what of the paint could not be kept, a sentence each.
    """

    images: NDArray[Any]
    spacing: tuple[float, float, float]
    voxel_ml: float
    paint_grid: PaintGrid
    segment_ids: tuple[str, ...]
    names: dict[int, str]
    painted: dict[int, NDArray[Any]]
    slices: dict[int, dict[int, list[int]]]
    absent: dict[int, dict[int, list[int]]]
    axis: int | None
    snapshots: tuple[dict[str, Snapshot], ...]
    records: tuple[dict[str, str], ...]
    state: Hashable
    warnings: tuple[str, ...]

    def at(self, t: int) -> Frame:
        """One time point; segments that it does not have are empty."""
        nothing = drain(Snapshot.steps(Part.nothing(self.paint_grid.grid.shape)))
        snapshots = dict.fromkeys(self.segment_ids, nothing) | self.snapshots[t]
        records = dict.fromkeys(self.segment_ids, "") | self.records[t]
        return Frame(self.segment_ids, self.paint_grid, snapshots, records)


def browser_of(volume: Any) -> Any | None:
    """The sequence browser that shows a time point in a node; None where none does."""
    if volume is None or volume.GetScene() is None:
        return None
    browsers = nodes_of_class(volume.GetScene(), "vtkMRMLSequenceBrowserNode")
    return next((browser for browser in browsers if browser.IsProxyNodeID(volume.GetID())), None)


def nodes_of(node: Any) -> SequenceNodes:
    """The nodes of a sequence, found from its browser, from the sequence or from the volume that shows it.

    Raises:
        InputError: there is no sequence of scalar volumes, or it cannot be segmented.
    """
    scene = node.GetScene() if node is not None and hasattr(node, "GetScene") else None
    if scene is None:
        raise InputError(_("Choose a sequence of volumes; it must be in the scene."))
    browser, sequences = None, []
    if node.IsA("vtkMRMLSequenceBrowserNode"):
        browser, found = node, vtk.vtkCollection()
        node.GetSynchronizedSequenceNodes(found, True)
        sequences = [found.GetItemAsObject(i) for i in range(found.GetNumberOfItems())]
    elif node.IsA("vtkMRMLSequenceNode"):
        sequences = [node]
        browsers = nodes_of_class(scene, "vtkMRMLSequenceBrowserNode")
        browser = next((one for one in browsers if one.IsSynchronizedSequenceNodeID(node.GetID(), True)), None)
    elif (browser := browser_of(node)) is not None:
        sequences = [browser.GetSequenceNode(node)]
    sequences = [one for one in sequences if _first_volume(one) is not None]
    if not sequences:
        raise InputError(_("There is no sequence of volumes; load the images as a volume sequence and choose that."))
    sequence = min(sequences, key=lambda one: bool(why_not(_first_volume(one))))
    _check(sequence)
    volume = None if browser is None else browser.GetProxyNode(sequence)
    return SequenceNodes(sequence, browser, volume, _current(sequence, browser))


def read_frames_steps(nodes: SequenceNodes, segmentation: Any, segment_ids: Sequence[str] | None) -> Steps[Frames]:
    """The images of all time points and the paint on them, in pieces; begun again when the paint is changed or another
    time point is shown between two of them. Nothing in the scene is changed.

    The paint is that of the segmentation at the time point that is shown, and of its own sequence at the others.

    Raises:
        InputError: the time points lie on different grids, or the paint on several.
    """
    while True:
        before = nodes.stamp(segmentation)
        frames = yield from _read_steps(nodes, segmentation, segment_ids)
        if nodes.stamp(segmentation) == before:
            return frames


def _read_steps(nodes: SequenceNodes, segmentation: Any, segment_ids: Sequence[str] | None) -> Steps[Frames]:
    browser = browser_of(segmentation)
    if browser is not None and browser is not nodes.browser:
        raise InputError(_("The segmentation belongs to another sequence; choose or add one that does not."))
    check_one_grid(nodes)
    chosen = chosen_segments(segmentation, segment_ids)
    if not chosen:
        raise InputError(_("There is no segment; add one and paint it on a few slices of one time point."))
    grid = grid_of(nodes.placed, segmentation)
    segments: list[dict[str, Any]] = []
    for node in nodes.all_held(segmentation):
        segments.append({} if node is None else _segments(as_labelmaps(node, grid), chosen))
        yield
    paint_grid = yield from _paint_grid_steps(nodes, segmentation, segments)
    names = {n: segmentation.GetSegmentation().GetSegment(i).GetName() or i for n, i in enumerate(chosen, start=1)}
    painted, slices, absent, axes = {}, {}, {}, set()
    snapshots: list[dict[str, Snapshot]] = []
    for t, there in enumerate(segments):
        snapshots.append({})
        parts: list[Part] = []
        for segment_id in chosen:
            segment = there.get(segment_id)
            if segment is None:
                parts.append(Part.nothing(paint_grid.grid.shape))
                continue
            part = yield from read_part_steps(segment, paint_grid.grid)
            snapshots[t][segment_id] = yield from Snapshot.steps(part)
            parts.append(part)
        own = yield from _painted_steps(there, parts, chosen, paint_grid.grid)
        if own.painted:
            painted[t], slices[t] = own.labels, own.slices
        if own.absent:
            absent[t] = own.absent
        if own.painted or own.absent:
            axes |= own.axes
    if len(axes) > 1:
        raise InputError(_("The time points were painted along different axes; paint along one."))
    if not painted:
        raise InputError(_("Nothing is painted at any time point; paint the structure on a few slices of one."))
    images = yield from _images_steps(nodes, paint_grid)
    turned = {one.GetName(): None for some in segments for one in some.values() if is_turned(one, paint_grid.grid)}
    return Frames(
        images,
        paint_grid.spacing(segmentation),
        paint_grid.voxel_ml(segmentation),
        paint_grid,
        tuple(chosen),
        names,
        painted,
        slices,
        absent,
        next(iter(axes), None),
        tuple(snapshots),
        tuple({i: tag_of(segment) for i, segment in there.items()} for there in segments),
        nodes.state(segmentation),
        tuple(turned_warning(name) for name in turned),
    )


def _images_steps(nodes: SequenceNodes, paint_grid: PaintGrid) -> Steps[NDArray[Any]]:
    """(T, K, J, I) on the grid of the paint, in the type that holds the voxels of all time points."""
    data = [nodes.sequence.GetNthDataNode(t) for t in range(len(nodes.values))]
    kinds = [voxels(node.GetImageData()).dtype for node in data]
    images = np.empty((len(data), *paint_grid.grid.shape), np.result_type(*kinds))
    for node, target in zip(data, images, strict=True):
        image = yield from paint_grid.image_steps(node)
        yield from copy_steps(image, target)
    return images


def check_one_grid(nodes: SequenceNodes) -> None:
    """Raise :class:`InputError` where not all time points lie on one grid."""
    placed = nodes.placed
    matrix, size = _matrix(placed), placed.GetImageData().GetDimensions()
    for t, value in enumerate(nodes.values):
        node = nodes.sequence.GetNthDataNode(t)
        image = node.GetImageData()
        if image is None or 0 in image.GetDimensions():
            text = _("Time point {value} has no voxels; remove it from the sequence.")
            raise InputError(text.format(value=value))
        if image.GetDimensions() != size or not np.allclose(_matrix(node), matrix):
            raise InputError(_("The time points lie on different voxel grids; resample them to the first one's."))


def _current(sequence: Any, browser: Any | None) -> int:
    """By the index value: the browser counts the items of its master sequence, which may be another one."""
    value = "" if browser is None else shown_value(browser)
    item = int(sequence.GetItemNumberFromIndexValue(value, True)) if value else 0
    if item < 0:
        raise InputError(_("The sequence of volumes has nothing at the time point that is shown; go to another one."))
    return item


def _first_volume(sequence: Any) -> Any | None:
    """The first data node of a sequence of volumes of any kind."""
    first = sequence.GetNthDataNode(0) if sequence is not None and sequence.GetNumberOfDataNodes() else None
    return first if first is not None and first.IsA("vtkMRMLScalarVolumeNode") else None


def _check(sequence: Any) -> None:
    volume = _first_volume(sequence)
    assert volume is not None
    image = volume.GetImageData()
    if image is not None and image.GetNumberOfScalarComponents() in (3, 4):
        raise InputError(_("The sequence holds colours; make a sequence of grey volumes of it and choose that."))
    if reason := why_not(volume):
        raise InputError(reason)
    if sequence.GetNumberOfDataNodes() == 1:
        raise InputError(_("The sequence has a single time point; segment the volume that shows it instead."))


def _matrix(volume: Any) -> NDArray[np.float64]:
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return np.asarray(slicer.util.arrayFromVTKMatrix(matrix))


def _segments(segmentation: Any, chosen: Sequence[str]) -> dict[str, Any]:
    """Those of the chosen segments that a vtkSegmentation has."""
    found = {i: segmentation.GetSegment(i) for i in chosen}
    return {i: segment for i, segment in found.items() if segment is not None}


def _paint_grid_steps(
    nodes: SequenceNodes, segmentation: Any, segments: Sequence[Mapping[str, Any]]
) -> Steps[PaintGrid]:
    """The one grid of the paint of all time points."""
    first: PaintGrid | None = None
    filled: PaintGrid | None = None
    for some in segments:
        found = paint_grid_of(nodes.placed, segmentation, [*some.values()])
        first = first or found
        if any(has_voxels(segment) for segment in some.values()):
            filled = filled or found
            if not found.grid.same_as(filled.grid):
                text = _(
                    "The time points are painted on different voxel grids; specify the same geometry at all of them."
                )
                raise InputError(text)
        yield
    grid = filled or first
    assert grid is not None
    return grid


@dataclass(frozen=True, eq=False)
class _Painted:
    """What of a time point was painted by hand.

    Attributes:
        labels: (K, J, I).
        painted: whether anything is.
        slices, absent: by label, see :class:`Frames`.
        axes: across which earlier runs knew them to lie.
    """

    labels: NDArray[Any]
    painted: bool
    slices: dict[int, list[int]]
    absent: dict[int, list[int]]
    axes: set[int]


def _painted_steps(
    segments: Mapping[str, Any], parts: Sequence[Part], chosen: Sequence[str], grid: Grid
) -> Steps[_Painted]:
    """Args: parts: of the ``chosen`` segments, in their order; ``segments`` has those that are there."""
    own: list[Part] = []
    slices: dict[int, list[int]] = {}
    absent: dict[int, list[int]] = {}
    axes: set[int] = set()
    for n, (segment_id, part) in enumerate(zip(chosen, parts, strict=True), start=1):
        record = None if part.empty else record_of(segments[segment_id])
        now = None if record is None else (yield from painted_now_steps(record, part))
        if record is not None and now is not None:
            axes.add(record.axis)
            part = yield from painted_part_steps(part, record.axis, now)
            if now:
                (absent if part.empty else slices)[n] = now
        own.append(part)
    dtype = np.uint8 if len(chosen) < 256 else np.uint16
    layers, _layer_of = yield from label_maps_steps(own, grid.shape, dtype, lambda _box: ...)
    if len(layers) > 1:
        raise InputError(_("Painted segments overlap; fill one at a time over the sequence."))
    return _Painted(layers[0], not all(part.empty for part in own), slices, absent, axes)
