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
from ..task.parts import NOWHERE, Extent, Part, Values, bounds_steps, cut, pasted, size_of, union
from .geometry import LABELMAP, Grid, blank, extent_of, voxels


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
        masks: where each segment is to be on ``grid``; one that does not exist yet shares the first layer.
    """
    used: dict[Any, dict[str, int]] = {}
    for segment_id in segments.GetSegmentIDs():
        segment = segments.GetSegment(segment_id)
        used.setdefault(segment.GetRepresentation(LABELMAP), {})[segment_id] = int(segment.GetLabelValue())
    if not used:
        used[None] = {}
    first = next(iter(used.values()))
    for segment_id in masks:
        if segments.GetSegment(segment_id) is None:
            first[segment_id] = max(first.values(), default=0) + 1
    layers: list[Layer] = []
    for layer, labels in used.items():
        written = {i: masks[i] for i in labels if i in masks}
        if written:
            layers += yield from _new_layers_steps(layer, labels, written, grid)
    return layers


def _new_layers_steps(
    layer: Any | None, labels: Mapping[str, int], written: Mapping[str, Part], grid: Grid
) -> Steps[list[Layer]]:
    """The layers of segments that have shared one so far.

    Args:
        layer: which one.
        labels: the values of all of them in it.
        written: where some of them are to be.
    """
    below: Values | None = None
    extent, placement, dtype = NOWHERE, grid.placement, np.dtype(np.uint8)
    others = {i: label for i, label in labels.items() if i not in written}
    staying = dict(written)
    if layer is not None and not layer.IsEmpty() and others:
        below, extent, dtype = _values_of(layer, list(others.values())), extent_of(layer), voxels(layer).dtype
        placement = vtk.vtkMatrix4x4()
        layer.GetImageToWorldMatrix(placement)
        extent = yield from bounds_steps(extent, below)
        if not grid.holds(layer):
            staying = {}
    staying = yield from _apart_steps(staying, below)
    extent = union(extent, *(part.extent for part in staying.values()))
    shared = others | {i: labels[i] for i in staying}
    dtype = np.promote_types(dtype, np.min_scalar_type(max(shared.values(), default=0)))
    masks = [(labels[i], part.within) for i, part in staying.items()]
    layers = [Layer((yield from _image_steps(extent, placement, dtype, masks, below)), shared)] if shared else []
    for segment_id, part in written.items():
        if segment_id not in staying:
            image = yield from _image_steps(part.extent, grid.placement, np.uint8, [(1, part.within)])
            layers.append(Layer(image, {segment_id: 1}))
    return layers


def _values_of(layer: Any, labels: list[int]) -> Values:
    """What a layer holds of some labels."""
    values, there = voxels(layer), extent_of(layer)

    def read(own: Extent) -> NDArray[Any]:
        return np.where(np.isin(values[own], labels), values[own], 0)

    return lambda extent: pasted(there, read, extent, values.dtype)


def _apart_steps(masks: Mapping[str, Part], below: Values | None) -> Steps[dict[str, Part]]:
    """Those of the masks that can share a layer: they lie neither over what is ``below`` nor over each other."""
    apart: dict[str, Part] = {}
    for segment_id, part in masks.items():
        others = [*([] if below is None else [below]), *(p.within for p in apart.values())]
        meets = False
        for slab in slabs(part.box.shape):
            box = cut(part.extent, slab)
            meets = any((part.box[slab] & (other(box) != 0)).any() for other in others)
            yield
            if meets:
                break
        if not meets:
            apart[segment_id] = part
    return apart


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
