"""The panel on an empty scene, a painted ball to put into it, and hands to press its buttons."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import slicer
from host.loop import wait
from host.widgets import let_go_of_the_scene
from MetaSegmentLib import Result
from scene.nodes import a_ball, add_segmentation, add_volume, affine, an_image, look, only, paint

BALL = a_ball()
PAINTED = [4, 8, 12]


class Desk:
    """Shows the panel; ``volume``, ``segmentation`` and ``ball`` are there after :meth:`put_ball`."""

    def __init__(self, module: Any) -> None:
        slicer.mrmlScene.Clear(True)
        self.scene = slicer.mrmlScene
        self.errors: list[str] = []
        self.widget = module.MetaSegmentWidget()
        self.widget.setup()
        self.panel, self.ui, self.logic = self.widget.panel, self.widget.ui, self.widget.logic
        self.panel._show_error = self.errors.append
        self.results: list[Result] = []
        shown = self.panel._on_shown

        def note(result: Result, last: bool) -> None:
            self.results.append(result)
            shown(result, last)

        self.panel._on_shown = note
        self.widget.enter()
        self.parameters.showPreview = False

    @property
    def parameters(self) -> Any:
        return self.widget._parameterNode

    def close(self) -> None:
        self.widget.cleanup()
        self.settle()
        let_go_of_the_scene()
        self.scene.Clear(True)
        self.widget.parent.deleteLater()
        slicer.app.processEvents()
        # What is left of the panel goes here and now: found by the collector in a thread of a later test, its timers
        # would end outside the thread that they belong to.
        self.__dict__.clear()
        gc.collect()

    def add_views(self) -> list[Any]:
        """An axial, a sagittal and a coronal slice view."""
        views = []
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene)
        for name in ("Axial", "Sagittal", "Coronal"):
            view = self.scene.AddNewNodeByClass("vtkMRMLSliceNode", name)
            view.SetOrientation(name)
            views.append(view)
            self.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode", name)
        return views

    def put_ball(self, slices: list[int] | None = None) -> None:
        """A volume and a segmentation with a ball painted on some slices, chosen in the panel."""
        self.volume = add_volume(self.scene, an_image(BALL), affine([[0.8, 0, 0], [0, 0.8, 0], [0, 0, 2.0]], (3, 4, 5)))
        self.segmentation = add_segmentation(self.scene)
        self.ball = paint(self.segmentation, self.volume, "ball", only(BALL, 0, slices or PAINTED))
        self.parameters.method = "shape"
        self.parameters.showPreview = False
        self.parameters.inputVolume = self.volume
        self.parameters.segmentation = self.segmentation
        self.settle()

    def look(self) -> Any:
        return look(self.segmentation, self.volume, self.ball)

    def rows(self) -> list[tuple[str, ...]]:
        table = self.ui.sliceTable
        return [tuple(table.item(r, c).text() for c in range(4)) for r in range(table.rowCount)]

    def settle(self, until: Callable[[], bool] | None = None) -> None:
        """Let events and background runs come to their end."""
        assert wait(until or (lambda: not (self.logic.session.running or self.panel.busy))), "the run does not end"
        slicer.app.processEvents()

    def segment(self) -> Result:
        """Press Segment and wait."""
        before = len(self.results)
        self.ui.applyButton.click()
        self.settle()
        assert len(self.results) > before and self.panel.view.result is not None
        return self.results[-1]
