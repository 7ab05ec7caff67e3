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
from numpy.typing import NDArray

from ..pieces import Steps, slabs
from ..task.parts import (
    NOWHERE,
    Extent,
    Part,
    Values,
    bounds_steps,
    cut,
    intersection,
    pasted,
    shifted,
    size_of,
    union,
    within,
)
from .geometry import LABELMAP, Grid, voxels


@dataclass(frozen=True, eq=False)
class Layer:
    """A label map layer that is not in use yet.

    Attributes:
        image: vtkOrientedImageData.
        labels: the segments that are to share it, with their values in it.
    """

    image: Any
    labels: dict[str, int]


def put(layers: Sequence[Layer], segments: Any) -> None:
    """Put layers in the place of those that the segments of a vtkSegmentation have."""
    for layer in layers:
        for segment_id, label in layer.labels.items():
            segment = segments.GetSegment(segment_id)
            segment.AddRepresentation(LABELMAP, layer.image)
            segment.SetLabelValue(label)


def layers_steps(segments: Any, masks: Mapping[str, Part], grid: Grid) -> Steps[list[Layer]]:
    """The layers with which some segments get other voxels, and all others keep theirs.

    Segments that share a layer go on sharing it, but for those that would lie over another one. What lies beyond the
    grid, as when a part of a scan was cut out, stays as it is.

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
    extent, place, dtype = NOWHERE, grid, np.dtype(np.uint8)
    others = {i: label for i, label in labels.items() if i not in written}
    staying, kept_from, there = dict(written), None, NOWHERE
    if layer is not None and not layer.IsEmpty():
        on_grid = grid.holds(layer)
        place = grid if on_grid or not others else Grid.of(layer)
        there = place.place_of(layer)
        kept_from = layer if on_grid and intersection(there, grid.extent) != there else None
        beyond = [label for i, label in labels.items() if i in written] if kept_from is not None else []
        if others or beyond:
            below, dtype = _values_of(layer, list(others.values()), beyond, place), voxels(layer).dtype
            extent = yield from bounds_steps(there, below)
        if others and not on_grid:
            staying = {}
    staying = yield from _apart_steps(staying, below)
    leaving = {i: part for i, part in written.items() if i not in staying}
    if kept_from is not None and leaving:
        below = _values_of(kept_from, list(others.values()), [labels[i] for i in staying], grid)
        extent = yield from bounds_steps(there, below)
    extent = union(extent, *(part.extent for part in staying.values()))
    shared = others | {i: labels[i] for i in staying}
    dtype = np.promote_types(dtype, np.min_scalar_type(max(shared.values(), default=0)))
    masks = [(labels[i], part.within) for i, part in staying.items()]
    layers = [Layer((yield from _image_steps(extent, place, dtype, masks, below)), shared)] if shared else []
    for segment_id, part in leaving.items():
        own, extent = None, part.extent
        if kept_from is not None:
            own = _values_of(kept_from, [], [labels[segment_id]], grid)
            extent = union(extent, (yield from bounds_steps(there, own)))
        label = 1 if own is None else labels[segment_id]
        kind = np.min_scalar_type(label)
        image = yield from _image_steps(extent, grid, kind, [(label, part.within)], own)
        layers.append(Layer(image, {segment_id: label}))
    return layers


def _values_of(layer: Any, labels: Sequence[int], beyond: Sequence[int], grid: Grid) -> Values:
    """What a layer holds of some labels, and of those ``beyond`` outside the grid."""
    values, there = voxels(layer), grid.place_of(layer)

    def read(own: Extent) -> NDArray[Any]:
        here = values[own]
        kept = np.isin(here, labels)
        if beyond:
            outside = np.isin(here, beyond)
            box = shifted(own, [s.start for s in there])
            outside[within(intersection(box, grid.extent), box)] = False
            kept |= outside
        return np.where(kept, here, 0)

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
    grid: Grid,
    dtype: Any,
    sources: Sequence[tuple[int, Values]],
    below: Values | None = None,
) -> Steps[Any]:
    """A label map of masks with their labels, laid over what is ``below``."""
    if not all(size_of(extent)):
        return grid.blank(NOWHERE, dtype)
    image = grid.blank(extent, dtype)
    target = voxels(image)
    for slab in slabs(target.shape):
        box = cut(extent, slab)
        target[slab] = 0 if below is None else below(box)
        for label, mask in sources:
            np.copyto(target[slab], label, where=mask(box))
        yield
    return image
