"""Painted segments and results as files: label maps, and Slicer's ``.seg.nrrd`` with names, colours and layers.

A voxel of a label map belongs to one segment. In a ``.seg.nrrd`` segments may overlap: those that do lie in different
layers, each a label map of its own.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DependencyError, InputError
from .access import require_file
from .atomic import output_error
from .damage import require_undamaged
from .grids import Grid
from .images import read_image, write_image

Labels = NDArray[np.unsignedinteger[Any]]
GOLDEN_RATIO = 0.618034
COMPRESSION_LEVEL = 4
# What labels are off by when a program stored them as scaled integers.
ROUNDED_OFF = 0.01
# What the file says about where a segment lies in it; everything else is about the segment itself.
PLACE_FIELDS = ("labelValue", "layer", "extent")


@dataclass(frozen=True)
class Segment:
    """One structure.

    Attributes:
        value: its label, the only segment with it in all layers.
        layer: index of the layer it lies in.
        fields: id, name, colour, terminology, tags as slicerio names them.
    """

    value: int
    layer: int
    fields: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.fields.get("name") or f"Segment_{self.value}")


@dataclass(frozen=True)
class Painted:
    """Painted slices: (K, J, I) label maps on the grid of the image, one a layer, and what the labels mean."""

    layers: tuple[Labels, ...]
    segments: tuple[Segment, ...]

    def in_layer(self, layer: int) -> list[Segment]:
        return [segment for segment in self.segments if segment.layer == layer]

    def only(self, wanted: Sequence[str]) -> Painted:
        """Just the segments with these names or label values.

        Raises:
            InputError: there is no such segment.
        """
        chosen: set[int] = set()
        for word in wanted:
            found = {segment.value for segment in self.segments if word in (segment.name, str(segment.value))}
            if not found:
                there = ", ".join(f"{segment.name} ({segment.value})" for segment in self.segments) or "none"
                raise InputError(f"The support has no segment '{word}'; it has: {there}.")
            chosen |= found
        kept = tuple(segment for segment in self.segments if segment.value in chosen)
        return compact([_keep(layer, chosen) for layer in self.layers], kept)


def is_segmentation_file(path: Path) -> bool:
    """Whether the name says that the file holds segments in layers, not a plain label map."""
    return path.name.lower().endswith((".seg.nrrd", ".seg.nhdr"))


def read_painted(path: Path, grid: Grid) -> Painted:
    """Read the painted slices onto the grid of the image that they were painted on.

    Args:
        path: a label map on the very grid, or a ``.seg.nrrd``, which may cover a part of it.
        grid: the image's.

    Raises:
        InputError: missing, damaged, no label map, or on another grid.
        DependencyError: a ``.seg.nrrd`` and no slicerio.
    """
    if is_segmentation_file(path):
        return _read_segments(path, grid)
    array, own = read_image(path, "support")
    if own.size != grid.size or own.offset_in(grid) != (0, 0, 0):
        raise _other_grid(own, grid)
    if array.dtype.kind == "f":
        array = _whole_numbers(array)
    return Painted((array,), tuple(plain_segment(value) for value in _values(array)))


def write_segmentation(path: Path, layers: Sequence[Labels], segments: Iterable[Segment], grid: Grid) -> None:
    """Write (K, J, I) labels, one array a layer; anything but a ``.seg.nrrd`` takes one layer and drops the names.

    Raises:
        OutputError: see :func:`~MetaSegmentLib.files.images.write_image`.
        DependencyError: a ``.seg.nrrd`` and no slicerio.
    """
    if not is_segmentation_file(path):
        (labels,) = layers
        write_image(path, labels, grid)
        return
    voxels = [labels.transpose(2, 1, 0) for labels in layers]
    extent = [bound for n in grid.size for bound in (0, n - 1)]
    content = {
        "voxels": voxels[0] if len(voxels) == 1 else np.stack(voxels),
        "ijkToLPS": grid.matrix,
        "containedRepresentationNames": ["Binary labelmap"],
        "conversionParameters": [_reference_geometry(grid)],
        "segments": [
            {"id": f"Segment_{s.value}", "name": s.name, **s.fields}
            | {"labelValue": s.value, "layer": s.layer, "extent": extent}
            for s in segments
        ],
    }
    try:
        _slicerio().write_segmentation(str(path), content, compression_level=COMPRESSION_LEVEL)
        _remove_date(path)
    except OSError as error:
        raise output_error(error, path.parent) from error


def compact(layers: Sequence[Labels], segments: Sequence[Segment]) -> Painted:
    """One layer when no two segments overlap, else those with any paint; a segment without paint goes to the first.

    Args:
        layers: (K, J, I) each; no label value occurs in two of them.
        segments: with their layers as indices into ``layers``.
    """
    used = [n for n, layer in enumerate(layers) if layer.any()] or [0]
    overlap = any((sum((layers[n][k] > 0).astype(int) for n in used) > 1).any() for k in range(len(layers[0])))
    if not overlap:
        return Painted((np.maximum.reduce(layers),), tuple(replace(segment, layer=0) for segment in segments))
    places = {n: place for place, n in enumerate(used)}
    kept = tuple(replace(segment, layer=places.get(segment.layer, 0)) for segment in segments)
    return Painted(tuple(layers[n] for n in used), kept)


def plain_segment(value: int, name: str | None = None) -> Segment:
    """A segment of which nothing is known but its label; the colour follows from it."""
    colour = colorsys.hsv_to_rgb(value * GOLDEN_RATIO % 1, 0.6, 0.9)
    name = name or f"Segment_{value}"
    return Segment(value, 0, {"id": f"Segment_{value}", "name": name, "color": [round(part, 4) for part in colour]})


def _read_segments(path: Path, grid: Grid) -> Painted:
    slicerio = _slicerio()
    require_file(path, "support")
    require_undamaged(path, "support")
    try:
        content = slicerio.read_segmentation(str(path))
        voxels = content["voxels"]
        stack = voxels if voxels.ndim == 4 else voxels[np.newaxis]
        own = Grid.from_matrix(stack.shape[1:], content["ijkToLPS"])
    except (MemoryError, InputError):
        raise
    except Exception as error:  # whatever the parsers stumble over, the file is to blame
        raise InputError("The support cannot be read; the file is damaged, cut short or no segmentation.") from error
    if stack.dtype.kind not in "iu":
        raise InputError("The support does not hold whole numbers; save the segmentation from Slicer again.")
    if not stack.any():
        raise InputError("Nothing is painted in the support; paint the structure on a few slices.")
    layers = tuple(_place(layer.transpose(2, 1, 0), own, grid) for layer in stack)
    listed = [
        Segment(
            int(fields.get("labelValue", 1)),
            int(fields.get("layer", 0)),
            {key: value for key, value in fields.items() if key not in PLACE_FIELDS},
        )
        for fields in content.get("segments", [])
    ]
    if not listed:
        return Painted(layers[:1], tuple(plain_segment(value) for value in _values(layers[0])))
    if any(segment.layer >= len(layers) for segment in listed):
        raise InputError("The support names a layer that it does not have; save the segmentation from Slicer again.")
    layers = tuple(
        _keep(layer, {segment.value for segment in listed if segment.layer == n}) for n, layer in enumerate(layers)
    )
    return Painted(layers, tuple(listed)) if len(layers) == 1 else _one_value_each(layers, listed)


def _whole_numbers(array: NDArray[Any]) -> NDArray[Any]:
    """Labels without what a scaling in the file rounded off.

    Raises:
        InputError: farther from whole numbers than that.
    """
    whole = np.round(array)
    if not np.allclose(array, whole, rtol=0, atol=ROUNDED_OFF):
        raise InputError("The support holds numbers that are not whole; give the painted label map, not an image.")
    return whole


def _place(labels: NDArray[Any], own: Grid, grid: Grid) -> NDArray[Any]:
    """Labels of a part of the grid, on the whole of it."""
    offset = own.offset_in(grid)
    if offset is None:
        raise _other_grid(own, grid)
    if offset == (0, 0, 0) and own.size == grid.size:
        return labels
    whole = np.zeros(grid.array_shape, labels.dtype)
    starts = offset[::-1]
    inside = tuple(
        slice(min(max(-start, 0), n), max(min(n, size - start), 0))
        for start, n, size in zip(starts, labels.shape, whole.shape, strict=True)
    )
    there = tuple(slice(part.start + start, part.stop + start) for part, start in zip(inside, starts, strict=True))
    if np.count_nonzero(labels[inside]) != np.count_nonzero(labels):
        raise InputError("Some of the paint lies outside the image; give the image it was painted on as support image.")
    if labels[inside].size:
        whole[there] = labels[inside]
    return whole


def _one_value_each(layers: Sequence[Labels], listed: Sequence[Segment]) -> Painted:
    """Number the segments 1, 2, … across all layers."""
    kind = np.uint8 if len(listed) < 256 else np.uint16
    numbered = [np.zeros(layer.shape, kind) for layer in layers]
    for number, segment in enumerate(listed, start=1):
        numbered[segment.layer][layers[segment.layer] == segment.value] = number
    return compact(numbered, [replace(segment, value=number) for number, segment in enumerate(listed, start=1)])


def _keep(labels: NDArray[Any], values: set[int]) -> NDArray[Any]:
    strange = set(_values(labels)) - values
    return np.where(np.isin(labels, list(strange)), 0, labels).astype(labels.dtype) if strange else labels


def _values(labels: NDArray[Any]) -> list[int]:
    """The labels that occur, ascending, without 0; slice by slice, as sorting a whole CT takes long."""
    found: set[int] = set()
    for plane in labels:
        if plane.any():
            found.update(int(value) for value in np.unique(plane))
    return sorted(found - {0})


def _remove_date(path: Path) -> None:
    """Take out the line with the time of writing: equal results shall be equal files."""
    header, blank, data = path.read_bytes().partition(b"\n\n")
    lines = [line for line in header.split(b"\n") if not line.startswith(b"# on ")]
    path.write_bytes(b"\n".join(lines) + blank + data)


def _other_grid(own: Grid, grid: Grid) -> InputError:
    return InputError(
        f"The support lies on another voxel grid than the image: {own.difference_from(grid)}; "
        "paint on the image itself, or give the volume that was painted on as support image."
    )


def _reference_geometry(grid: Grid) -> dict[str, str]:
    """What makes Slicer go on painting on the image's own grid: 4×4 to RAS mm and the extent."""
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.matrix
    numbers = [repr(float(number)) for number in to_ras.ravel()] + [f"0;{n - 1}" for n in grid.size]
    # Slicer passes over the last parameter of the list unless the separator stands behind it.
    return {"name": "Reference image geometry", "value": ";".join(numbers) + ";", "description": "Grid of the volume&"}


def _slicerio() -> Any:
    try:
        import slicerio
    except ImportError as error:
        raise DependencyError("Files named .seg.nrrd need the package slicerio; run 'pip install slicerio'.") from error
    return slicerio
