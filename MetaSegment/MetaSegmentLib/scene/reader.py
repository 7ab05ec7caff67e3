"""What the user painted, read from a segmentation node onto the volume's own voxel grid."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray

import slicer

from ..errors import InputError
from ..pieces import Steps, drain, slabs
from ..task.paint import named_axis
from ..task.parts import NOWHERE, Extent, Mask, Part, Snapshot, cut, intersection, on_slices, size_of, within
from .geometry import LABELMAP, Grid, blank, extent_of, grid_of, voxels
from .i18n import tr as _
from .paint_grid import PaintGrid, is_turned, paint_grid_of, reaches_beyond_steps
from .presence import stamp, while_there
from .record import SliceRecord, painted_now_steps, record_of, tag_of
from .time_point import TimePoints

Labels = NDArray[np.unsignedinteger[Any]]


SegmentSlices = Sequence[int] | Mapping[str | int, Sequence[int]]
"""Slices of the volume: for all segments, or by a segment's identifier or label, n of the n-th one; labels are refused
where visible segments without paint, which have none, lie between."""


@dataclass(frozen=True, eq=False)
class Painting:
    """The painted slices of one volume, free of MRML, so that a worker thread may have it.

    Attributes:
        image: (K, J, I) intensities of the volume on the grid of the paint.
        spacing: mm in array order.
        voxel_ml: millilitres of one voxel.
        layers: (K, J, I) uint8 or uint16 each, painted slices only; label n is ``segment_ids[n - 1]``. A single one
            where no segments overlap.
        layer_of: label → index of its layer.
        slices: the slices that are complete, those named as empty among them: for all segments, or by label; a label
            that is missing, or None, stands for every slice with its paint.
        axis: the slice axis if known from an earlier run.
        segment_ids: the segments to fill.
        names: segment names by label.
        paint_grid: the grid of the paint, and the volume's, as seen from the segmentation.
        snapshots: each segment's whole mask as it was read.
        records: each segment's record as it was then, as text.
        warnings: what of the paint could not be kept, a sentence each.
        cut_off: name of a segment that would lose voxels outside the volume by being brought onto its grid.
        shown: the time points that are shown where the result is to go; nothing is written at others.
    """

    image: NDArray[Any]
    spacing: tuple[float, float, float]
    voxel_ml: float
    layers: tuple[Labels, ...]
    layer_of: dict[int, int]
    slices: list[int] | dict[int, list[int]] | None
    axis: int | None
    segment_ids: tuple[str, ...]
    names: dict[int, str]
    paint_grid: PaintGrid
    snapshots: dict[str, Snapshot]
    records: dict[str, str]
    warnings: tuple[str, ...] = ()
    cut_off: str = ""
    shown: TimePoints = frozenset()

    @property
    def grid(self) -> Grid:
        """The grid of the paint as seen from the segmentation."""
        return self.paint_grid.grid

    def warnings_with(self, others: Sequence[str]) -> list[str]:
        """What could not be kept, and the ``others``, which number slices as they lie on the grid of the paint."""
        return all_warnings(self.paint_grid, self.warnings, others)

    def slices_in(self, layer: int) -> list[int] | dict[int, list[int]] | None:
        """``slices``, of the segments in one layer."""
        if not isinstance(self.slices, dict):
            return self.slices
        return {label: own for label, own in self.slices.items() if self.layer_of[label] == layer}


def read_painting(
    volume: Any, segmentation: Any, segment_ids: Sequence[str] | None = None, slices: SegmentSlices | None = None
) -> Painting:
    """Read a volume and its painted segments, at once; see :func:`read_painting_steps`."""
    return drain(read_painting_steps(volume, segmentation, segment_ids, slices))


def read_painting_steps(
    volume: Any, segmentation: Any, segment_ids: Sequence[str] | None = None, slices: SegmentSlices | None = None
) -> Steps[Painting]:
    """Read a volume and its painted segments in pieces; begun again when the paint is changed between two of them.

    Args:
        volume: vtkMRMLScalarVolumeNode.
        segmentation: vtkMRMLSegmentationNode; nothing in it is changed, whatever its source representation.
        segment_ids: which segments; the default is all visible ones that have paint.
        slices: which slices of the volume are painted, for all segments or by identifier or label; the default, also
            for a segment that is not named, is what earlier runs did not fill.

    Raises:
        InputError: an unknown or empty segment, slices that are no whole numbers, or geometry that cannot be used.
        Cancelled: a node was removed meanwhile.
    """
    while True:
        before = stamp(segmentation)
        reading = _read(volume, segmentation, segment_ids, slices)
        painting = yield from while_there(reading, (volume, segmentation))
        if stamp(segmentation) == before:
            return painting


def _read(
    volume: Any, segmentation: Any, segment_ids: Sequence[str] | None, slices: SegmentSlices | None
) -> Steps[Painting]:
    for_all, by_segment = _checked(slices)
    source = as_labelmaps(segmentation, grid_of(volume, segmentation))
    chosen = chosen_segments(segmentation, segment_ids)
    paint_grid = paint_grid_of(volume, segmentation, [source.GetSegment(i) for i in chosen])
    grid = paint_grid.grid
    turned = {i: segment for i in chosen if is_turned(segment := source.GetSegment(i), grid)}
    cut_off = ""
    for segment_id, segment in turned.items():
        if (yield from reaches_beyond_steps(segment, grid)):
            cut_off = segment.GetName() or segment_id
    found: list[str] = []
    parts: list[Part] = []
    snapshots, painted_now, axes = {}, {}, {}
    unpainted: list[str] = []
    passed: list[str] = []
    for segment_id in chosen:
        segment = source.GetSegment(segment_id)
        part = yield from read_part_steps(segment, grid)
        if part.empty:
            if segment_ids is None:
                passed.append(segment.GetName())
                continue
            text = _('Segment "{name}" has no paint; paint it on some slices or leave it out.')
            raise InputError(text.format(name=segment.GetName()))
        found.append(segment_id)
        snapshots[segment_id] = yield from Snapshot.steps(part)
        record = record_of(segment)
        given = _taken(by_segment, segment_id, len(found), segment.GetName(), passed) if for_all is None else for_all
        own = (yield from _painted_now_steps(record, part, given)) if record else None
        if record and own is not None:
            axes[record.axis] = segment.GetName()
            own = own if given is None else _on_grid(given, paint_grid, record.axis, [part])
            part = yield from painted_part_steps(part, record.axis, own)
            if part.empty and given is None:
                unpainted.append(segment.GetName())
            painted_now[len(found)] = own
        elif given is not None and for_all is None:
            painted_now[len(found)] = _on_grid(given, paint_grid, None, [part])
        parts.append(part)
    if by_segment:
        _check_numbers(by_segment, passed)
        _check_identifiers(by_segment, source)
        text = _('Slices are named for segment "{name}", which is not segmented; leave it out or choose it too.')
        raise InputError(text.format(name=next(iter(by_segment))))
    names = {label: source.GetSegment(i).GetName() or i for label, i in enumerate(found, start=1)}
    if len(axes) > 1:
        first, second = list(axes.values())[:2]
        text = _('Segments "{first}" and "{second}" were painted along different axes; segment one at a time.')
        raise InputError(text.format(first=first, second=second))
    if unpainted:
        text = _('Segment "{name}" has no paint any more; paint it on some slices or hide it.')
        raise InputError(text.format(name=unpainted[0]))
    axis = next(iter(axes), None)
    named = None if for_all is None else _on_grid(for_all, paint_grid, axis, parts)

    def counts(box: Extent) -> Any:
        return ... if axis is None or named is None else on_slices(box, axis, named)

    dtype = np.uint8 if len(chosen) < 256 else np.uint16
    layers, layer_of = yield from label_maps_steps(parts, grid.shape, dtype, counts)
    if axis is None and named is not None and len(layers) > 1:
        # Across a known axis only what lies on the named slices counts: no layer is left without any of them.
        axis = named_axis(named, parts)
        layers, layer_of = yield from label_maps_steps(parts, grid.shape, dtype, counts)
    image = yield from paint_grid.image_steps(volume)
    return Painting(
        image,
        paint_grid.spacing(segmentation),
        paint_grid.voxel_ml(segmentation),
        layers,
        layer_of,
        named if named is not None else painted_now or None,
        axis,
        tuple(found),
        names,
        paint_grid,
        snapshots,
        {i: tag_of(source.GetSegment(i)) for i in found},
        tuple(turned_warning(segment.GetName()) for segment in turned.values()),
        cut_off,
    )


def all_warnings(paint_grid: PaintGrid, own: Sequence[str], others: Sequence[str]) -> list[str]:
    """As :meth:`Painting.warnings_with`."""
    counted = _("Slice numbers above count the slices of the segmentation, which are not those of the volume.")
    return [*own, *others, *([counted] if others and not paint_grid.is_volumes else [])]


def _checked(slices: SegmentSlices | None) -> tuple[list[int] | None, dict[str | int, list[int]]]:
    """The slices for all segments, and those by identifier or label."""
    try:
        if isinstance(slices, Mapping):
            return None, {key: [operator.index(i) for i in own] for key, own in slices.items()}
        return None if slices is None else [operator.index(i) for i in slices], {}
    except TypeError as error:
        raise InputError(_("Give the slices as a list of whole numbers, or as one for each segment.")) from error


def _taken(
    by_segment: dict[str | int, list[int]], segment_id: str, number: int, name: str, passed: Sequence[str]
) -> list[int] | None:
    """Takes out what is named for a segment, by its identifier or by its number.

    Args:
        passed: names of visible segments before it that have no paint, and no number.
    """
    if number in by_segment:
        _check_numbers([number], passed)
        if segment_id in by_segment:
            text = _('Slices are named twice for segment "{name}"; name them by its identifier or by its number.')
            raise InputError(text.format(name=name))
    return by_segment.pop(segment_id, by_segment.pop(number, None))


def _check_numbers(keys: Iterable[str | int], passed: Sequence[str]) -> None:
    """Whether it can be told which segments are meant by numbers: who counts may have counted those without paint."""
    if passed and not all(isinstance(key, str) for key in keys):
        text = _(
            'Segment "{name}" has no paint, so it is not clear which segments the numbers mean; hide it, or name '
            "slices by the identifiers of the segments."
        )
        raise InputError(text.format(name=passed[0]))


def _check_identifiers(keys: Iterable[Any], segmentation: Any) -> None:
    """Whether what is no identifier of a vtkSegmentation is no name either, which may be that of several segments."""
    every = segmentation.GetSegmentIDs()
    for key in keys:
        for identifier in every:
            if key not in every and key == segmentation.GetSegment(identifier).GetName():
                text = _('Segments are told by their identifiers; that of "{name}" is "{identifier}".')
                raise InputError(text.format(name=key, identifier=identifier))


def _painted_now_steps(record: SliceRecord, part: Part, slices: Sequence[int] | None) -> Steps[list[int] | None]:
    """The painted slices by the record, which need not fit where slices are named."""
    return (yield from (painted_now_steps(record, part) if slices is None else record.painted_now_steps(part)))


def turned_warning(name: str) -> str:
    text = _(
        'Segment "{name}" was painted on a voxel grid that is turned against the volume; its voxels were moved to the '
        "nearest ones of the volume."
    )
    return text.format(name=name)


def _on_grid(slices: Sequence[int], paint_grid: PaintGrid, axis: int | None, parts: Sequence[Part]) -> list[int]:
    """Slices of the volume as slices of the paint: of those that lie in one, the painted ones, or all if none is."""
    if paint_grid.is_volumes:
        return list(slices)
    axis = _axis_of(parts) if axis is None else axis
    there = {index for part in parts for index in drain(part.slices_steps(axis))}
    across, _index = paint_grid.to_volume(axis, 0)
    last = paint_grid.volume.shape[across] - 1
    found: set[int] = set()
    for index in slices:
        if not 0 <= index <= last:
            text = _("Slice {index} lies outside the volume; slices along axis {axis} go from 0 to {last}.")
            raise InputError(text.format(index=index, axis=across, last=last))
        _axis, inside = paint_grid.from_volume(across, index)
        found |= there.intersection(inside) or set(inside)
    return sorted(found)


def _axis_of(parts: Sequence[Part]) -> int:
    """The axis across which the fewest slices have paint."""
    return min(range(3), key=lambda axis: sum(len(drain(part.slices_steps(axis))) for part in parts))


def painted_part_steps(part: Part, axis: int, slices: Sequence[int]) -> Steps[Part]:
    """What of a part lies on some slices."""
    others = sorted({*range(part.extent[axis].start, part.extent[axis].stop)}.difference(slices))

    def painted(slab: slice) -> Mask:
        here = part.box[slab].copy()
        k, j, i = part.extent
        place = (slice(k.start + slab.start, k.start + slab.start + len(here)), j, i)
        here[on_slices(place, axis, others)] = False
        return here

    return (yield from Part.steps(painted, part.box.shape, part.corner, part.shape))


def label_maps_steps(
    parts: Sequence[Part], shape: tuple[int, ...], dtype: Any, counts: Callable[[Extent], Any]
) -> Steps[tuple[tuple[Labels, ...], dict[int, int]]]:
    """Label maps of segments 1, 2, …, each in the first one in which it lies over no other; and in which one it is.

    Args:
        counts: the part of a box where overlap matters, as an index of an array of that box.
    """
    layers: list[Labels] = [np.zeros(shape, dtype)]
    layer_of: dict[int, int] = {}
    for label, part in enumerate(parts, start=1):
        place = 0
        while place < len(layers) and (yield from _meets_steps(part, layers[place], counts)):
            place += 1
        if place == len(layers):
            layers.append(np.zeros(shape, dtype))
        layer_of[label] = place
        for slab in slabs(part.box.shape):
            np.copyto(layers[place][cut(part.extent, slab)], label, where=part.box[slab])
            yield
    return tuple(layers), layer_of


def _meets_steps(part: Part, layer: Labels, counts: Callable[[Extent], Any]) -> Steps[bool]:
    """Whether a segment lies over another one in a layer."""
    for slab in slabs(part.box.shape):
        box = cut(part.extent, slab)
        if (part.box[slab] & (layer[box] > 0))[counts(box)].any():
            return True
        yield
    return False


def read_part_steps(segment: Any, grid: Grid) -> Steps[Part]:
    """Where a vtkSegment is on ``grid``; its binary label map may be shared and may cover a part of the grid."""
    layer = segment.GetRepresentation(LABELMAP)
    if layer is None or layer.IsEmpty():
        return Part.nothing(grid.shape)
    values, label = voxels(layer), segment.GetLabelValue()
    if grid.holds(layer):
        there = grid.place_of(layer)
        extent = intersection(there, grid.extent)
        if extent == NOWHERE:
            return Part.nothing(grid.shape)
        inside = values[within(extent, there)]

        def planes(slab: slice) -> Mask:
            return np.asarray(inside[slab] == label)

    else:
        covered = grid.covered_by(layer)
        if covered is None:
            return Part.nothing(grid.shape)
        extent = covered
        matrix = vtk.vtkMatrix4x4()
        layer.GetImageToWorldMatrix(matrix)
        own = blank(extent_of(layer), matrix)
        target = voxels(own)
        for slab in slabs(values.shape):
            target[slab] = values[slab] == label
            yield

        def planes(slab: slice) -> Mask:
            return np.asarray(grid.sample(own, cut(extent, slab)) != 0)

    k0, j0, i0 = (s.start for s in extent)
    return (yield from Part.steps(planes, size_of(extent), (k0, j0, i0), grid.shape))


def read_part(segment: Any, grid: Grid) -> Part:
    """As :func:`read_part_steps`, at once."""
    return drain(read_part_steps(segment, grid))


def read_mask(segment: Any, grid: Grid) -> Mask:
    """(K, J, I): where a vtkSegment is on ``grid``."""
    return read_part(segment, grid).whole()


def lies_on(segment: Any, grid: Grid) -> bool:
    """Whether the voxels of a vtkSegment are voxels of ``grid``; so they are if there are none."""
    layer = segment.GetRepresentation(LABELMAP)
    return layer is None or layer.IsEmpty() or grid.holds(layer)


def has_labelmap_source(segmentation: Any) -> bool:
    """Whether a vtkSegmentation is edited as label maps already."""
    return bool(segmentation.GetSourceRepresentationName() == LABELMAP)


def as_labelmaps(node: Any, grid: Grid) -> Any:
    """The node's vtkSegmentation, or a copy of it with label maps on ``grid`` made from its source representation."""
    segmentation = node.GetSegmentation()
    if has_labelmap_source(segmentation) or segmentation.GetNumberOfSegments() == 0:
        return segmentation
    copy = slicer.vtkSegmentation()
    copy.DeepCopy(segmentation)
    make_labelmaps(copy, grid)
    return copy


def make_labelmaps(segmentation: Any, grid: Grid) -> None:
    """Give all segments of a vtkSegmentation label maps on ``grid``, made from its source representation."""
    converter = slicer.vtkSegmentationConverter
    segmentation.SetConversionParameter(
        converter.GetReferenceImageGeometryParameterName(), converter.SerializeImageGeometry(grid.reference())
    )
    if not segmentation.CreateRepresentation(LABELMAP, True):
        raise InputError(_("The segments cannot be converted to label maps; convert them in the Segmentations module."))


def visible_segments(node: Any) -> list[str]:
    """Identifiers of the segments of a vtkMRMLSegmentationNode that are not hidden."""
    display, every = node.GetDisplayNode(), node.GetSegmentation().GetSegmentIDs()
    return [i for i in every if display is None or display.GetSegmentVisibility(i)]


def all_hidden() -> str:
    """What to do where no segment is visible."""
    return _("All segments are hidden; show those that are to be segmented.")


def chosen_segments(node: Any, segment_ids: Sequence[str] | None) -> list[str]:
    """Identifiers of the segments of a vtkMRMLSegmentationNode that are asked for; by default of the visible ones.

    Raises:
        InputError: there is no such segment, or all are hidden.
    """
    every = list(node.GetSegmentation().GetSegmentIDs())
    if segment_ids is None:
        visible = visible_segments(node)
        if every and not visible:
            raise InputError(all_hidden())
        return visible
    try:
        chosen = list(dict.fromkeys([segment_ids] if isinstance(segment_ids, str) else segment_ids))
    except TypeError as error:
        raise InputError(_("Name the segments as a list of identifiers of the segmentation.")) from error
    unknown = [i for i in chosen if i not in every]
    if unknown:
        _check_identifiers(unknown, node.GetSegmentation())
        text = _('There is no segment "{name}"; choose one of the identifiers in the segmentation.')
        raise InputError(text.format(name=unknown[0]))
    if not chosen:
        raise InputError(_("No segment is named; name at least one, or leave the names out for all visible segments."))
    return chosen
