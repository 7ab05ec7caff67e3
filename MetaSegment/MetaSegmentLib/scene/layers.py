"""New label map layers, made in pieces beside those that are shown, to take their place in a moment.

Slicer's own calls change a layer in place and look through all of it every time: for a layer of the size of a volume
they take half a second, and between two of them everybody sees half a result. The undo history, which has a copy of
its own of what was saved, does not mind that a layer is exchanged for another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray

import slicer

from ..pieces import Steps, slabs
from .geometry import LABELMAP, Grid, blank, extent_of, voxels
from .parts import NOWHERE, Extent, Part, Values, bounds_steps, cut, pasted, size_of, union


@dataclass(frozen=True, eq=False)
class Layer:
    """A label map layer that is not in use yet.

    Attributes:
        image: vtkOrientedImageData.
        labels: the segments that are to share it, with their values in it.
    """

    image: Any
    labels: dict[str, int]


def layers_steps(segments: Any, masks: Mapping[str, Part], grid: Grid) -> Steps[list[Layer]]:
    """The layers with which some segments get other voxels, and all others keep theirs.

    Segments that share a layer go on sharing it, but for those that would lie over another one.

    Args:
        segments: vtkSegmentation.
        masks: where each segment is to be on ``grid``; one that does not exist yet is to get a layer of its own.
    """
    used: dict[Any, list[str]] = {}
    for segment_id in segments.GetSegmentIDs():
        used.setdefault(segments.GetSegment(segment_id).GetRepresentation(LABELMAP), []).append(segment_id)
    layers = []
    for segment_id, part in masks.items():
        if segments.GetSegment(segment_id) is None:
            layers.append((yield from _own_layer_steps(segment_id, part, grid, 1)))
    for layer, sharing in used.items():
        written = {i: masks[i] for i in sharing if i in masks}
        if not written:
            continue
        labels = {i: int(segments.GetSegment(i).GetLabelValue()) for i in sharing}
        if len(sharing) == 1 or layer is None or layer.IsEmpty():
            for segment_id, part in written.items():
                layers.append((yield from _own_layer_steps(segment_id, part, grid, labels[segment_id])))
        else:
            layers += yield from _shared_layer_steps(layer, labels, written, grid)
    return layers


def _own_layer_steps(segment_id: str, part: Part, grid: Grid, label: int) -> Steps[Layer]:
    dtype = np.uint8 if label < 256 else np.int16
    image = yield from _image_steps(part.extent, grid.placement, dtype, [(label, part.within)])
    return Layer(image, {segment_id: label})


def _shared_layer_steps(layer: Any, labels: dict[str, int], written: dict[str, Part], grid: Grid) -> Steps[list[Layer]]:
    values, there, placement = voxels(layer), extent_of(layer), vtk.vtkMatrix4x4()
    layer.GetImageToWorldMatrix(placement)
    others = {i: label for i, label in labels.items() if i not in written}
    rest = list(others.values())

    def of_others(extent: Extent) -> NDArray[Any]:
        return pasted(there, lambda own: np.where(np.isin(values[own], rest), values[own], 0), extent, values.dtype)

    held: Values = of_others
    staying: dict[str, Part] = {}
    if grid.holds(layer):
        for segment_id, part in written.items():
            if not (yield from _meets_steps(part, [held, *(p.within for p in staying.values())])):
                staying[segment_id] = part
    filled = (yield from bounds_steps(there, of_others)) if others else NOWHERE
    extent = union(filled, *(part.extent for part in staying.values()))
    sources = [(labels[i], part.within) for i, part in staying.items()]
    image = yield from _image_steps(extent, placement, values.dtype, sources, of_others)
    layers = [Layer(image, others | {i: labels[i] for i in staying})]
    for segment_id, part in written.items():
        if segment_id not in staying:
            layers.append((yield from _own_layer_steps(segment_id, part, grid, 1)))
    return layers


def _image_steps(
    extent: Extent,
    placement: Any,
    dtype: Any,
    sources: Sequence[tuple[int, Values]],
    below: Values | None = None,
) -> Steps[Any]:
    """A label map of masks with their labels, laid over what is ``below``."""
    if not all(size_of(extent)):
        empty = slicer.vtkOrientedImageData()
        empty.SetGeometryFromImageToWorldMatrix(placement)
        return empty
    image = blank(extent, placement, dtype)
    target = voxels(image)
    for slab in slabs(target.shape):
        box = cut(extent, slab)
        target[slab] = 0 if below is None else below(box)
        for label, mask in sources:
            np.copyto(target[slab], label, where=mask(box))
        yield
    return image


def _meets_steps(part: Part, others: list[Values]) -> Steps[bool]:
    """Whether a part lies over anything else."""
    for slab in slabs(part.box.shape):
        box = cut(part.extent, slab)
        if any((part.box[slab] & (other(box) != 0)).any() for other in others):
            return True
        yield
    return False
