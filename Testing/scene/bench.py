"""A painted ball, a bar that crosses it, and all that is done with them in the tests of the scene."""

from __future__ import annotations

from typing import Any

import numpy as np

from MetaSegmentLib.scene import Run, Session
from MetaSegmentLib.scene.geometry import voxels
from MetaSegmentLib.scene.reader import LABELMAP, Painting, read_painting
from MetaSegmentLib.scene.record import TAG
from MetaSegmentLib.scene.rules import EditRules, find_editor
from MetaSegmentLib.scene.slices import SliceEdits, painted_slices
from MetaSegmentLib.scene.writer import write_result
from scene.lasting import lasting_executor
from scene.nodes import (
    SHAPE,
    a_ball,
    a_rotation,
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
OBLIQUE = affine(a_rotation((10, -15, 20)) @ np.diag([0.8, 0.8, 2.0]), (5, -6, 7))
TURN = affine(a_rotation((0, 0, -15)), (1, 2, 3))


class Bench:
    """A volume, by default oblique and under a transform of its own, and a segmentation with a ball that is painted
    on three slices."""

    def __init__(
        self, scene: Any, axis: int = 0, place: Any = OBLIQUE, transforms: tuple[Any, Any] = (TURN, None)
    ) -> None:
        self.scene, self.axis = scene, axis
        self.volume = add_volume(scene, an_image(BALL), place, transforms[0])
        self.segmentation = add_segmentation(scene, transforms[1])
        self.segments = self.segmentation.GetSegmentation()
        self.painted = only(BALL, axis, SUPPORT)
        self.ball = paint(self.segmentation, self.volume, "ball", self.painted, cropped=True)
        self.session = Session(executor=lasting_executor())
        self.editor = self.session.editor
        self.edits = SliceEdits(self.editor)

    def paint(self, name: str, mask: Any) -> str:
        return paint(self.segmentation, self.volume, name, mask)

    def share_layers(self) -> None:
        self.segments.CollapseBinaryLabelmaps(False)
        assert self.segments.GetNumberOfLayers() == 1

    def user_editor(self) -> Any:
        """A segment editor that the user has opened, with Slicer's own settings."""
        node = self.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        node.SetAndObserveSegmentationNode(self.segmentation)
        node.SetAndObserveSourceVolumeNode(self.volume)
        return node

    def look(self, segment_id: str = "ball") -> Any:
        return look(self.segmentation, self.volume, segment_id)

    def is_untouched(self) -> bool:
        """Where the segment is cannot be told once the volume is gone, but how large it is."""
        segment = self.segments.GetSegment(self.ball)
        return bool(voxels(segment.GetRepresentation(LABELMAP)).sum() == self.painted.sum()) and not segment.HasTag(TAG)

    def rows(self) -> list[tuple[int, int, bool]]:
        return [(s.axis, s.index, s.empty) for s in painted_slices(self.volume, self.segmentation).slices]

    def edit(self, change: str, index: int, axis: int | None = None) -> None:
        axis = self.axis if axis is None else axis
        getattr(self.edits, change)(self.volume, self.segmentation, self.ball, axis, index)

    def fill(self, segment_ids: list[str] | None = None, output: Any = None) -> tuple[Painting, Any]:
        """Through reader and writer without the engine: every slice repeats the nearest painted one.

        Returns:
            The painting, and where the result says that the first segment is.
        """
        painting = read_painting(self.volume, self.segmentation, segment_ids)
        return painting, self.write(painting, output)

    def write(self, painting: Painting, output: Any = None) -> Any:
        support = painting.slices[1] if isinstance(painting.slices, dict) else painting.slices
        if support is None:
            across = tuple(a for a in range(3) if a != self.axis)
            support = np.flatnonzero(painting.layers[0].any(axis=across)).tolist()
        result = nearest_slice_result(painting, self.axis, support)
        target = output or self.segmentation
        rules = EditRules(find_editor(target, self.segmentation), self.volume)
        write_result(painting, result, self.volume, self.segmentation, target, rules, self.editor)
        return result.labels == 1

    def run(self, method: str = "shape", **options: Any) -> Any:
        """With the engine."""
        return self.session.process(self.volume, self.segmentation, method=method, **options)

    def start(self, **options: Any) -> Run:
        run = self.run(wait=False, **options)
        assert isinstance(run, Run)
        return run
