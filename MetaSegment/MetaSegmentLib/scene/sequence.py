"""The nodes of a sequence of volumes in the scene, the time point that is shown, and whether it can be segmented."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray

import slicer

from ..errors import InputError
from .i18n import tr as _
from .inputs import why_not
from .presence import stamp
from .runtime import nodes_of_class
from .time_point import shown_value


@dataclass(frozen=True, eq=False)
class SequenceNodes:
    """The nodes of a sequence of volumes, as they are when a run begins.

    Attributes:
        sequence: vtkMRMLSequenceNode of volumes.
        browser: vtkMRMLSequenceBrowserNode; None where none shows the sequence.
        volume: the volume node that shows one of them; None where none does.
        first: which time point is shown when the run begins.
    """

    sequence: Any
    browser: Any | None
    volume: Any | None
    first: int

    @property
    def current(self) -> int:
        """Which time point is shown."""
        return _current(self.sequence, self.browser)

    @property
    def values(self) -> list[str]:
        """The index value of each time point."""
        return [self.sequence.GetNthIndexValue(t) for t in range(self.sequence.GetNumberOfDataNodes())]

    @property
    def placed(self) -> Any:
        """A volume that lies where those of the sequence are shown: under the transform of the one that shows them."""
        shown = self.volume is not None and self.volume.GetImageData() is not None
        return self.volume if shown else self.sequence.GetNthDataNode(0)

    @property
    def playing(self) -> bool:
        """Whether the browser shows one time point after the other just now."""
        return self.browser is not None and bool(self.browser.GetPlaybackActive())

    def sequence_of(self, node: Any) -> Any | None:
        """The sequence of which the browser shows a time point in a node."""
        return None if self.browser is None else self.browser.GetSequenceNode(node)

    def home(self, segmentation: Any) -> int:
        """The time point that is in a segmentation: the one that is shown, or where it is in no sequence yet, the one
        that was shown when the run began."""
        return self.first if self.sequence_of(segmentation) is None else self.current

    def held(self, node: Any, t: int) -> Any | None:
        """The node that holds at a time point what ``node`` shows; None where its sequence has nothing there."""
        own = self.sequence_of(node)
        return None if own is None else own.GetDataNodeAtValue(self.sequence.GetNthIndexValue(t), True)

    def all_held(self, segmentation: Any) -> list[Any | None]:
        """The node that holds the segments of each time point; None where there is none yet."""
        home = self.home(segmentation)
        return [segmentation if t == home else self.held(segmentation, t) for t in range(len(self.values))]

    def stamp(self, segmentation: Any) -> Hashable:
        """Changes with every stroke at any time point, and when another one is shown."""
        return self.current, tuple(stamp(node) for node in self.all_held(segmentation))

    def state(self, segmentation: Any) -> Hashable:
        """Changes when a time point is added, removed or exchanged, and when the segmentation comes to another
        sequence."""
        times = tuple((value, self.sequence.GetNthDataNode(t).GetID()) for t, value in enumerate(self.values))
        own = self.sequence_of(segmentation)
        return times, None if own is None else own.GetID()


def browser_of(volume: Any) -> Any | None:
    """The sequence browser that shows a time point in a node; None where none does."""
    if volume is None or volume.GetScene() is None:
        return None
    browsers = nodes_of_class(volume.GetScene(), "vtkMRMLSequenceBrowserNode")
    return next((browser for browser in browsers if browser.IsProxyNodeID(volume.GetID())), None)


def nodes_of(node: Any) -> SequenceNodes:
    """The nodes of a sequence, found from its browser, from the sequence or from the volume that shows it.

    Raises:
        InputError: there is no sequence of scalar volumes, or it cannot be segmented.
    """
    scene = node.GetScene() if node is not None and hasattr(node, "GetScene") else None
    if scene is None:
        raise InputError(_("Choose a sequence of volumes; it must be in the scene."))
    browser, sequences = None, []
    if node.IsA("vtkMRMLSequenceBrowserNode"):
        browser, found = node, vtk.vtkCollection()
        node.GetSynchronizedSequenceNodes(found, True)
        sequences = [found.GetItemAsObject(i) for i in range(found.GetNumberOfItems())]
    elif node.IsA("vtkMRMLSequenceNode"):
        sequences = [node]
        browsers = nodes_of_class(scene, "vtkMRMLSequenceBrowserNode")
        browser = next((one for one in browsers if one.IsSynchronizedSequenceNodeID(node.GetID(), True)), None)
    elif (browser := browser_of(node)) is not None:
        sequences = [browser.GetSequenceNode(node)]
    sequences = [one for one in sequences if _first_volume(one) is not None]
    if not sequences:
        raise InputError(_("There is no sequence of volumes; load the images as a volume sequence and choose that."))
    sequence = min(sequences, key=lambda one: bool(why_not(_first_volume(one))))
    _check(sequence)
    volume = None if browser is None else browser.GetProxyNode(sequence)
    return SequenceNodes(sequence, browser, volume, _current(sequence, browser))


def check_one_grid(nodes: SequenceNodes) -> None:
    """Raise :class:`InputError` where not all time points lie on one grid."""
    placed = nodes.placed
    matrix, size = _matrix(placed), placed.GetImageData().GetDimensions()
    for t, value in enumerate(nodes.values):
        node = nodes.sequence.GetNthDataNode(t)
        image = node.GetImageData()
        if image is None or 0 in image.GetDimensions():
            text = _("Time point {value} has no voxels; remove it from the sequence.")
            raise InputError(text.format(value=value))
        if image.GetDimensions() != size or not np.allclose(_matrix(node), matrix):
            raise InputError(_("The time points lie on different voxel grids; resample them to the first one's."))


def _current(sequence: Any, browser: Any | None) -> int:
    """By the index value: the browser counts the items of its master sequence, which may be another one."""
    value = "" if browser is None else shown_value(browser)
    item = int(sequence.GetItemNumberFromIndexValue(value, True)) if value else 0
    if item < 0:
        raise InputError(_("The sequence of volumes has nothing at the time point that is shown; go to another one."))
    return item


def _first_volume(sequence: Any) -> Any | None:
    """The first data node of a sequence of volumes of any kind."""
    first = sequence.GetNthDataNode(0) if sequence is not None and sequence.GetNumberOfDataNodes() else None
    return first if first is not None and first.IsA("vtkMRMLScalarVolumeNode") else None


def _check(sequence: Any) -> None:
    volume = _first_volume(sequence)
    assert volume is not None
    image = volume.GetImageData()
    if image is not None and image.GetNumberOfScalarComponents() in (3, 4):
        raise InputError(_("The sequence holds colours; make a sequence of grey volumes of it and choose that."))
    if reason := why_not(volume):
        raise InputError(reason)
    if sequence.GetNumberOfDataNodes() == 1:
        raise InputError(_("The sequence has a single time point; segment the volume that shows it instead."))


def _matrix(volume: Any) -> NDArray[np.float64]:
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return np.asarray(slicer.util.arrayFromVTKMatrix(matrix))
