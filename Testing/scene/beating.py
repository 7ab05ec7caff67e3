"""A sequence of a ball that beats, on real sequence and browser nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

import slicer
from MetaSegmentLib.scene import Session
from MetaSegmentLib.scene.geometry import grid_of
from MetaSegmentLib.scene.reader import read_mask
from scene.nodes import SHAPE, a_ball, add_segmentation, add_volume, affine, an_image, only, oriented_image

TIMES = 3
PAINTED = [5, 8, 11]
MATRIX = affine(np.diag([1.0, 1.0, 2.0]), (-10, -9, -8))


class Beating:
    """A sequence of a ball that moves, shown by a browser, and a segmentation with paint on the first time point."""

    def __init__(self, scene: Any, logic: Any) -> None:
        self.scene, self.logic = scene, logic
        self.truth = [a_ball((8, 9 + t, 10), 6 - 0.3 * t) for t in range(TIMES)]
        self.sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "images")
        volume = add_volume(scene, an_image(self.truth[0]), MATRIX)
        for t, mask in enumerate(self.truth):
            slicer.util.updateVolumeFromArray(volume, an_image(mask))
            self.sequence.SetDataNodeAtValue(volume, str(t))
        slicer.util.updateVolumeFromArray(volume, an_image(self.truth[0]))
        self.browser = scene.AddNode(slicer.vtkMRMLSequenceBrowserNode())
        self.browser.SetAndObserveMasterSequenceNodeID(self.sequence.GetID())
        self.browser.AddProxyNode(volume, self.sequence, False)
        self.browser.SetSelectedItemNumber(0)
        self.volume = volume
        self.segmentation = add_segmentation(scene)
        self.paint(self.truth[0])
        self.session = Session()

    def paint(self, mask: Any, segment_id: str = "ball", slices: Any = tuple(PAINTED)) -> None:
        segments = self.segmentation.GetSegmentation()
        if segments.GetSegment(segment_id) is None:
            segments.AddEmptySegment(segment_id, segment_id, (1, 0, 0))
        image = oriented_image(only(mask, 0, list(slices)), MATRIX)
        segments.GetSegment(segment_id).AddRepresentation("Binary labelmap", image)
        segments.GetSegment(segment_id).SetLabelValue(1)

    def keep(self, *masks: Any) -> None:
        """A sequence of segmentations with these balls, which the browser shows in the segmentation."""
        own = self.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "segmentations")
        for t, mask in enumerate(masks):
            self.paint(mask, slices=range(SHAPE[0]))
            own.SetDataNodeAtValue(self.segmentation, str(t))
        grouped = self.browser.StartModify()
        self.browser.AddSynchronizedSequenceNodeID(own.GetID())
        self.browser.AddProxyNode(self.segmentation, own, False)
        self.browser.SetSaveChanges(own, True)
        self.browser.EndModify(grouped)
        self.go(self.browser.GetSelectedItemNumber())

    def go(self, t: int) -> None:
        """Show a time point."""
        self.browser.SetSelectedItemNumber(t)
        if self.logic is not None:
            self.logic.UpdateProxyNodesFromSequences(self.browser)
            return
        for shown in (self.volume, self.segmentation):  # as the logic does
            sequence = self.browser.GetSequenceNode(shown)
            if sequence is not None:
                shown.CopyContent(sequence.GetDataNodeAtValue(str(t), True), shown is self.volume)

    def edit(self, mask: Any, segment_id: str = "ball") -> None:
        """As a stroke leaves a segment that is shown."""
        self.paint(mask, segment_id, range(SHAPE[0]))
        self.segmentation.Modified()

    def shown(self, segment_id: str = "ball") -> Any:
        segment = self.segmentation.GetSegmentation().GetSegment(segment_id)
        return read_mask(segment, grid_of(self.volume, self.segmentation))

    def at(self, t: int, segment_id: str = "ball") -> Any:
        """The segment at a time point, in the sequence."""
        node = self.browser.GetSequenceNode(self.segmentation).GetDataNodeAtValue(str(t), True)
        return read_mask(node.GetSegmentation().GetSegment(segment_id), grid_of(self.volume, self.segmentation))

    def begin(self, **more: Any) -> Any:
        """All frames in the background, which has begun."""
        run = self.process(wait=False, **more)
        self.session.poll()
        return run

    def nodes(self) -> list[str]:
        return [self.scene.GetNthNode(n).GetID() for n in range(self.scene.GetNumberOfNodes())]

    def process(self, node: Any = None, **more: Any) -> Any:
        return self.session.process_sequence(node or self.browser, self.segmentation, method="shape", **more)
