"""A tour of the whole panel in a real Slicer with its main window, as a user takes it, with a picture of each step:

    Slicer --additional-module-paths MetaSegment --python-script Testing/slicer/check_tour.py

The paint comes from the editor's own effect, by a mouse that is played in a slice view. Pictures and ``tour.json`` go
to the folder that METASEGMENT_CHECKS names; the exit status is 0 when all steps pass. A step that fails does not keep
the next ones from being tried.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import slicer

HERE = Path(__file__).resolve().parent
PANEL = runpy.run_path(str(HERE / "check_panel.py"))

SHAPE = (24, 64, 64)
SPACING = (0.8, 0.8, 2.0)
"""Of the axes I, J, K in mm."""
CENTRE_MM, RADIUS_MM = (25.0, 25.0, 23.0), 17.0
PAINTED = (5, 11, 17)
"""Slices that are painted first."""


class Tour:
    """What the steps share: the panel, a scan of a ball, and the segment that is painted on it."""

    def __init__(self) -> None:
        self.widget: Any = None
        self.volume: Any = None
        self.segmentation: Any = None
        self.segment_id = ""

    @property
    def ui(self) -> Any:
        return self.widget.ui

    def array(self) -> Any:
        """The segment on the volume's voxels."""
        return slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, self.segment_id, self.volume)

    def painted(self) -> list[int]:
        """Slices with paint or result."""
        return [int(k) for k in np.flatnonzero(self.array().any(axis=(1, 2)))]

    def dice(self) -> float:
        found, ball = self.array() > 0, a_ball()
        return float(2 * (found & ball).sum() / (found.sum() + ball.sum()))

    def show_slice(self, k: int) -> None:
        slicer.app.layoutManager().sliceWidget("Red").sliceLogic().SetSliceOffset(k * SPACING[2])

    def shown_slice(self) -> int:
        return round(slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceOffset() / SPACING[2])

    def rows(self) -> int:
        return int(self.ui.sliceTable.rowCount)


def a_ball() -> Any:
    k, j, i = np.indices(SHAPE)
    distances = [
        (index * step - centre) ** 2 for index, step, centre in zip((i, j, k), SPACING, CENTRE_MM, strict=True)
    ]
    return sum(distances) <= RADIUS_MM**2


def load(tour: Tour) -> None:
    """A volume and a segmentation are chosen as soon as a volume is there."""
    tour.widget = PANEL["open_panel"]()
    image = (100 * a_ball() + np.random.default_rng(0).normal(0, 5, SHAPE)).astype(np.int16)
    tour.volume = slicer.util.addVolumeFromArray(image, name="Scan of a ball")
    tour.volume.SetSpacing(*SPACING)
    PANEL["settle"](lambda: tour.widget._parameterNode.segmentation is not None, 20)
    assert tour.widget._parameterNode.inputVolume is tour.volume
    tour.segmentation = tour.widget._parameterNode.segmentation
    segments = tour.segmentation.GetSegmentation()
    tour.segment_id = (
        segments.GetNthSegmentID(0) if segments.GetNumberOfSegments() else segments.AddEmptySegment("ball")
    )
    tour.ui.segmentEditor.setCurrentSegmentID(tour.segment_id)
    tour.widget._parameterNode.method = "shape"
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
    slicer.util.setSliceViewerLayers(background=tour.volume, fit=True)


def paint(tour: Tour) -> None:
    """Paint with the editor's own effect, by the mouse; only the slices that were painted on have paint."""
    for k in PAINTED:
        paint_slice(tour, k)
    assert tour.painted() == list(PAINTED), tour.painted()
    PANEL["settle"](lambda: tour.rows() == len(PAINTED) and tour.ui.applyButton.enabled, 20)


def paint_slice(tour: Tour, k: int) -> None:
    """A disc, as large as the ball is there, where the ball is in the view."""
    import vtk

    slices = slicer.app.layoutManager().sliceWidget("Red")
    tour.show_slice(k)
    editor = tour.ui.segmentEditor
    editor.setActiveEffectByName("Paint")
    effect = editor.activeEffect()
    radius = (RADIUS_MM**2 - (k * SPACING[2] - CENTRE_MM[2]) ** 2) ** 0.5
    effect.setCommonParameter("BrushDiameterIsRelative", 0)
    effect.setCommonParameter("BrushAbsoluteDiameter", 2 * radius)
    effect.setCommonParameter("BrushSphere", 0)
    to_view = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(slices.mrmlSliceNode().GetXYToRAS(), to_view)
    x, y, _z, _w = to_view.MultiplyPoint((CENTRE_MM[0], CENTRE_MM[1], k * SPACING[2], 1.0))
    slicer.util.clickAndDrag(slices, start=(round(x), round(y)), end=(round(x) + 1, round(y)), steps=2)
    editor.setActiveEffect(None)


def segment(tour: Tour) -> None:
    """The slices between are filled, the paint stays, and an estimate is shown."""
    before = tour.array()[list(PAINTED)].copy()
    PANEL["segment"](tour.widget)
    assert (tour.array()[list(PAINTED)] == before).all(), "paint was changed"
    assert tour.dice() > 0.85, tour.dice()
    assert "estimated Dice" in tour.ui.summaryLabel.text, tour.ui.summaryLabel.text


def undo(tour: Tour) -> None:
    """One undo leaves the paint and nothing else."""
    tour.ui.undoButton.click()
    assert tour.painted() == list(PAINTED), tour.painted()
    assert "estimated Dice" not in tour.ui.summaryLabel.text


def redo(tour: Tour) -> None:
    """The editor's redo brings the result back, with its summary."""
    tour.ui.segmentEditor.redo()
    assert len(tour.painted()) > len(PAINTED)
    PANEL["settle"](lambda: "estimated Dice" in tour.ui.summaryLabel.text, 20)


def suggested(tour: Tour) -> None:
    """The view goes to a slice that is not painted."""
    assert tour.ui.suggestButton.enabled, tour.ui.suggestButton.toolTip
    tour.ui.suggestButton.click()
    assert tour.shown_slice() not in PAINTED, tour.shown_slice()


def accept(tour: Tour) -> None:
    """A filled slice counts as painted."""
    tour.show_slice(8)
    rows = tour.rows()
    tour.ui.acceptButton.click()
    PANEL["settle"](lambda: tour.rows() == rows + 1, 20)


def mark_empty(tour: Tour) -> None:
    """A slice beyond the ball counts as painted, with nothing on it."""
    tour.show_slice(22)
    rows = tour.rows()
    tour.ui.emptyButton.click()
    PANEL["settle"](lambda: tour.rows() == rows + 1, 20)
    assert not tour.array()[22].any()


def segment_again(tour: Tour) -> None:
    """What was accepted and marked is kept."""
    accepted = tour.array()[8].copy()
    PANEL["segment"](tour.widget)
    assert (tour.array()[8] == accepted).all() and not tour.array()[22].any()


def uncertainty(tour: Tour) -> None:
    """The uncertainty lies over the slice views, and goes again."""
    tour.ui.uncertaintyCheckBox.click()
    overlay = slicer.util.getNode("Uncertainty*")
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    PANEL["settle"](lambda: composite.GetForegroundVolumeID() == overlay.GetID(), 20)


def no_uncertainty(tour: Tour) -> None:
    """The slice views show the scan alone again."""
    tour.ui.uncertaintyCheckBox.click()
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    PANEL["settle"](lambda: not composite.GetForegroundVolumeID() or composite.GetForegroundOpacity() == 0, 20)


def in_3d(tour: Tour) -> None:
    """The button makes a surface."""
    tour.ui.show3DButton.click()
    closed = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    PANEL["settle"](lambda: tour.segmentation.GetSegmentation().ContainsRepresentation(closed), 20)
    slicer.app.layoutManager().threeDWidget(0).threeDView().resetFocalPoint()


def save_and_load(tour: Tour) -> None:
    """A scene file holds the result and which slices were painted."""
    rows, voxels = tour.rows(), int(tour.array().sum())
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "scene.mrb")
        assert slicer.util.saveScene(file)
        slicer.mrmlScene.Clear(False)
        slicer.util.loadScene(file)
    PANEL["settle"](lambda: tour.rows() == rows, 60)
    tour.volume, tour.segmentation = tour.widget._parameterNode.inputVolume, tour.widget._parameterNode.segmentation
    assert int(tour.array().sum()) == voxels


def close_scene_during_a_run(tour: Tour) -> None:
    """The run ends, nothing is said, and the panel waits for a volume."""
    tour.ui.applyButton.click()
    assert tour.widget.logic.session.running, tour.ui.statusLabel.text
    slicer.mrmlScene.Clear(False)
    PANEL["settle"](lambda: not tour.widget.logic.session.running, 20)
    assert not tour.ui.applyButton.enabled and tour.ui.applyButton.toolTip


def reload_module(tour: Tour) -> None:
    """*Reload* of developer mode leaves a panel that works."""
    slicer.util.reloadScriptedModule("MetaSegment")
    load(tour)
    paint(tour)
    segment(tour)


STEPS: tuple[Callable[[Tour], None], ...] = (
    load,
    paint,
    segment,
    undo,
    redo,
    suggested,
    accept,
    mark_empty,
    segment_again,
    uncertainty,
    no_uncertainty,
    in_3d,
    save_and_load,
    close_scene_during_a_run,
    reload_module,
)


def take_picture(file: Path) -> None:
    """The main window with its views."""
    slicer.util.forceRenderAllViews()
    slicer.util.mainWindow().grab().save(str(file))


def run_all(folder: Path | None = None, picture: Callable[[Path], None] = take_picture) -> list[dict[str, Any]]:
    """Take every step; what came out of each, written to ``folder`` after each, so that a crash leaves the rest.

    Raises:
        AssertionError: names the steps that failed.
    """
    tour, results = Tour(), []
    for number, step in enumerate(STEPS, 1):
        print(f"-- {step.__name__}", flush=True)
        start = time.perf_counter()
        result: dict[str, Any] = {"name": step.__name__, "about": (step.__doc__ or "").strip(), "passed": True}
        try:
            step(tour)
        except Exception as error:
            traceback.print_exc()
            result.update(passed=False, problem=f"{type(error).__name__}: {error}")
        result["seconds"] = round(time.perf_counter() - start, 1)
        if folder is not None:
            result["picture"] = f"{number:02d}-{step.__name__}.png"
            picture(folder / result["picture"])
            (folder / "tour.json").write_text(json.dumps([*results, result], indent=1), encoding="utf-8")
        results.append(result)
    failed = [result["name"] for result in results if not result["passed"]]
    assert not failed, f"failed: {', '.join(failed)}"
    return results


if __name__ == "__main__":
    try:
        place = os.environ.get("METASEGMENT_CHECKS")
        run_all(Path(place) if place else None)
    except Exception as error:
        print(error, file=sys.stderr)
        slicer.util.exit(1)
    else:
        slicer.util.exit(0)
