"""Paint from DICOM Segmentation objects: frames in any order, of a part of the slices or of a part of each.

Every frame is placed by its own position, orientation and pixel spacing, so that it does not matter how the frames
make a volume. pydicom reads more of what is about than libraries that check everything first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .dicom import Slice, field, frames_of
from .dicom_segments import joined_name, tags_of
from .dicom_source import Source
from .dicom_support import LABEL_MAP, LayerStack, Piece, blaming_the_support, labels_for, read_data, relation
from .grids import TOLERANCE_VOXELS, Grid
from .segments import Painted, Segment, plain_segment
from .terminology import Term

BACKGROUND = 0
"""What a label map in DICOM may list as a segment and is none."""


def read_dicom_seg(path: Path, grid: Grid, image: Source | None) -> Painted:
    """The segments of a BINARY, FRACTIONAL (from one half on) or LABELMAP object, on the grid of an image.

    Args:
        grid: the image's.
        image: the series it comes from, if it does.

    Raises:
        InputError: damaged, of pixels that cannot be decoded, without segments, in another frame of reference or on
            another grid, or with paint outside the image.
    """
    with blaming_the_support():
        data = read_data(path)
        series = [str(one.get("SeriesInstanceUID", "")) for one in data.get("ReferencedSeriesSequence") or ()]
        notes = relation(str(data.get("FrameOfReferenceUID") or ""), series, image)
        listed = [one for one in data.get("SegmentSequence") or () if int(one.SegmentNumber) != BACKGROUND]
        if not listed:
            raise InputError("The DICOM segmentation given as support holds no segments; give one with some paint.")
        slices = list(frames_of(data, "support"))
        places = [_place(one, grid) for one in slices]
        numbers = [int(one.SegmentNumber) for one in listed]
        labels = labels_for(numbers)
        stack = LayerStack(grid.array_shape, labels)
        segments = []
        for item, number, label in zip(listed, numbers, labels, strict=True):
            pieces = [placed for mask, n in _masks(data, number) if (placed := _cut(mask, places[n], grid)) is not None]
            segments.append(_segment(item, label, stack.add(label, pieces)))
        return Painted(stack.layers, tuple(segments), _own_grid(slices[0]), tuple(notes))


def _masks(data: Any, number: int) -> Iterator[tuple[NDArray[np.bool_], int]]:
    """(J, I) of each frame of a segment, and the frame's number from 0."""
    frames = list(range(len(data.PerFrameFunctionalGroupsSequence)))
    fractional = str(data.get("SegmentationType", "")) == "FRACTIONAL"
    label_map = str(data.get("SOPClassUID", "")) == LABEL_MAP or str(data.get("SegmentationType", "")) == "LABELMAP"
    if not label_map:
        frames = [n for n in frames if _segment_number(data, n) == number]
    try:
        for n, pixels in zip(frames, _pixels(data, frames), strict=True):
            if fractional:
                yield 2 * pixels.astype(int) >= int(data.get("MaximumFractionalValue", 255)), n
            else:
                yield (pixels == number if label_map else pixels != 0), n
    except (AttributeError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            "The pixels of the DICOM segmentation given as support cannot be decoded, as they are packed or encrypted "
            "in a way not known here; load it in Slicer and save it as .seg.nrrd."
        ) from error


def _pixels(data: Any, frames: Sequence[int]) -> Iterator[NDArray[Any]]:
    """(J, I) stored values of these frames; bits follow each other without regard to bytes."""
    from pydicom.pixels.utils import iter_pixels

    if not frames:
        return
    if data.BitsAllocated > 1 or data.file_meta.TransferSyntaxUID.is_compressed:
        yield from iter_pixels(data, indices=frames)
        return
    if not data.file_meta.TransferSyntaxUID.is_little_endian:
        raise NotImplementedError
    packed, size = np.frombuffer(data.PixelData, np.uint8), data.Rows * data.Columns
    for n in frames:
        first, stop = n * size, (n + 1) * size
        bits = np.unpackbits(packed[first // 8 : -(-stop // 8)], bitorder="little")
        yield bits[first % 8 :][:size].reshape(data.Rows, data.Columns)


def _segment_number(data: Any, frame: int) -> int:
    groups = (data.PerFrameFunctionalGroupsSequence[frame], *(data.get("SharedFunctionalGroupsSequence") or ())[:1])
    return int(field(groups, "SegmentIdentificationSequence", "ReferencedSegmentNumber"))


Steps = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""In voxels (k, j, i): of the first pixel, from one to the next in a row, and from a row to the next."""


def _place(one: Slice, grid: Grid) -> Steps:
    """Where the pixels of a frame lie among the voxels.

    Raises:
        InputError: elsewhere than on voxels.
    """
    to_voxels = np.linalg.inv(grid.matrix[:3, :3])[::-1]
    first = to_voxels @ np.subtract(one.position, grid.origin)
    along, down = (
        to_voxels @ (np.array(axis) * step)
        for axis, step in zip(np.reshape(one.orientation, (2, 3)), one.spacing, strict=True)
    )
    whole = [np.round(part) for part in (first, along, down)]
    columns, rows = np.subtract(one.size, 1)
    off = np.abs(along - whole[1]) * columns + np.abs(down - whole[2]) * rows
    if any(np.abs(part).sum() != 1 for part in whole[1:]) or off.max() > TOLERANCE_VOXELS or whole[1] @ whole[2]:
        raise _other_grid(one, grid, "its pixels are turned against the image's voxels, or of another size")
    if np.abs(first - whole[0]).max() > TOLERANCE_VOXELS:
        raise _other_grid(one, grid, "its frames lie between the image's slices or voxels")
    return whole[0].astype(int), whole[1].astype(int), whole[2].astype(int)


def _cut(mask: NDArray[np.bool_], place: Steps, grid: Grid) -> Piece | None:
    """A frame's mask as a piece of the volume; None where nothing is painted.

    Raises:
        InputError: some of it lies outside.
    """
    if not mask.any():
        return None
    first, along, down = place
    rows, columns = np.nonzero(mask)
    top, left = rows.min(), columns.min()
    mask = mask[top : rows.max() + 1, left : columns.max() + 1]
    corner = first + left * along + top * down
    end = corner + (mask.shape[1] - 1) * along + (mask.shape[0] - 1) * down
    low, high = np.minimum(corner, end), np.maximum(corner, end) + 1
    if (low < 0).any() or (high > grid.array_shape).any():
        raise InputError("Some of the paint lies outside the image; give the image it was painted on as support image.")
    across, up = int(np.argmax(np.abs(along))), int(np.argmax(np.abs(down)))
    mask = mask[:: int(down[up]), :: int(along[across])]
    if up > across:
        mask = mask.T
    thin = next(axis for axis in range(3) if axis not in (across, up))
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return box, np.expand_dims(mask, thin)


def _segment(item: Any, label: int, layer: int) -> Segment:
    kinds, categories, regions = (
        next(iter(item.get(name) or ()), None)
        for name in (
            "SegmentedPropertyTypeCodeSequence",
            "SegmentedPropertyCategoryCodeSequence",
            "AnatomicRegionSequence",
        )
    )
    tags = tags_of(item.get("SegmentationAlgorithmIdentificationSequence"), Term.from_items(kinds, categories, regions))
    name = joined_name(item.get("SegmentLabel"), item.get("SegmentDescription"))
    fields = {**plain_segment(label, name or None).fields, "tags": tags}
    if (lab := item.get("RecommendedDisplayCIELabValue")) is not None and len(lab) == 3:
        fields["color"] = _rgb(lab)
    return Segment(label, layer, fields)


def _rgb(lab: Sequence[int]) -> list[float]:
    """Red, green and blue in [0, 1] of a colour in DICOM's CIELab, of the white D65 as programs write it."""
    lightness, a, b = lab[0] * 100 / 0xFFFF, lab[1] * 255 / 0xFFFF - 128, lab[2] * 255 / 0xFFFF - 128
    y = (lightness + 16) / 116
    cubes = np.array([y + a / 500, y, y - b / 200])
    white = np.array([0.95047, 1.0, 1.08883])
    xyz = white * np.where(cubes > 6 / 29, cubes**3, (cubes - 4 / 29) * 3 * (6 / 29) ** 2)
    linear = np.array([[3.2405, -1.5372, -0.4985], [-0.9693, 1.8760, 0.0416], [0.0556, -0.2040, 1.0572]]) @ xyz
    linear = np.clip(linear, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return [round(float(part), 4) for part in curved]


def _own_grid(one: Slice) -> Grid:
    """As the frames are stored, of which only the directions of the axes matter."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.column_stack([*np.reshape(one.orientation, (2, 3)), one.across])
    return Grid.from_matrix((*one.size, 1), matrix)


def _other_grid(one: Slice, grid: Grid, what: str) -> InputError:
    if not np.allclose(sorted(one.spacing), sorted(grid.spacing[:2]), rtol=1e-3):
        own, image = (" × ".join(f"{step:.4g}" for step in steps) for steps in (one.spacing, grid.spacing))
        what = f"its pixels are {own} mm, the image's voxels {image} mm"
    return InputError(
        f"The support lies on another voxel grid than the image: {what}; paint on the image itself, or give the "
        "volume that was painted on as support image."
    )
