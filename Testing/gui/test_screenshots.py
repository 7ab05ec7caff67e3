"""The panel in six states, in the stand-in for Slicer's Qt half; METASEGMENT_SCREENSHOTS=FOLDER keeps the pictures.

They show a synthetic ball, to look at the layout; the documentation shows a real Slicer with real data.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import slicer
from gui.desk import BALL, PAINTED
from scene.nodes import paint, repaint

WIDTH, HEIGHT = 460, 860
MODULE_HEIGHT = 560
"""What Slicer leaves to a module on a screen of 1366 × 768: without its bars, its header and the data probe."""


@pytest.fixture
def shoot(desk: Any, tmp_path: Path) -> Any:
    """Takes a picture of the panel; into the folder of METASEGMENT_SCREENSHOTS where that is set."""
    folder = Path(os.environ.get("METASEGMENT_SCREENSHOTS") or tmp_path)
    parent = desk.widget.parent
    parent.setStyleSheet("* { font-family: 'DejaVu Sans'; font-size: 12px; }")

    def shoot(name: str) -> Any:
        parent.resize(WIDTH, HEIGHT)
        parent.show()
        for _ in range(5):
            slicer.app.processEvents()
        picture = parent.grab()
        assert picture.save(str(folder / f"panel-{name}.png"))
        check_nothing_is_cut_off(desk)
        return picture

    yield shoot
    parent.hide()


def check_nothing_is_cut_off(desk: Any) -> None:
    """Every text has the room that it needs, and controls of a section lie inside it without touching."""
    for name, control in vars(desk.ui).items():
        if name.startswith("qt_") or not control.isVisible():
            continue
        kind = type(control).__name__
        if kind in ("QPushButton", "QLabel", "QCheckBox", "QComboBox", "qMRMLSegmentationShow3DButton"):
            needed = control.minimumSizeHint
            assert control.size.width() >= needed.width() and control.size.height() >= needed.height(), name
            inside = control.parentWidget().rect
            assert inside.contains(control.geometry), name
    assert desk.widget.parent.minimumSizeHint.width() <= WIDTH


def test_nothing_chosen(desk: Any, shoot: Any) -> None:
    shoot("start")


def name_things(desk: Any) -> None:
    desk.volume.SetName("Stand-in volume")
    desk.segmentation.SetName("Segmentation")
    desk.segmentation.GetSegmentation().GetSegment(desk.ball).SetName("Ball")
    desk.ui.inputSelector.setMRMLScene(desk.scene)
    desk.ui.segmentationSelector.setMRMLScene(desk.scene)
    desk.settle()
    desk.ui.segmentEditor.updateWidgetFromMRML()


def test_painted(desk: Any, shoot: Any) -> None:
    desk.put_ball()
    name_things(desk)
    desk.parameters.method = "fusion"
    shoot("painted")


def test_running(desk: Any, shoot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.put_ball()
    name_things(desk)
    desk.parameters.method = "fusion"
    monkeypatch.setattr(type(desk.panel._flow), "running", property(lambda _self: True))
    desk.panel.update()
    desk.panel._on_progress("Adapting MAML", 23, 60, 21.0)
    shoot("running")


def test_result(desk: Any, shoot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user gets who changes nothing: ProtoNet's preview, then the most accurate method."""
    desk.add_views()
    desk.put_ball()
    name_things(desk)
    desk.parameters.method = "fusion"
    desk.parameters.showPreview = True
    seen: list[tuple[str, Any]] = []
    shown = desk.panel._on_shown
    monkeypatch.setattr(desk.panel, "_on_shown", lambda *what: (shown(*what), seen.append((summary(), desk.look()))))

    def summary() -> str:
        return str(desk.ui.summaryLabel.text)

    desk.segment()
    assert ["Preview" in text for text, _ in seen] == [True, False]
    for _, labels in seen:
        filled = labels > 0
        np.testing.assert_array_equal(filled[PAINTED], BALL[PAINTED] > 0)
        between = slice(PAINTED[0], PAINTED[-1] + 1)
        overlap = (filled & (BALL > 0))[between].sum()
        assert 2 * overlap > 0.9 * (filled[between].sum() + (BALL[between] > 0).sum())
    shoot("result")


def test_painting_segment_and_result_are_in_sight_on_a_small_screen(desk: Any, shoot: Any) -> None:
    """With an effect active, whose options take the most room, and two segments in the result."""
    desk.add_views()
    desk.put_ball()
    name_things(desk)
    other = np.zeros_like(BALL)
    other[[4, 8, 12], 1:3, 1:3] = True
    paint(desk.segmentation, desk.volume, "Box", other)
    desk.settle()
    desk.segment()
    assert len(desk.ui.summaryLabel.text.splitlines()) == 3
    desk.ui.segmentEditor.setActiveEffectByName("Paint")
    shoot("effect")
    panel = desk.widget.parent

    def bottom(widget: Any) -> int:
        return int(widget.mapTo(panel, widget.rect.bottomLeft()).y())

    editor = desk.ui.segmentEditor
    names = ("AddSegmentButton", "EffectsGroupBox", "UndoRedoGroupBox")
    parts = {name: slicer.util.findChild(editor, name) for name in names}
    for name in ("applyButton", "statusLabel", "summaryLabel", "suggestButton", "acceptButton", "emptyButton"):
        parts[name] = getattr(desk.ui, name)
    assert {name for name, part in parts.items() if not part.isVisible()} == set()
    assert {name: bottom(part) for name, part in parts.items() if bottom(part) > MODULE_HEIGHT} == {}
    options, masking = (slicer.util.findChild(editor, name) for name in ("OptionsGroupBox", "MaskingGroupBox"))
    size_of_the_brush = bottom(options) - options.height + 90
    assert size_of_the_brush <= MODULE_HEIGHT and masking.collapsed


def test_several_axes(desk: Any, shoot: Any) -> None:
    desk.put_ball()
    name_things(desk)
    wrong = np.zeros_like(BALL)
    wrong[8], wrong[:, :, 10] = BALL[8], BALL[:, :, 10]
    repaint(desk.segmentation, desk.volume, desk.ball, wrong)
    desk.settle()
    desk.ui.advancedCollapsibleButton.collapsed = False
    shoot("problem")
