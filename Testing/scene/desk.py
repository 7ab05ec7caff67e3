"""A painted ball, a bar that crosses it, and the way through reader and writer without the engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from MetaSegmentLib.scene.reader import Painting, read_painting
from MetaSegmentLib.scene.rules import EditRules, find_editor
from MetaSegmentLib.scene.writer import Editor, write_result
from scene.nodes import (
    SHAPE,
    a_ball,
    add_segmentation,
    add_volume,
    affine,
    an_image,
    look,
    nearest_slice_result,
    only,
    paint,
)

SUPPORT = [5, 8, 11]
BALL = a_ball()
PAINTED = only(BALL, 0, SUPPORT)
# Crosses the ball on painted slices and on others.
BAR = np.zeros(SHAPE, bool)
BAR[3:13, 7:11, 2:19] = True
QUERY = np.ones(SHAPE, bool)
QUERY[SUPPORT] = False


class Desk:
    """A volume, a segmentation with a painted ball, and the way through reader and writer."""

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self.volume = add_volume(scene, an_image(BALL), affine(np.diag([0.8, 0.8, 2.5]), (3, 4, 5)))
        self.segmentation = add_segmentation(scene)
        self.segments = self.segmentation.GetSegmentation()
        self.ball = self.paint("ball", PAINTED)
        self.editor = Editor()

    def paint(self, name: str, mask: Any) -> str:
        return paint(self.segmentation, self.volume, name, mask)

    def share_layers(self) -> None:
        self.segments.CollapseBinaryLabelmaps(False)
        assert self.segments.GetNumberOfLayers() == 1

    def user_editor(self) -> Any:
        node = self.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        node.SetAndObserveSegmentationNode(self.segmentation)
        node.SetAndObserveSourceVolumeNode(self.volume)
        return node

    def look(self, segment_id: str) -> Any:
        return look(self.segmentation, self.volume, segment_id)

    def run(self, segment_ids: list[str], output: Any = None) -> tuple[Painting, Any]:
        """Returns the painting and where the result says that the first segment is."""
        painting = read_painting(self.volume, self.segmentation, segment_ids)
        support = painting.slices
        if support is None:
            support = np.flatnonzero(painting.labels.any(axis=(1, 2))).tolist()
        result = nearest_slice_result(painting, 0, support)
        target = output or self.segmentation
        rules = EditRules(find_editor(target, self.segmentation), self.volume)
        write_result(painting, result, self.volume, self.segmentation, target, rules, self.editor)
        return painting, result.labels == 1
