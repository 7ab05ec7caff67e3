"""What the user painted, read from a segmentation node onto the volume's own voxel grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray

import slicer

from ..errors import InputError
from ..executors import Steps
from .geometry import Grid, grid_of, placed, spacing_of, voxels
from .i18n import tr as _
from .parts import Part
from .record import record_of

LABELMAP = "Binary labelmap"

Labels = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False)
class Painting:
    """The painted slices of one volume, free of MRML, so that a worker thread may have it.

    Attributes:
        image: (K, J, I) voxels of the volume.
        spacing: mm in array order.
        labels: (K, J, I) uint8 or uint16, painted slices only; label n is ``segment_ids[n - 1]``.
        slices: indices of the painted slices and of those named as empty; None for every slice with paint.
        axis: the slice axis if known from an earlier run.
        segment_ids: the segments to fill.
        names: segment names by label.
        grid: the volume's grid as seen from the segmentation.
        snapshots: each segment's whole mask (packed bits) as it was read.
    """

    image: NDArray[Any]
    spacing: tuple[float, float, float]
    labels: Labels
    slices: list[int] | None
    axis: int | None
    segment_ids: tuple[str, ...]
    names: dict[int, str]
    grid: Grid
    snapshots: dict[str, NDArray[np.uint8]]

    def edited_since(self, segment_id: str, mask: NDArray[np.bool_], axis: int) -> list[int]:
        """Slices of a segment, now ``mask`` (K, J, I), that are not what they were when the painting was read."""
        before = self.snapshots[segment_id]
        if np.array_equal(before, np.packbits(mask)):
            return []
        then = np.unpackbits(before, count=mask.size).reshape(mask.shape).view(bool)
        return [int(i) for i in np.flatnonzero(np.moveaxis(mask != then, axis, 0).any(axis=(1, 2)))]


def read_painting(
    volume: Any, segmentation: Any, segment_ids: Sequence[str] | None = None, slices: Sequence[int] | None = None
) -> Painting:
    """Read a volume and its painted segments.

    Args:
        volume: vtkMRMLScalarVolumeNode.
        segmentation: vtkMRMLSegmentationNode; nothing in it is changed, whatever its source representation.
        segment_ids: which segments; the default is all visible ones that have paint.
        slices: which slices are painted; the default is what earlier runs did not fill.

    Raises:
        InputError: an unknown or empty segment, segments that overlap where they are painted, geometry that cannot
            be used.
    """
    grid = grid_of(volume, segmentation)
    source = _as_labelmaps(segmentation, grid)
    chosen = _chosen(segmentation, segment_ids)
    labels: Labels = np.zeros(grid.shape, np.uint8 if len(chosen) < 256 else np.uint16)
    clashes: list[tuple[int, int, tuple[NDArray[np.intp], ...]]] = []
    found: list[str] = []
    snapshots, painted_now, axes = {}, {}, {}
    for segment_id in chosen:
        segment = source.GetSegment(segment_id)
        part = read_part(segment, grid)
        if part.empty:
            if segment_ids is None:
                continue
            text = _('Segment "{name}" has no paint; paint it on some slices or leave it out.')
            raise InputError(text.format(name=segment.GetName()))
        found.append(segment_id)
        label, mask = len(found), part.whole()
        both = mask & (labels > 0)
        for other in np.unique(labels[both]):
            clashes.append((int(other), label, np.nonzero(both & (labels == other))))
        labels[mask] = label
        snapshots[segment_id] = np.packbits(mask)
        record = record_of(segment)
        painted_now[segment_id] = record.painted_now(part) if record else None
        if record and painted_now[segment_id] is not None:
            axes[record.axis] = segment.GetName()
    names = {label: source.GetSegment(i).GetName() for label, i in enumerate(found, start=1)}
    if len(axes) > 1:
        first, second = list(axes.values())[:2]
        text = _('Segments "{first}" and "{second}" were painted along different axes; segment one at a time.')
        raise InputError(text.format(first=first, second=second))
    axis = next(iter(axes), None)
    support = list(slices) if slices is not None else None
    if support is None and axis is not None:
        support = _support(labels, axis, found, painted_now)
    for a, b, where in clashes:
        if axis is None or support is None or np.isin(where[axis], support).any():
            text = _('Segments "{first}" and "{second}" overlap where they are painted; segment them one at a time.')
            raise InputError(text.format(first=names[a], second=names[b]))
    if axis is not None and support is not None:
        filled = np.setdiff1d(np.arange(grid.shape[axis]), support)
        np.moveaxis(labels, axis, 0)[filled] = 0
    return Painting(
        voxels(volume.GetImageData()),
        spacing_of(volume),
        labels,
        support,
        axis,
        tuple(found),
        names,
        grid,
        snapshots,
    )


def read_painting_steps(
    volume: Any, segmentation: Any, segment_ids: Sequence[str] | None = None, slices: Sequence[int] | None = None
) -> Steps[Painting]:
    """The same in pieces; see :func:`read_painting`."""
    yield
    return read_painting(volume, segmentation, segment_ids, slices)


def read_part(segment: Any, grid: Grid) -> Part:
    """Where a vtkSegment is on ``grid``; its binary label map may be shared and may cover a part of the grid."""
    layer = segment.GetRepresentation(LABELMAP)
    if layer is None or layer.IsEmpty():
        return Part.of(np.zeros(grid.shape, bool))
    own = np.asarray(voxels(layer) == segment.GetLabelValue())
    extent = layer.GetExtent()
    corner = (extent[4], extent[2], extent[0])
    if grid.holds(layer):
        return Part.of(own, corner, grid.shape)
    matrix = vtk.vtkMatrix4x4()
    layer.GetImageToWorldMatrix(matrix)
    return Part.of(grid.sample(placed(own.astype(np.uint8), corner, matrix)) != 0)


def read_mask(segment: Any, grid: Grid) -> NDArray[np.bool_]:
    """(K, J, I): where a vtkSegment is on ``grid``."""
    return read_part(segment, grid).whole()


def has_labelmap_source(segmentation: Any) -> bool:
    """Whether a vtkSegmentation is edited as label maps already."""
    return bool(segmentation.GetSourceRepresentationName() == LABELMAP)


def _as_labelmaps(node: Any, grid: Grid) -> Any:
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


def _chosen(node: Any, segment_ids: Sequence[str] | None) -> list[str]:
    every = list(node.GetSegmentation().GetSegmentIDs())
    if segment_ids is None:
        display = node.GetDisplayNode()
        return [i for i in every if display is None or display.GetSegmentVisibility(i)]
    chosen = list(dict.fromkeys([segment_ids] if isinstance(segment_ids, str) else segment_ids))
    unknown = [i for i in chosen if i not in every]
    if unknown:
        text = _('There is no segment "{name}"; choose one of the identifiers in the segmentation.')
        raise InputError(text.format(name=unknown[0]))
    return chosen


def _support(labels: Labels, axis: int, found: list[str], painted_now: dict[str, list[int] | None]) -> list[int]:
    """Painted slices of all segments together; without a record every slice of a segment counts as painted."""
    support: set[int] = set()
    planes = np.moveaxis(labels, axis, 0)
    for label, segment_id in enumerate(found, start=1):
        known = painted_now[segment_id]
        support.update(np.flatnonzero((planes == label).any(axis=(1, 2))).tolist() if known is None else known)
    return sorted(support)
