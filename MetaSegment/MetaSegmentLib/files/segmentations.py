"""Painted segments and results as files: label maps, and Slicer's ``.seg.nrrd`` with names, colours and layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .access import require_readable
from .atomic import output_error
from .dicom_seg_reader import read_dicom_seg
from .dicom_source import read_source
from .dicom_support import STRUCTURE_SET, support_file
from .grids import Grid
from .images import read_image, write_image
from .orientation import along
from .rtstruct_reader import read_rtstruct
from .seg_nrrd import lists_segments, read_seg_nrrd, write_seg_nrrd
from .segments import Labels, Painted, Segment, compact, numbered, plain_segment, values_in

__all__ = [
    "Painted",
    "Segment",
    "compact",
    "is_segmentation_file",
    "plain_segment",
    "read_painted",
    "require_support",
    "write_segmentation",
]

# What labels are off by when a program stored them as scaled integers.
ROUNDED_OFF = 0.01


def is_segmentation_file(path: Path) -> bool:
    """Whether the name says that the file holds segments in layers, not a plain label map."""
    return path.name.lower().endswith((".seg.nrrd", ".seg.nhdr"))


def require_support(path: Path) -> None:
    """As :func:`~.access.require_readable`, where a folder will not do, but for what :func:`read_painted` takes.

    Raises:
        InputError: as there, or a folder.
    """
    require_readable(path, "support")
    if path.is_dir() and support_file(path) is None:
        raise InputError("The support is a folder; give the name of a file.")


def read_painted(path: Path, grid: Grid, image: Path | None = None) -> Painted:
    """Read the painted slices onto the grid of the image that they were painted on.

    What an earlier run filled is there too; see :func:`~MetaSegmentLib.files.records.without_filled`.

    Args:
        path: a label map on the very grid, or a file as ``.seg.nrrd``, DICOM Segmentation or RT Structure Set of any
            name, which may cover a part of it; or a folder with nothing but one of the latter two.
        grid: the image's.
        image: where it was read from, with which DICOM tells whether the support belongs to it.

    Raises:
        InputError: missing, damaged, no label map, or on another grid or in another frame of reference.
    """
    require_readable(path, "support")
    if (found_dicom := support_file(path)) is not None:
        file, kind = found_dicom
        read = read_rtstruct if kind == STRUCTURE_SET else read_dicom_seg
        return read(file, grid, None if image is None else read_source(image))
    if (found := _segments_in(path)) is not None:
        layers, segments, own = found
        turned = [along(layer, own, grid) for layer in layers]
        return replace(numbered([_place(layer, place, grid) for layer, place in turned], segments), stored=own)
    array, own = along(*read_image(path, "support"), grid)
    if own.size != grid.size or own.offset_in(grid) != (0, 0, 0):
        raise _other_grid(own, grid)
    if array.dtype.kind == "f":
        array = _whole_numbers(array)
    return Painted((array,), tuple(plain_segment(value) for value in values_in(array)))


def write_segmentation(path: Path, layers: Sequence[Labels], segments: Iterable[Segment], grid: Grid) -> None:
    """Write (K, J, I) labels, one array a layer; anything but a ``.seg.nrrd`` takes one layer and drops the names.

    DICOM objects refer to a series: see outputs.py.

    Raises:
        OutputError: see :func:`~MetaSegmentLib.files.images.write_image`.
    """
    if not is_segmentation_file(path):
        (labels,) = layers
        write_image(path, labels, grid)
        return
    try:
        write_seg_nrrd(path, layers, segments, grid)
    except OSError as error:
        raise output_error(error, path.parent) from error


def _segments_in(path: Path) -> tuple[list[Labels], list[Segment], Grid] | None:
    """What a ``.seg.nrrd`` of any name holds; None for a label map, also where it has kept another one's header."""
    named = is_segmentation_file(path)
    if not named and not lists_segments(path):
        return None
    layers, segments, grid = read_seg_nrrd(path)
    listed = {(one.layer, one.value) for one in segments}
    whole = all((number, value) in listed for number, layer in enumerate(layers) for value in values_in(layer))
    return (layers, segments, grid) if named or whole else None


def _whole_numbers(array: NDArray[Any]) -> NDArray[Any]:
    """Labels without what a scaling in the file rounded off.

    Raises:
        InputError: farther from whole numbers than that.
    """
    whole = np.round(array)
    paint_lost = array.any() and not whole.any()
    if paint_lost or not np.isfinite(array).all() or not np.allclose(array, whole, rtol=0, atol=ROUNDED_OFF):
        raise InputError("The support holds numbers that are not whole; give the painted label map, not an image.")
    return whole


def _place(labels: NDArray[Any], own: Grid, grid: Grid) -> NDArray[Any]:
    """Labels of a part of the grid, on the whole of it."""
    offset = own.offset_in(grid)
    if offset is None and not labels.any():  # Slicer stores no paint as one voxel somewhere
        raise InputError("Nothing is painted in the support; paint the structure on a few slices.")
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


def _other_grid(own: Grid, grid: Grid) -> InputError:
    if grid.sheared and not own.sheared:
        return InputError(
            f"The support lies on another voxel grid than the image: {own.difference_from(grid)}; load the series in "
            "Slicer with acquisition geometry regularization, harden the transform, paint on that volume and give it."
        )
    return InputError(
        f"The support lies on another voxel grid than the image: {own.difference_from(grid)}; "
        "paint on the image itself, or give the volume that was painted on as support image."
    )
