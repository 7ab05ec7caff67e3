"""A series of somebody, and what stands in DICOM results, read without the reader that is tested."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from files.dicom_objects import a_matrix, write_frames, write_slices
from files.seg_files import Points
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import read_image
from MetaSegmentLib.files.outputs import Output
from MetaSegmentLib.files.segments import Segment, plain_segment

SHAPE = (9, 13, 17)
"""The pixels of a slice do not fill whole bytes."""
PERSON = {
    "PatientName": "Prívate^Somebody",
    "PatientID": "ID-4711",
    "PatientBirthDate": "19500117",
    "PatientSex": "F",
    "PatientAge": "070Y",
    "StudyID": "ST-815",
    "StudyDate": "20200102",
    "StudyTime": "101112",
    "AccessionNumber": "ACC-99",
    "ReferringPhysicianName": "Doctor^House",
}


def personal(k: int, data: Dataset) -> None:
    data.SpecificCharacterSet = "ISO_IR 100"
    for name, value in PERSON.items():
        setattr(data, name, value)


def a_series(folder: Path, matrix: np.ndarray | None = None, frames: bool = False, shape: Any = SHAPE) -> Path:
    """A folder of slices or a file of frames that are stored out of order."""
    image = np.random.default_rng(3).integers(0, 900, shape).astype(np.int16)
    matrix = a_matrix() if matrix is None else matrix
    if not frames:
        write_slices(folder, image, matrix, change=personal)
        return folder
    order = np.random.default_rng(1).permutation(len(image))
    return write_frames(folder.with_suffix(".dcm"), image, matrix, order, lambda data, *_: personal(0, data))


def some_labels(shape: Any = SHAPE, layers: int = 1) -> tuple[list[np.ndarray], list[Segment]]:
    """A ball with a hole and a bar, two a layer, on some of the slices."""
    k, j, i = np.indices(shape)
    made, segments = [], []
    for n in range(layers):
        labels = np.zeros(shape, np.uint8)
        far = np.sqrt(((j - 6) / 1.0) ** 2 + ((i - 7 - n) / 1.3) ** 2)
        labels[(far < 5) & (far > 1.5) & (k > 1) & (k < 8)] = 2 * n + 1
        labels[(j == 2 + n) & (i > 9) & (k != 4)] = 2 * n + 2
        made.append(labels)
        segments += [replace(plain_segment(2 * n + v), layer=n) for v in (1, 2)]
    return made, segments


def written(path: Path, series: Path, layers: list[np.ndarray], segments: list[Segment]) -> Grid:
    """Write a result for a series; the grid of the series."""
    _, grid = read_image(series)
    Output.named(path, series).write(path, layers, segments, grid)
    return grid


def world(mask: np.ndarray, grid: Grid) -> Points:
    """LPS positions of voxels, in thousandths of a mm."""
    return rounded((grid.matrix @ np.c_[np.argwhere(mask)[:, ::-1], np.ones(np.count_nonzero(mask))].T)[:3].T)


def rounded(points: np.ndarray) -> Points:
    return frozenset(tuple(row) for row in (np.rint(points * 100) + 0).astype(int).tolist())


def frames_in_world(path: Path, number: int) -> Points:
    """LPS positions of a segment's pixels, from each frame's own place."""
    data = pydicom.dcmread(path)
    shared = data.SharedFunctionalGroupsSequence[0]
    row, column = np.reshape([float(x) for x in shared.PlaneOrientationSequence[0].ImageOrientationPatient], (2, 3))
    down, along = (float(x) for x in shared.PixelMeasuresSequence[0].PixelSpacing)
    found = []
    for frame, pixels in zip(
        data.PerFrameFunctionalGroupsSequence, data.pixel_array.reshape(-1, *SHAPE[1:]), strict=True
    ):
        groups = frame if "SegmentIdentificationSequence" in frame else shared
        if groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number:
            origin = np.array([float(x) for x in frame.PlanePositionSequence[0].ImagePositionPatient])
            j, i = np.nonzero(pixels)
            found.append(origin + np.outer(i * along, row) + np.outer(j * down, column))
    return rounded(np.concatenate(found)) if found else frozenset()
