"""What is chosen for a user who chooses nothing, while the panel is open."""

from __future__ import annotations

from typing import Any

import pytest

import slicer
from gui.desk import BALL
from MetaSegmentLib.scene.runtime import nodes_of_class
from scene.nodes import add_segmentation, add_volume, an_image


def segmentations(desk: Any) -> list[Any]:
    return nodes_of_class(desk.scene, "vtkMRMLSegmentationNode")


def add_button(desk: Any) -> Any:
    return slicer.util.findChild(desk.ui.segmentEditor, "AddSegmentButton")


def test_a_volume_loaded_while_the_panel_is_open_can_be_painted_on_at_once(desk: Any, vtk_log: Any) -> None:
    assert desk.ui.inputSelector.currentNode() is None and not add_button(desk).enabled
    volume = add_volume(desk.scene, an_image(BALL))
    desk.settle()
    assert desk.parameters.inputVolume is volume and desk.ui.inputSelector.currentNode() is volume
    (segmentation,) = segmentations(desk)
    assert desk.parameters.segmentation is segmentation
    assert desk.ui.segmentEditor.sourceVolumeNode() is volume
    assert add_button(desk).enabled
    assert desk.ui.statusLabel.text == "Add a segment and paint the structure on some slices."
    add_button(desk).click()
    desk.settle()
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 1
    assert "Paint the structure" in desk.ui.statusLabel.text
    assert vtk_log() == ""


def test_a_second_volume_changes_nothing(desk: Any) -> None:
    first = add_volume(desk.scene, an_image(BALL))
    desk.settle()
    add_volume(desk.scene, an_image(BALL))
    add_segmentation(desk.scene)
    desk.settle()
    assert desk.parameters.inputVolume is first and desk.parameters.segmentation is segmentations(desk)[0]


def test_a_segmentation_that_is_there_is_taken(desk: Any) -> None:
    segmentation = add_segmentation(desk.scene)
    desk.settle()
    assert desk.parameters.segmentation is segmentation
    add_volume(desk.scene, an_image(BALL))
    desk.settle()
    assert segmentations(desk) == [segmentation]


def test_nothing_is_made_without_a_volume_or_for_an_empty_one(desk: Any) -> None:
    desk.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    desk.settle()
    assert desk.parameters.inputVolume is None and segmentations(desk) == []


def test_a_script_that_chooses_both_leaves_nothing_else_behind(desk: Any) -> None:
    desk.put_ball()
    desk.settle()
    assert segmentations(desk) == [desk.segmentation]


def test_what_a_user_chose_not_to_choose_stays_so(desk: Any) -> None:
    desk.put_ball()
    desk.parameters.inputVolume = None
    desk.settle()
    assert desk.parameters.inputVolume is None


def test_while_another_module_is_shown_nothing_is_chosen(desk: Any) -> None:
    desk.widget.exit()
    volume = add_volume(desk.scene, an_image(BALL))
    desk.settle()
    assert segmentations(desk) == []
    desk.widget.enter()
    assert desk.parameters.inputVolume is volume and len(segmentations(desk)) == 1


def test_nodes_that_come_together_are_looked_at_together(desk: Any) -> None:
    desk.scene.StartState(desk.scene.BatchProcessState)
    volume = add_volume(desk.scene, an_image(BALL))
    desk.settle()
    assert desk.parameters.inputVolume is None
    segmentation = add_segmentation(desk.scene)
    desk.scene.EndState(desk.scene.BatchProcessState)
    desk.settle()
    assert desk.parameters.inputVolume is volume and segmentations(desk) == [segmentation]


def test_a_volume_alone_is_not_given_to_the_editor(desk: Any, vtk_log: Any) -> None:
    desk.put_ball()
    desk.parameters.segmentation = None
    desk.parameters.inputVolume = add_volume(desk.scene, an_image(BALL))
    assert vtk_log() == ""
    desk.settle()
    assert desk.ui.segmentEditor.sourceVolumeNode() is desk.parameters.inputVolume


def test_a_sample_comes_with_its_own_segmentation_only(desk: Any, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_load(_sample: Any) -> tuple[Any, Any]:
        volume = add_volume(desk.scene, an_image(BALL))
        slicer.app.processEvents()  # as a download does
        return volume, add_segmentation(desk.scene)

    monkeypatch.setattr(module, "loadSample", slow_load)
    desk.ui.tryButton.click()
    desk.settle()
    (segmentation,) = segmentations(desk)
    assert desk.parameters.segmentation is segmentation and desk.parameters.inputVolume is not None
