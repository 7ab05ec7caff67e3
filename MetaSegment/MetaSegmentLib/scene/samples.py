"""Two scans that Slicer offers for download, and paint on a few of their slices to try the program on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import slicer

from ..errors import InputError
from .geometry import LABELMAP, grid_of, voxels
from .i18n import tr as _

Plane = NDArray[np.bool_]

_DATA = "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/"
_SLICES = 5
_LUNG_HU = -400
_LEAST_SHARE = 0.4
"""Slices with less than this share of the largest slice are not painted: they are the hard ends."""


@dataclass(frozen=True)
class Sample:
    """A scan and what is painted on it.

    Attributes:
        name: what the Sample Data module calls it.
        node_name: the name of its volume node.
        file_name: in Slicer's download cache.
        sha256: of the file.
        structure: the name of the painted segment.
        colour: red, green, blue in [0, 1].
        find: from one slice of voxels (rows, columns) to the structure on it.
    """

    name: str
    node_name: str
    file_name: str
    sha256: str
    structure: str
    colour: tuple[float, float, float]
    find: Callable[[NDArray[Any]], Plane]

    @property
    def uri(self) -> str:
        return _DATA + self.sha256

    @property
    def checksum(self) -> str:
        return f"SHA256:{self.sha256}"


def lungs(plane: NDArray[Any]) -> Plane:
    """Air inside the body, in Hounsfield units."""
    from scipy.ndimage import binary_fill_holes, label

    parts, count = label(plane < _LUNG_HU)
    border = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[border] = 0
    sizes[0] = 0
    inside = np.isin(parts, np.flatnonzero(sizes > 0.005 * plane.size))
    return np.asarray(binary_fill_holes(inside))


def head(plane: NDArray[Any]) -> Plane:
    """Everything inside the skin."""
    from scipy.ndimage import binary_fill_holes, binary_opening, label

    bright = binary_opening(plane > 0.15 * np.percentile(plane, 99), iterations=2)
    parts, count = label(binary_fill_holes(bright))
    if not count:
        return np.zeros(plane.shape, bool)
    return np.asarray(parts == 1 + np.bincount(parts.ravel())[1:].argmax())


SAMPLES = (
    Sample(
        "MetaSegmentLungs",
        "CTChest",
        "CT-chest.nrrd",
        "4507b664690840abb6cb9af2d919377ffc4ef75b167cb6fd0f747befdb12e38e",
        "Lungs",
        (0.77, 0.65, 0.50),
        lungs,
    ),
    Sample(
        "MetaSegmentHead",
        "MRHead",
        "MR-head.nrrd",
        "cc211f0dfd9a05ca3841ce1141b292898b2dd2d3f08286affadf823a7e58df93",
        "Head",
        (0.69, 0.48, 0.40),
        head,
    ),
)


def paint_sample(sample: Sample, volume: Any) -> Any:
    """Add a segmentation with the sample's structure painted on five slices of a volume node.

    Returns:
        The new vtkMRMLSegmentationNode.

    Raises:
        InputError: the structure is not in the volume.
    """
    scene = volume.GetScene()
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{sample.structure} (MetaSegment)")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    image = voxels(volume.GetImageData())
    try:
        painted = _painted(image, sample.find)
    except InputError:
        scene.RemoveNode(segmentation)
        raise
    segment = slicer.vtkSegment()
    segment.SetName(sample.structure)
    segment.SetColor(*sample.colour)
    segment.AddRepresentation(LABELMAP, grid_of(volume, segmentation).image(painted))
    segmentation.GetSegmentation().AddSegment(segment)
    return segmentation


def _painted(image: NDArray[Any], find: Callable[[NDArray[Any]], Plane]) -> NDArray[np.uint8]:
    probes = range(0, len(image), max(1, len(image) // 24))
    areas = np.array([find(image[i]).sum() for i in probes])
    good = np.asarray(probes)[areas > _LEAST_SHARE * max(areas.max(), 1)]
    if not len(good):
        raise InputError(_("The structure of the sample was not found in the volume; choose another volume."))
    painted = np.zeros(image.shape, np.uint8)
    for index in np.unique(np.linspace(good[0], good[-1], _SLICES).round().astype(int)):
        painted[index] = find(image[index])
    return painted
