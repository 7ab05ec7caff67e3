"""Paint from RT Structure Sets: what closed planar contours enclose on the slices of an image.

Contours of a region on one slice are taken by even and odd: a contour inside another one is a hole, as programs have
written holes for long, and the standard's own ways (a keyhole, CLOSEDPLANAR_XOR) come to the same.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .contours import Polygon, filled
from .dicom_segments import joined_name, tags_of
from .dicom_source import Source
from .dicom_support import LayerStack, Piece, blaming_the_support, labels_for, read_data, relation
from .grids import Grid
from .segments import Painted, Segment, plain_segment
from .terminology import Term

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
OFF_THE_SLICE = 0.1
"""Of the distance between slices; programs round the positions of contours."""
BEYOND = 1.0
"""Pixels that an outline may reach out of the image without enclosing anything there that matters."""
Planes = dict[tuple[int, int], list[Polygon]]
"""By array axis and slice: polygons in the other two axes, the last one first."""


def read_rtstruct(path: Path, grid: Grid, image: Source | None) -> Painted:
    """The regions of a structure set on the grid of an image; those with closed contours on its slices.

    What is left out is noted: open contours and points, and what lies outside the image or between its slices.

    Args:
        grid: the image's.
        image: the series it comes from, if it does.

    Raises:
        InputError: damaged, without closed contours, in another frame of reference, or with no contour on a slice.
    """
    with blaming_the_support():
        data = read_data(path)
        listed = list(data.get("StructureSetROISequence") or ())
        notes = relation(_frame_of_reference(data, listed), _series(data), image)
        contours = {int(one.ReferencedROINumber): one for one in data.get("ROIContourSequence") or ()}
        observed = {int(one.ReferencedROINumber): one for one in data.get("RTROIObservationsSequence") or ()}
        numbers = [int(one.ROINumber) for one in listed]
        labels = labels_for(numbers)
        stack = LayerStack(grid.array_shape, labels)
        segments, closed = [], 0
        for item, number, label in zip(listed, numbers, labels, strict=True):
            name = joined_name(item.get("ROIName"), item.get("ROIDescription")) or f"Segment_{label}"
            region = contours.get(number)
            found = _Region(name, grid)
            found.take(region)
            closed += found.closed
            notes += found.notes()
            if found.open and not found.closed:
                continue  # markers and lines are no structures
            layer = stack.add(label, found.pieces())
            fields = _fields(item, label, name, region, observed.get(number))
            segments.append(Segment(label, layer, fields))
        if not closed:
            raise InputError("The structure set given as support holds no closed contours; give one with some.")
        if not any(layer.any() for layer in stack.layers):
            raise InputError(
                "No contour of the support lies on a slice of the image: they lie outside it or between its slices; "
                "give the series they were drawn on as support image."
            )
        return Painted(stack.layers, tuple(segments), notes=tuple(notes))


class _Region:
    """The contours of one region, sorted by slice."""

    def __init__(self, name: str, grid: Grid) -> None:
        self.closed = self.open = 0
        self._name, self._shape = name, grid.array_shape
        self._to_voxels, self._origin = np.linalg.inv(grid.matrix[:3, :3])[::-1], np.array(grid.origin)
        self._between = self._outside = 0
        self._planes: Planes = defaultdict(list)

    def take(self, region: Any) -> None:
        """All contours of an item of the ROI Contour Sequence, or none."""
        for one in (region.get("ContourSequence") if region is not None else None) or ():
            points = _numbers(one)
            if not np.isfinite(points).all() or len(points) % 3:
                raise InputError(
                    f"A contour of '{self._name}' in the support does not hold points in space; export it again."
                )
            if str(one.get("ContourGeometricType", "")) in CLOSED and len(points) >= 9:
                self.closed += 1
                self._take_closed((points.reshape(-1, 3) - self._origin) @ self._to_voxels.T)
            else:
                self.open += 1

    def _take_closed(self, points: NDArray[np.float64]) -> None:
        spread = np.ptp(points, axis=0)
        axis = 0 if spread[0] <= OFF_THE_SLICE else int(np.argmin(spread))
        index = round(float(points[:, axis].mean()))
        if np.abs(points[:, axis] - index).max() > OFF_THE_SLICE:
            self._between += 1
            return
        polygon = np.delete(points, axis, axis=1)[:, ::-1]
        size = np.delete(self._shape, axis)[::-1]
        if not 0 <= index < self._shape[axis]:
            self._outside += 1
            return
        if (polygon < -BEYOND).any() or (polygon > size - 1 + BEYOND).any():
            self._outside += 1
        here = self._planes[axis, index]
        if not any(np.array_equal(polygon, other) for other in here):  # listed twice, it would cancel itself out
            here.append(polygon)

    def pieces(self) -> list[Piece]:
        """What the contours enclose of each slice, within the box around them."""
        found: list[Piece] = []
        for (axis, index), polygons in self._planes.items():
            points = np.concatenate(polygons)
            size = np.delete(self._shape, axis)[::-1]
            low = np.clip(np.floor(points.min(axis=0)), 0, size).astype(int)
            high = np.clip(np.ceil(points.max(axis=0)) + 1, low, size).astype(int)
            columns, rows = high - low
            mask = filled([polygon - low for polygon in polygons], (rows, columns))
            box = [slice(int(first), int(last)) for first, last in zip(low[::-1], high[::-1], strict=True)]
            box.insert(axis, slice(index, index + 1))
            found.append((tuple(box), np.expand_dims(mask, axis)))
        return found

    def notes(self) -> list[str]:
        """What was left out, a sentence each."""
        left = (
            (self.open, "that are open or single points; only closed ones enclose anything"),
            (self._between, "between the slices of the image; they were drawn on another series"),
            (self._outside, "outside the image, or as far as they lie outside"),
        )
        return [f"Of '{self._name}', contours were left out {where} ({count})." for count, where in left if count]


def _numbers(contour: Any) -> NDArray[np.float64]:
    """Of its Contour Data, from the text as it is stored where that is still at hand, which is far faster."""
    stored = contour.get_item("ContourData") if "ContourData" in contour else None
    value = getattr(stored, "value", None)
    if isinstance(value, bytes):
        return np.array(value.strip(b" \0").split(b"\\") if value.strip(b" \0") else [], np.float64)
    return np.array([float(number) for number in contour.get("ContourData") or ()])


def _fields(item: Any, label: int, name: str, region: Any, observation: Any) -> dict[str, Any]:
    kind = category = where = None
    if observation is not None:
        kind, category, where = (
            next(iter(observation.get(sequence) or ()), None)
            for sequence in (
                "RTROIIdentificationCodeSequence",
                "SegmentedPropertyCategoryCodeSequence",
                "AnatomicRegionSequence",
            )
        )
    tags = tags_of(item.get("ROIDerivationAlgorithmIdentificationSequence"), Term.from_items(kind, category, where))
    fields = {**plain_segment(label, name).fields, "tags": tags}
    colour = region.get("ROIDisplayColor") if region is not None else None
    if colour is not None and len(colour) == 3:
        fields["color"] = [round(int(part) / 255, 4) for part in colour]
    return fields


def _frame_of_reference(data: Any, listed: list[Any]) -> str:
    """Of the regions, when all have the same."""
    own = {str(one.get("ReferencedFrameOfReferenceUID") or "") for one in listed} - {""}
    return own.pop() if len(own) == 1 else str(data.get("FrameOfReferenceUID") or "")


def _series(data: Any) -> list[str]:
    return [
        str(series.get("SeriesInstanceUID") or "")
        for frame in data.get("ReferencedFrameOfReferenceSequence") or ()
        for study in frame.get("RTReferencedStudySequence") or ()
        for series in study.get("RTReferencedSeriesSequence") or ()
    ]
