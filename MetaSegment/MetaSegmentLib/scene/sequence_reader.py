"""The images of all time points of a sequence and the paint on them, read from the scene."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..pieces import Steps, copy_steps, drain
from ..task.parts import Part, Snapshot
from .geometry import Grid, grid_of, voxels
from .i18n import tr as _
from .paint_grid import PaintGrid, has_voxels, is_turned, paint_grid_of
from .reader import (
    as_labelmaps,
    chosen_segments,
    label_maps_steps,
    painted_part_steps,
    read_part_steps,
    turned_warning,
)
from .record import painted_now_steps, record_of, tag_of
from .sequence import SequenceNodes, browser_of, check_one_grid


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
        absent: time point → label → the slices that are stated to be empty, where nothing else is painted of it; it may
            be that nothing is there at all.
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
        record = record_of(segments[segment_id]) if segment_id in segments else None
        now: list[int] | None = None
        if record is not None and part.empty:
            now = record.named_empty(part) or None
        elif record is not None:
            now = yield from painted_now_steps(record, part)
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
