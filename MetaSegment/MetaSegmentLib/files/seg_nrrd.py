"""Slicer's ``.seg.nrrd``: what its fields mean, and what is meant where they are missing.

Slicer reads these files with ITK, and so does SimpleITK: header, escapes, spaces and packed data are read here by the
same code. What the ``Segment…`` and ``Segmentation_…`` fields mean follows vtkMRMLSegmentationStorageNode. Where that
would pass over a segment or guess, the file is refused by the name of the field.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

# ITK's own pool of threads may crash the interpreter at exit.
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import InputError
from .access import plain_name, require_file
from .damage import require_undamaged
from .grids import Grid
from .headers import HEADER_BYTES, NRRD
from .quiet import quiet_stderr
from .segments import Labels, Segment, plain_segment, values_in

COMPRESSION_LEVEL = 4
TYPES = {
    "u1": "unsigned char",
    "u2": "unsigned short",
    "i1": "signed char",
    "i2": "short",
    "i4": "int",
    "u4": "unsigned int",
}
GREY = (0.5, 0.5, 0.5)
Fields = Mapping[str, str]


def read_seg_nrrd(path: Path) -> tuple[list[Labels], list[Segment], Grid]:
    """Read the file as Slicer does.

    Returns:
        (K, J, I) whole numbers, one array a layer; the segments, with their labels in these; the grid of the arrays.

    Raises:
        InputError: damaged, or a field that Slicer cannot make sense of either, or only by losing a segment.
    """
    image, fields = _load(path)
    if "Segmentation_Extent" in fields:
        raise _wrong("Segmentation_Extent", "is of a form that Slicer no longer reads")
    if image.GetDimension() != 3:
        raise _wrong("kinds", "does not make it a 3D volume, alone or in layers")
    if "complex" in image.GetPixelIDTypeAsString():
        raise _wrong("type", "or kinds make its voxels complex numbers")
    array = sitk.GetArrayViewFromImage(image)  # what is returned must not live in the image's memory
    layers = [array] if array.ndim == 3 else [array[..., n] for n in range(array.shape[-1])]
    layers = [_whole_numbers(layer) for layer in layers]
    grid = Grid.of(image)
    if grid.size == (1, 1, 1):  # Slicer's way to write no voxels at all
        layers = [np.zeros_like(layer) for layer in layers]
    listed, offset = _listed(fields, len(layers)), _offset(fields)
    if not listed:
        layers = [_plain(layer, grid, offset) for layer in layers]
        return layers, list(_plain_segments(layers)), grid
    clipped = []
    for number, layer in enumerate(layers):
        extents = [_extent(fields, n, grid) for n, one in enumerate(listed) if one.layer == number]
        clipped.append(_clipped(layer, _union(extents)))
    return clipped, listed, grid


def lists_segments(path: Path) -> bool:
    """Whether an NRRD file of any name lists segments, as one does that Slicer wrote and somebody renamed."""
    if not path.name.lower().endswith(NRRD) or not path.is_file():
        return False
    with path.open("rb") as file:
        header = re.split(rb"\r?\n\r?\n", file.read(HEADER_BYTES), maxsplit=1)[0]
    return re.search(rb"^Segment0_ID:=", header, re.MULTILINE) is not None


def write_seg_nrrd(path: Path, layers: Sequence[Labels], segments: Iterable[Segment], grid: Grid) -> None:
    """Write (K, J, I) labels, one array a layer; equal contents are equal files. A ``.nhdr`` gets a file beside it.

    Raises:
        OSError: there is no room, or no permission.
    """
    dtype = np.result_type(*layers)
    if dtype.str[1:] not in TYPES:
        dtype = np.dtype(np.int32)
    data = path.with_suffix(".raw.gz") if path.suffix.lower() == ".nhdr" else path
    detached = [f"data file: {data.name}"] if data != path else []
    several = len(layers) > 1
    origin, directions = grid.matrix[:3, 3], grid.matrix[:3, :3].T
    lines = [
        "NRRD0005",
        "# Complete NRRD file format specification at:",
        "# http://teem.sourceforge.net/nrrd/format.html",
        f"type: {TYPES[dtype.str[1:]]}",
        f"dimension: {3 + several}",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(n) for n in ([len(layers)] if several else []) + list(grid.size)),
        "space directions: " + " ".join((["none"] if several else []) + [_vector(one) for one in directions]),
        "kinds: " + " ".join((["list"] if several else []) + ["domain"] * 3),
        *(["endian: little"] if dtype.itemsize > 1 else []),
        "encoding: gzip",
        f"space origin: {_vector(origin)}",
        *detached,
        *(f"{key}:={_escaped(value)}" for key, value in _fields(segments, grid)),
    ]
    header = ("\n".join(lines) + "\n").encode() + (b"" if detached else b"\n")
    if detached:
        path.write_bytes(header)
    with data.open("wb") as file:
        file.write(b"" if detached else header)
        packer = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        for k in range(grid.size[2]):
            plane = np.stack([layer[k] for layer in layers], axis=-1)
            file.write(packer.compress(plane.astype(dtype.newbyteorder("<")).tobytes()))
        file.write(packer.flush())


def _load(path: Path) -> tuple[Any, dict[str, str]]:
    """The SimpleITK image and the key/value fields of the header."""
    require_file(path, "support")
    require_undamaged(path, "support")
    reader = sitk.ImageFileReader()
    reader.SetImageIO("NrrdImageIO")
    try:
        with quiet_stderr, plain_name(path) as name:
            reader.SetFileName(name)
            reader.ReadImageInformation()
            image = reader.Execute()
    except (RuntimeError, OSError) as error:
        if "domain axes" in str(error):
            raise _wrong("kinds", "has another number of spatial axes than the space") from error
        raise InputError("The support cannot be read; the file is damaged, cut short or no segmentation.") from error
    keys = [key for key in reader.GetMetaDataKeys() if key.startswith("Segment") and key.isascii()]
    fields = {key: reader.GetMetaData(key) for key in keys}
    for key, value in fields.items():
        if any("\udc80" <= letter <= "\udcff" for letter in value):
            raise _wrong(key, "is not UTF-8 text")
    return image, fields


def _whole_numbers(layer: NDArray[Any]) -> Labels:
    """A copy in whole numbers."""
    if layer.dtype.kind != "f":
        return np.array(layer, order="C")
    largest = np.iinfo(np.int32).max
    if not all(np.array_equal(plane, np.trunc(plane)) and np.abs(plane).max() <= largest for plane in layer):
        raise _wrong("type", "is for fractions, and its voxels do not hold whole numbers")
    return layer.astype(np.int32, order="C")


def _listed(fields: Fields, layers: int) -> list[Segment]:
    """The segments with an ID, counted from 0 without a gap; none of them in a plain label map."""
    number = next(n for n in count() if f"Segment{n}_ID" not in fields)
    later = [key for key in fields if (match := re.match(r"Segment(\d+)_ID$", key)) and int(match[1]) > number]
    if number and later:
        raise _wrong(f"Segment{number}_ID", f"is missing, and Slicer passes over the segments after it ({later[0]})")
    found: list[Segment] = []
    for n in range(number):
        segment_id = fields[f"Segment{n}_ID"]
        if not segment_id:
            raise _wrong(f"Segment{n}_ID", "is empty")
        if any(segment_id == one.fields["id"] for one in found):
            raise _wrong(f"Segment{n}_ID", "is that of another segment too")
        layer = _integer(fields, f"Segment{n}_Layer", n)
        if not 0 <= layer < layers:
            raise _wrong(f"Segment{n}_Layer", f"is missing or wrong: layer {layer} is none of its {layers}")
        value = _integer(fields, f"Segment{n}_LabelValue", 1)
        if value == 0:
            raise _wrong(f"Segment{n}_LabelValue", "is 0, which is what no segment is")
        own = {
            "id": segment_id,
            "name": fields.get(f"Segment{n}_Name", segment_id),
            "color": _colour(fields.get(f"Segment{n}_Color", fields.get(f"Segment{n}_DefaultColor"))),
            "nameAutoGenerated": fields.get(f"Segment{n}_NameAutoGenerated", "1") == "1",
            "colorAutoGenerated": fields.get(f"Segment{n}_ColorAutoGenerated", "1") == "1",
            "tags": _tags(fields.get(f"Segment{n}_Tags", "")),
        }
        found.append(Segment(value, layer, own))
    return found


def _plain_segments(layers: Sequence[Labels]) -> Iterator[Segment]:
    """Every label of a file without segments; one that occurs in a second layer gets a number behind its name."""
    names: set[str] = set()
    numbers = count(1)
    for number, layer in enumerate(layers):
        for value in values_in(layer):
            one = plain_segment(value)
            name = one.name
            while name in names:
                name = f"{one.name}_{next(numbers)}"
            names.add(name)
            yield Segment(value, number, {**one.fields, "id": name, "name": name})


def _plain(layer: Labels, grid: Grid, offset: tuple[int, int, int]) -> Labels:
    """Slicer counts the voxels of a file without segments from 0 and from the offset at once, and loses the rest."""
    left = _clipped(layer, [bound for o, n in zip(offset, grid.size, strict=True) for bound in (-o, n - 1 - o)])
    if np.count_nonzero(layer) != np.count_nonzero(left):
        raise _wrong("Segmentation_ReferenceImageExtentOffset", "leaves out some paint, as no segments are listed")
    return left


def _clipped(layer: Labels, extent: Sequence[int]) -> Labels:
    """What lies within i0, i1, j0, j1, k0, k1; 0 elsewhere."""
    i, j, k = (slice(max(first, 0), max(last + 1, 0)) for first, last in zip(extent[::2], extent[1::2], strict=True))
    inside = layer[k, j, i]
    if inside.shape == layer.shape:
        return layer
    clipped = np.zeros_like(layer)
    clipped[k, j, i] = inside
    return clipped


def _extent(fields: Fields, number: int, grid: Grid) -> list[int]:
    key = f"Segment{number}_Extent"
    if key not in fields:
        return [bound for n in grid.size for bound in (0, n - 1)]
    words = fields[key].split()[:6]
    if len(words) < 6 or not all(re.fullmatch(r"[+-]?\d{1,9}", word) for word in words):
        raise _wrong(key, "does not hold six whole numbers")
    return [int(word) for word in words]


def _union(extents: Iterable[Sequence[int]]) -> Sequence[int]:
    """The smallest box around all that are not empty; segments of one layer share it."""
    there = [e for e in extents if e[0] <= e[1] and e[2] <= e[3] and e[4] <= e[5]]
    if not there:
        return (0, -1, 0, -1, 0, -1)
    lows, highs = np.min(there, axis=0)[::2], np.max(there, axis=0)[1::2]
    return [int(bound) for pair in zip(lows, highs, strict=True) for bound in pair]


def _offset(fields: Fields) -> tuple[int, int, int]:
    key = "Segmentation_ReferenceImageExtentOffset"
    words = fields.get(key, "0 0 0").split()[:3]
    if len(words) < 3 or not all(re.fullmatch(r"[+-]?\d{1,9}", word) for word in words):
        raise _wrong(key, "does not hold three whole numbers")
    i, j, k = (int(word) for word in words)
    return i, j, k


def _integer(fields: Fields, key: str, default: int) -> int:
    if key not in fields:
        return default
    match = re.fullmatch(r"\s*([+-]?\d{1,9})(\.0*)?\s*", fields[key])
    if match is None:
        raise _wrong(key, "is not a whole number")
    return int(match[1])


def _colour(text: str | None) -> tuple[float, float, float]:
    """Up to three numbers; grey stands for those that are missing, 0 for the first one that is none."""
    found = list(GREY)
    rest = text or ""
    for place in range(3):
        rest = rest.lstrip()
        if not rest:
            break
        match = re.match(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", rest)
        found[place] = float(match[0]) if match else 0.0
        if match is None:
            break
        rest = rest[match.end() :]
    red, green, blue = found
    return red, green, blue


def _tags(text: str) -> dict[str, str]:
    """``key:value|key:value|``; a part without ``:`` is no tag."""
    return dict(part.split(":", 1) for part in text.split("|") if ":" in part)


def _fields(segments: Iterable[Segment], grid: Grid) -> Iterator[tuple[str, str]]:
    yield "Segmentation_ContainedRepresentationNames", "Binary labelmap|"
    yield "Segmentation_ConversionParameters", _reference_geometry(grid)
    yield "Segmentation_ReferenceImageExtentOffset", "0 0 0"
    yield "Segmentation_MasterRepresentation", "Binary labelmap"
    extent = " ".join(f"0 {n - 1}" for n in grid.size)
    for number, segment in enumerate(segments):
        own = {
            "ID": str(segment.fields.get("id", f"Segment_{segment.value}")),
            "Name": segment.name,
            "LabelValue": str(segment.value),
            "Layer": str(segment.layer),
            "Extent": extent,
            "Tags": "".join(f"{key}:{value}|" for key, value in segment.tags.items()),
        }
        if "color" in segment.fields:
            own["Color"] = " ".join(_short(part) for part in segment.fields["color"])
        for flag in ("nameAutoGenerated", "colorAutoGenerated"):
            if flag in segment.fields:
                own[flag[0].upper() + flag[1:]] = str(int(segment.fields[flag]))
        yield from ((f"Segment{number}_{key}", value) for key, value in own.items())


def _reference_geometry(grid: Grid) -> str:
    """What makes Slicer go on painting on the image's own grid: 4×4 to RAS mm and the extent."""
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.matrix
    numbers = [repr(float(number)) for number in to_ras.ravel()] + [f"0;{n - 1}" for n in grid.size]
    # Slicer passes over the last parameter of the list unless the separator stands behind it.
    return f"Reference image geometry|{';'.join(numbers)};|Grid of the volume&"


def _escaped(text: str) -> str:
    """As Slicer writes it; the format has no way to keep a carriage return."""
    return text.replace("\\", "\\\\").replace("\r", " ").replace("\n", "\\n")


def _vector(numbers: Iterable[float]) -> str:
    return "(" + ",".join(_short(number) for number in numbers) + ")"


def _short(number: float) -> str:
    return repr(float(number)).removesuffix(".0")


def _wrong(field: str, what: str) -> InputError:
    return InputError(f"The support's field '{field}' {what}; open it in Slicer, check the segments and save it again.")
