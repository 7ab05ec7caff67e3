"""Time points of a volume in a sequence, and segmentations of them in another sequence beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray

import slicer

from ..errors import InputError
from ..pieces import drain
from ..task.parts import Part, on_slices
from .geometry import Grid, grid_of
from .i18n import tr as _
from .paint_grid import PaintGrid
from .reader import chosen_segments, has_labelmap_source, read_part
from .record import painted_now_steps, record_of
from .runtime import nodes_of_class


@dataclass(frozen=True, eq=False)
class SequenceNodes:
    """The nodes of a sequence of volumes.

    Attributes:
        browser: vtkMRMLSequenceBrowserNode.
        sequence: vtkMRMLSequenceNode of volumes.
        volume: the volume node that shows one of them.
    """

    browser: Any
    sequence: Any
    volume: Any

    @property
    def current(self) -> int:
        """Which time point is shown."""
        return max(0, int(self.browser.GetSelectedItemNumber()))

    @property
    def values(self) -> list[str]:
        """The index value of each time point."""
        return [self.sequence.GetNthIndexValue(t) for t in range(self.sequence.GetNumberOfDataNodes())]


@dataclass(frozen=True, eq=False)
class Frames:
    """A sequence and the paint on its time points.

    Attributes:
        images: (T, K, J, I).
        spacing: mm in array order, in the world.
        voxel_ml: millilitres of a voxel there.
        painted: time point → (K, J, I) labels 1, 2, …, the order of ``segment_ids``.
        slices: time point → label → the slices that are complete; of a label that is missing all with paint.
    """

    images: NDArray[Any]
    spacing: tuple[float, float, float]
    voxel_ml: float
    grid: Grid
    segment_ids: tuple[str, ...]
    names: dict[int, str]
    painted: dict[int, NDArray[Any]]
    slices: dict[int, dict[int, list[int]]]
    axis: int | None


def browser_of(volume: Any) -> Any | None:
    """The sequence browser that shows a time point in a volume node; None where none does."""
    if volume is None or volume.GetScene() is None:
        return None
    browsers = nodes_of_class(volume.GetScene(), "vtkMRMLSequenceBrowserNode")
    return next((browser for browser in browsers if browser.IsProxyNodeID(volume.GetID())), None)


def nodes_of(node: Any) -> SequenceNodes:
    """The nodes of a sequence, found from its browser, from the sequence or from the volume that shows it.

    A sequence without a browser gets one.

    Raises:
        InputError: there is no sequence of scalar volumes.
    """
    scene = node.GetScene() if node is not None and hasattr(node, "GetScene") else None
    if scene is None:
        raise InputError(_("Choose a sequence of volumes; it must be in the scene."))
    sequence, browser = None, None
    if node.IsA("vtkMRMLSequenceBrowserNode"):
        browser = node
        found = vtk.vtkCollection()
        node.GetSynchronizedSequenceNodes(found, True)
        every = [found.GetItemAsObject(i) for i in range(found.GetNumberOfItems())]
        sequence = next((one for one in every if one is not None and _holds_volumes(one)), None)
    elif node.IsA("vtkMRMLSequenceNode"):
        sequence = node if _holds_volumes(node) else None
        browsers = nodes_of_class(scene, "vtkMRMLSequenceBrowserNode")
        browser = next((one for one in browsers if one.IsSynchronizedSequenceNodeID(node.GetID(), True)), None)
    elif (browser := browser_of(node)) is not None:
        sequence = browser.GetSequenceNode(node)
    if sequence is None or not _holds_volumes(sequence):
        raise InputError(_("There is no sequence of volumes; load the images as a volume sequence and choose that."))
    if browser is None:
        browser = scene.AddNode(slicer.vtkMRMLSequenceBrowserNode())
        browser.SetName(sequence.GetName())
        browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
        browser.SetSelectedItemNumber(0)
    volume = browser.GetProxyNode(sequence)
    if volume is None:
        volume = browser.AddProxyNode(sequence.GetNthDataNode(max(0, browser.GetSelectedItemNumber())), sequence, True)
    return SequenceNodes(browser, sequence, volume)


def read_frames(nodes: SequenceNodes, segmentation: Any, segment_ids: Sequence[str] | None) -> Frames:
    """The images of all time points and the paint on them.

    The paint is that of the segmentation at the time point that is shown, and of its own sequence at the others.

    Raises:
        InputError: the time points lie on different grids, or the paint on another one.
    """
    grid = grid_of(nodes.volume, segmentation)
    images = np.stack([_image(nodes.sequence.GetNthDataNode(t), nodes.volume) for t in range(len(nodes.values))])
    chosen = chosen_segments(segmentation, segment_ids)
    if not chosen:
        raise InputError(_("There is no segment; add one and paint it on a few slices of one time point."))
    own = nodes.browser.GetSequenceNode(segmentation)
    painted, slices, axes = {}, {}, set()
    for t, value in enumerate(nodes.values):
        node = segmentation if t == nodes.current else None if own is None else own.GetDataNodeAtValue(value, True)
        labels, named, axis = _painted(node, chosen, grid)
        if labels.any():
            painted[t], slices[t] = labels, named
            axes |= axis
    if len(axes) > 1:
        raise InputError(_("The time points were painted along different axes; paint along one."))
    if not painted:
        raise InputError(_("Nothing is painted at any time point; paint the structure on a few slices of one."))
    names = {n: segmentation.GetSegmentation().GetSegment(i).GetName() for n, i in enumerate(chosen, start=1)}
    in_world = PaintGrid(grid, grid)
    sizes = in_world.spacing(segmentation), in_world.voxel_ml(segmentation)
    return Frames(images, *sizes, grid, tuple(chosen), names, painted, slices, next(iter(axes), None))


def _holds_volumes(sequence: Any) -> bool:
    first = sequence.GetNthDataNode(0) if sequence.GetNumberOfDataNodes() else None
    return bool(first is not None and first.IsA("vtkMRMLScalarVolumeNode"))


def _image(node: Any, like: Any) -> NDArray[Any]:
    matrices = [vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()]
    for one, matrix in zip((node, like), matrices, strict=True):
        one.GetIJKToRASMatrix(matrix)
    first, second = (slicer.util.arrayFromVTKMatrix(matrix) for matrix in matrices)
    image = node.GetImageData()
    if image is None or image.GetDimensions() != like.GetImageData().GetDimensions() or not np.allclose(first, second):
        raise InputError(_("The time points lie on different voxel grids; resample them to the first one's."))
    return np.asarray(slicer.util.arrayFromVolume(node))


def _painted(node: Any, chosen: Sequence[str], grid: Grid) -> tuple[NDArray[Any], dict[int, list[int]], set[int]]:
    """What of a time point was painted by hand: labels, complete slices and the axis where an earlier run knew them."""
    labels = np.zeros(grid.shape, np.uint8 if len(chosen) < 256 else np.uint16)
    slices: dict[int, list[int]] = {}
    axes: set[int] = set()
    segments = None if node is None else node.GetSegmentation()
    if segments is None or not has_labelmap_source(segments):
        return labels, slices, axes
    for n, segment_id in enumerate(chosen, start=1):
        segment = segments.GetSegment(segment_id)
        part = Part.nothing(grid.shape) if segment is None else read_part(segment, grid)
        if part.empty:
            continue
        record = record_of(segment)
        own = None if record is None else drain(painted_now_steps(record, part))
        if record is not None and own is not None:
            axes.add(record.axis)
            if not own:
                continue
            slices[n] = own
        mask = part.whole()
        if n in slices and record is not None:
            kept = np.zeros_like(mask)
            where = on_slices(grid.extent, record.axis, slices[n])
            kept[where] = mask[where]
            mask = kept
        if (labels[mask] > 0).any():
            raise InputError(_("Painted segments overlap; fill one at a time over the sequence."))
        labels[mask] = n
    return labels, slices, axes
