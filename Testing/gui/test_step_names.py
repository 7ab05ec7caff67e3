"""Undo and redo by name, the log of what was done, and masks that are respected and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import slicer
from gui.desk import BALL, PAINTED
from MetaSegmentLib.scene.record import runs_of
from MetaSegmentLib.version import __version__
from scene.nodes import look, paint, repaint

pytestmark = pytest.mark.usefixtures("in_a_thread")


def stroke(desk: Any) -> None:
    desk.ui.segmentEditor.saveStateForUndo()
    edited = desk.look()
    edited[6, 2:4, 2:4] = True
    repaint(desk.segmentation, desk.volume, desk.ball, edited)
    desk.settle()


def texts(desk: Any) -> tuple[str, str]:
    return desk.ui.undoButton.text, desk.ui.redoButton.text


def test_a_run_is_undone_and_brought_back_by_name(desk: Any) -> None:
    desk.put_ball()
    assert texts(desk) == ("Undo", "Redo") and not desk.ui.redoButton.enabled
    corner = np.zeros_like(BALL)
    corner[PAINTED, 1:3, 1:3] = True
    paint(desk.segmentation, desk.volume, "corner", corner)
    desk.settle()
    desk.segment()
    filled = desk.look()
    assert texts(desk) == ("Undo: MetaSegment, 2 segments", "Redo")
    desk.ui.undoButton.click()
    assert texts(desk) == ("Undo", "Redo: MetaSegment, 2 segments") and desk.ui.redoButton.enabled
    assert not desk.look()[6].any()
    desk.ui.redoButton.click()
    assert texts(desk) == ("Undo: MetaSegment, 2 segments", "Redo") and not desk.ui.redoButton.enabled
    np.testing.assert_array_equal(desk.look(), filled)


def test_strokes_and_steps_of_the_panel_are_told_apart(desk: Any) -> None:
    axial = desk.add_views()[0]
    desk.put_ball()
    desk.segment()
    stroke(desk)
    assert texts(desk) == ("Undo", "Redo")
    axial.JumpSliceByOffsetting(0, 0, 5 + 2.0 * 10)
    desk.ui.acceptButton.click()
    assert desk.ui.undoButton.text == "Undo: accept slice 10"
    desk.ui.segmentEditor.undo()
    desk.settle()
    assert texts(desk) == ("Undo", "Redo: accept slice 10")
    desk.ui.undoButton.click()
    assert desk.ui.undoButton.text == "Undo: MetaSegment, 1 segment"


def test_redo_without_anything_to_bring_back_says_so(desk: Any) -> None:
    desk.put_ball()
    desk.panel.redo()
    assert desk.ui.statusLabel.text == "There is nothing to bring back."
    assert not desk.logic.session.redo()


def test_the_log_is_shown_undone_and_saved(desk: Any, tmp_path: Path) -> None:
    desk.put_ball()
    assert "No run" in desk.ui.historyLabel.text
    desk.segment()
    ((name, (note,)),) = runs_of(desk.segmentation)
    assert (name, note.method, note.version, note.slices) == ("ball", "shape", __version__, len(PAINTED))
    assert note.estimated_dice is not None and len(note.day) == 10
    line = desk.ui.historyLabel.text
    assert line.startswith("ball: Shape interpolation, 3 painted slices, ") and f"{note.estimated_dice:.2f}" in line
    desk.parameters.method = "propagation"
    desk.segment()
    assert len(desk.ui.historyLabel.text.splitlines()) == 2 and "ropagation" in desk.ui.historyLabel.text.split("\n")[0]
    desk.ui.undoButton.click()
    assert desk.ui.historyLabel.text == line
    storage = desk.scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(tmp_path / "filled.seg.nrrd"))
    assert storage.WriteData(desk.segmentation)
    header = (tmp_path / "filled.seg.nrrd").read_bytes().partition(b"\n\n")[0]
    assert b"runs=shape/" in header
    loaded = desk.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert storage.ReadData(loaded)
    desk.parameters.segmentation = loaded
    desk.settle()
    assert desk.ui.historyLabel.text == line


def test_the_log_stays_when_slices_are_marked(desk: Any) -> None:
    axial = desk.add_views()[0]
    desk.put_ball()
    desk.segment()
    before = runs_of(desk.segmentation)
    axial.JumpSliceByOffsetting(0, 0, 5 + 2.0 * 10)
    desk.ui.acceptButton.click()
    assert runs_of(desk.segmentation) == before


def test_a_preview_leaves_no_note_of_its_own(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from MetaSegmentLib.app import flow

    monkeypatch.setattr(flow, "PREVIEW_METHOD", "shape")
    desk.put_ball()
    desk.parameters.method, desk.parameters.showPreview = "propagation", True
    desk.segment()
    assert [note.method for note in runs_of(desk.segmentation)[0][1]] == ["propagation"]
    assert desk.ui.undoButton.text == "Undo: MetaSegment, 1 segment"


def test_masks_are_respected_and_said(desk: Any) -> None:
    desk.put_ball()
    half = np.zeros_like(BALL)
    half[:, :9] = True
    paint(desk.segmentation, desk.volume, "half", half)
    desk.segmentation.GetDisplayNode().SetSegmentVisibility("half", False)
    node = desk.ui.segmentEditor.mrmlSegmentEditorNode()
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    node.SetMaskSegmentID("half")
    node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
    desk.settle()
    desk.segment()
    filled = desk.look()
    assert filled[6, :9].any() and not filled[6, 9:].any()
    assert "by the editor's Masking settings" in desk.ui.summaryLabel.text
    np.testing.assert_array_equal(look(desk.segmentation, desk.volume, "half"), half)


def test_without_masks_none_is_said(desk: Any) -> None:
    desk.put_ball()
    desk.segment()
    assert "Masking" not in desk.ui.summaryLabel.text
