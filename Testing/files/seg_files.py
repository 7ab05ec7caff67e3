"""``.seg.nrrd`` files made by hand, field by field, and what Slicer's own reader makes of them."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {"u1": "unsigned char", "i2": "short", "u2": "unsigned short", "i4": "int", "f4": "float", "f8": "double"}
Points = frozenset[tuple[int, ...]]
"""World positions (RAS) of voxels in thousandths of a mm."""


@dataclass(frozen=True)
class SegFile:
    """What stands in a file.

    Attributes:
        array: (K, J, I) or, in layers, (L, K, J, I).
        fields: key → value of ``key:=value``, escaped as the format wants it.
        last: layers are the last axis of the file instead of the first one.
    """

    array: np.ndarray
    fields: Mapping[str, str] = field(default_factory=dict)
    space: str = "left-posterior-superior"
    encoding: str = "gzip"
    kind: str = "list"
    last: bool = False
    detached: bool = False
    line_end: str = "\n"

    def write(self, path: Path) -> Path:
        layers = self.array.ndim == 4
        voxels = self.array.transpose(*((0,) if layers else ()), -1, -2, -3)
        vectors, kinds = ["(0.9,0.1,0)", "(-0.1,0.8,0)", "(0,0,2.5)"], ["domain"] * 3
        if layers:
            place = 3 if self.last else 0
            voxels = np.moveaxis(voxels, 0, place)
            vectors.insert(place, "none")
            kinds.insert(place, self.kind)
        data = voxels.tobytes("F")
        packed = gzip.compress(data, mtime=0) if self.encoding in ("gzip", "gz") else data
        beside = path.with_name(path.name + ".data")
        lines = [
            "NRRD0004",
            f"type: {TYPES[self.array.dtype.str[1:]]}",
            f"dimension: {voxels.ndim}",
            f"space: {self.space}",
            "sizes: " + " ".join(map(str, voxels.shape)),
            "space directions: " + " ".join(vectors),
            "kinds: " + " ".join(kinds),
            "endian: little",
            f"encoding: {self.encoding}",
            "space origin: (-31,12.5,55)",
            *([f"data file: {beside.name}"] if self.detached else []),
            *(f"{key}:={value}" for key, value in self.fields.items()),
        ]
        header = (self.line_end.join(lines) + self.line_end).encode("utf-8", "surrogateescape")
        if self.detached:
            path.write_bytes(header)
            beside.write_bytes(packed)
        else:
            path.write_bytes(header + self.line_end.encode() + packed)
        return path


@dataclass(frozen=True)
class Seen:
    """A segment as a reader sees it."""

    id: str
    name: str
    color: tuple[float, ...]
    tags: Mapping[str, str]
    points: Points


def points_of(mask: np.ndarray, matrix: np.ndarray, first: Sequence[int] = (0, 0, 0)) -> Points:
    """Of a (K, J, I) mask whose first voxel has the index ``first`` (i, j, k) and a 4×4 matrix to RAS."""
    index = np.argwhere(mask)[:, ::-1] + np.asarray(first)
    world = (matrix @ np.c_[index, np.ones(len(index))].T)[:3].T
    return frozenset(tuple(row) for row in (np.rint(world * 1000) + 0).astype(int).tolist())


def seen_by_slicer(slicer: Any, scene: Any, path: Path, keys: Sequence[str] = ()) -> list[Seen]:
    """What Slicer reads from a file; of the tags those with these keys, as it does not list them."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    segmentation = node.GetSegmentation()
    found = []
    for number in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(number)
        image = segment.GetRepresentation("Binary labelmap")
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        rows = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
        i0, i1, j0, j1, k0, k1 = image.GetExtent()
        shape = (k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
        mask = np.zeros((0, 0, 0), bool)
        if all(n > 0 for n in shape):
            mask = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(shape) == segment.GetLabelValue()
        value = vtk.mutable("")
        tags = {key: str(value) for key in keys if segment.GetTag(key, value)}
        segment_id = segmentation.GetNthSegmentID(number)
        found.append(Seen(segment_id, segment.GetName(), segment.GetColor(), tags, points_of(mask, rows, (i0, j0, k0))))
    scene.RemoveNode(storage)
    scene.RemoveNode(node)
    return found
