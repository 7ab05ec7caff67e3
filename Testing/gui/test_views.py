"""Oblique scans, the row that follows the slice view, and the brush."""

from __future__ import annotations

from typing import Any

import pytest

import slicer
from gui.desk import BALL, PAINTED
from scene.bench import OBLIQUE
from scene.nodes import add_volume, an_image, only, paint


@pytest.fixture
def oblique(desk: Any) -> Any:
    """The panel with an oblique volume, and views that cut across its slices."""
    desk.views = desk.add_views()
    desk.put_ball()
    volume = add_volume(desk.scene, an_image(BALL), OBLIQUE)
    desk.parameters.inputVolume = volume
    desk.widget.exit()
    desk.widget.enter()
    desk.settle()
    return desk


def offered(desk: Any) -> bool:
    label, button = desk.ui.alignLabel, desk.ui.alignButton
    assert label.isVisibleTo(desk.widget.parent) == button.isVisibleTo(desk.widget.parent)
    return bool(button.isVisibleTo(desk.widget.parent))


def test_views_across_the_slices_are_said_and_aligned_by_one_press(oblique: Any) -> None:
    assert offered(oblique) and "cut across" in oblique.ui.alignLabel.text
    oblique.ui.alignButton.click()
    assert not offered(oblique)
    oblique.views[0].SetOrientation("Coronal")
    oblique.settle()
    assert offered(oblique), "a view that is turned later is seen too"


def test_a_plain_volume_needs_no_button(desk: Any) -> None:
    desk.add_views()
    assert not offered(desk)
    desk.put_ball()
    assert not offered(desk)


@pytest.mark.parametrize("effect", ["Paint", "Draw", "Erase"])
def test_paint_across_the_slices_is_refused_in_a_sentence(oblique: Any, effect: str) -> None:
    node = oblique.ui.segmentEditor.mrmlSegmentEditorNode()
    oblique.ui.segmentEditor.setActiveEffectByName(effect)
    oblique.settle()
    assert not node.GetActiveEffectName() and "Align the views first" in oblique.ui.statusLabel.text
    assert not oblique.errors
    oblique.ui.alignButton.click()
    oblique.ui.segmentEditor.setActiveEffectByName(effect)
    oblique.settle()
    assert node.GetActiveEffectName() == effect


def test_effects_that_do_not_paint_on_a_slice_are_allowed(oblique: Any) -> None:
    node = oblique.ui.segmentEditor.mrmlSegmentEditorNode()
    oblique.ui.segmentEditor.setActiveEffectByName("Threshold")
    oblique.settle()
    assert node.GetActiveEffectName() == "Threshold"


def test_turning_the_views_while_painting_puts_the_brush_away(desk: Any) -> None:
    from MetaSegmentLib.scene.alignment import align_views

    views = desk.add_views()
    desk.put_ball()
    desk.widget.enter()
    node = desk.ui.segmentEditor.mrmlSegmentEditorNode()
    desk.ui.segmentEditor.setActiveEffectByName("Paint")
    desk.settle()
    assert node.GetActiveEffectName() == "Paint"
    align_views(add_volume(desk.scene, an_image(BALL), OBLIQUE))
    desk.settle()
    assert not node.GetActiveEffectName() and offered(desk)
    assert views


@pytest.mark.parametrize("effect", ["Paint", "Erase"])
def test_the_brush_is_flat_and_sized_by_the_view(desk: Any, effect: str) -> None:
    desk.put_ball()
    node = desk.ui.segmentEditor.mrmlSegmentEditorNode()
    node.SetAttribute("BrushSphere", "1")
    node.SetAttribute("BrushDiameterIsRelative", "0")
    node.SetSourceVolumeIntensityMask(True)
    desk.ui.segmentEditor.setActiveEffectByName(effect)
    desk.settle()
    assert node.GetAttribute("BrushSphere") == "0" and node.GetAttribute("BrushDiameterIsRelative") == "1"
    assert not node.GetSourceVolumeIntensityMask()
    node.SetAttribute("BrushSphere", "1")
    desk.settle()
    assert node.GetAttribute("BrushSphere") == "1", "who wants a sphere after all gets it"


def test_other_effects_leave_the_intensity_range_alone(desk: Any) -> None:
    desk.put_ball()
    node = desk.ui.segmentEditor.mrmlSegmentEditorNode()
    node.SetSourceVolumeIntensityMask(True)
    desk.ui.segmentEditor.setActiveEffectByName("Threshold")
    desk.settle()
    assert node.GetSourceVolumeIntensityMask()


def test_the_row_follows_the_slice_view(desk: Any) -> None:
    axial = desk.add_views()[0]
    desk.put_ball()
    paint(desk.segmentation, desk.volume, "other", only(BALL, 0, [8, 12]))
    desk.widget.enter()
    desk.settle()

    def row_at(index: int) -> Any:
        axial.JumpSliceByOffsetting(0, 0, 5 + 2.0 * index)
        desk.settle()
        row = desk.panel._table.current
        return None if row is None else (row.segment_id, row.index)

    assert row_at(PAINTED[0]) == ("ball", PAINTED[0]) and desk.ui.removeButton.enabled
    assert row_at(6) is None and not desk.ui.removeButton.enabled
    desk.ui.segmentEditor.mrmlSegmentEditorNode().SetSelectedSegmentID("other")
    assert row_at(12) == ("other", 12)
    desk.ui.sliceTable.selectRow(2)
    desk.settle()
    assert desk.panel._table.current.segment_id == "ball", "a row of the same slice stays"


def test_views_that_come_later_are_watched(desk: Any) -> None:
    desk.put_ball()
    views = desk.add_views()
    desk.settle()
    views[0].JumpSliceByOffsetting(0, 0, 5 + 2.0 * 12)
    desk.settle()
    assert desk.panel._table.current.index == 12
    slicer.app.processEvents()
