"""The first hint, and work by keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import slicer
from gui.desk import BALL, Desk
from scene.nodes import repaint

SLICERS_OWN = (
    *("Ctrl+F", "Ctrl+O", "Ctrl+S", "Ctrl+W", "Ctrl+H", "Ctrl+Z", "Ctrl+Y", "Ctrl+T", "Ctrl+Shift+T", "Ctrl+`"),
    *(f"Ctrl+{n}" for n in range(10)),
    *(f"Ctrl+Shift+{way}" for way in ("Left", "Right", "Down", "Up")),
    *(f"{shift}{n}" for n in range(10) for shift in ("", "Shift+")),
    *("Esc", "Space", "Q", "W", "Z", "Y", "I", "S", "A", "D", "G", "R", "V", "T", "B", "F", "L", "K", "J"),
)
"""Keys of Slicer's main window, slice views and Segment Editor, from its user guide."""


@pytest.fixture
def first_use(module: Any) -> Iterator[Any]:
    import qt

    qt.QSettings().remove("MetaSegment")
    desks = []

    def another() -> Desk:
        while desks:
            desks.pop().close()
        desks.append(Desk(module))
        return desks[0]

    yield another
    another().close()
    desks.clear()
    qt.QSettings().setValue("MetaSegment/HintSeen", "true")


def shows_hint(desk: Any) -> bool:
    return bool(desk.ui.hintLabel.isVisibleTo(desk.widget.parent))


def test_three_lines_until_they_are_read(first_use: Any) -> None:
    desk = first_use()
    assert shows_hint(desk) and len(desk.ui.hintLabel.text.splitlines()) == 3
    assert shows_hint(first_use()), "it stays as long as nobody has read it"
    desk = first_use()
    desk.ui.hintButton.click()
    assert not shows_hint(desk) and not desk.ui.hintButton.isVisibleTo(desk.widget.parent)
    assert not shows_hint(first_use())


def test_a_first_result_makes_them_go_away(first_use: Any) -> None:
    from MetaSegmentLib.executors import InProcessExecutor

    desk = first_use()
    desk.logic.session._background = InProcessExecutor()
    desk.put_ball()
    assert shows_hint(desk)
    desk.segment()
    assert not shows_hint(desk) and not shows_hint(first_use())


def press(desk: Any, keys: str) -> None:
    import qt

    wanted = qt.QKeySequence(keys).toString()
    shortcuts = [one for one, _ in desk.widget.shortcuts._shortcuts if one.key.toString() == wanted]
    assert len(shortcuts) == 1
    shortcuts[0].activated.emit()
    desk.settle()


def test_paint_suggested_slice_and_segment_without_the_mouse_leaving_the_view(desk: Any, in_a_thread: None) -> None:
    axial = desk.add_views()[0]
    desk.put_ball()
    press(desk, "Ctrl+Return")
    suggested = [s["index"] for s in desk.panel.view.suggestions]
    press(desk, "Ctrl+Shift+N")
    edited = desk.look()
    edited[suggested[0]] = BALL[suggested[0]]
    edited[suggested[0], 2:4, 2:4] = True
    repaint(desk.segmentation, desk.volume, desk.ball, edited)
    desk.settle()
    press(desk, "Ctrl+Shift+N")
    assert axial.GetSliceOffset() == pytest.approx(5 + 2.0 * suggested[1])
    press(desk, "Ctrl+Shift+A")
    press(desk, "Ctrl+Return")
    assert {suggested[0], suggested[1]} <= set(desk.results[-1].report["support_slices"])


def test_no_key_of_slicer_is_taken_and_every_key_is_told(desk: Any) -> None:
    import qt

    own = {one.key.toString() for one, _ in desk.widget.shortcuts._shortcuts}
    assert not own & {qt.QKeySequence(keys).toString() for keys in SLICERS_OWN}
    desk.add_views()
    desk.put_ball()
    desk.segment()
    buttons = (desk.ui.applyButton, desk.ui.suggestButton, desk.ui.acceptButton, desk.ui.emptyButton)
    told = {button.toolTip.partition("(")[2].partition(")")[0] for button in buttons}
    assert told == own


def test_a_key_that_the_application_has_given_away_is_left_alone(desk: Any) -> None:
    import qt

    window = slicer.util.mainWindow()
    action = qt.QAction("Something of another module", window)
    action.shortcut = qt.QKeySequence("Ctrl+Shift+N")
    desk.widget.exit()
    desk.widget.enter()
    assert "Ctrl+Shift+N" not in {one.key.toString() for one, _ in desk.widget.shortcuts._shortcuts}
    action.setParent(None)
    action.deleteLater()
    desk.widget.exit()
    desk.widget.enter()
    assert len(desk.widget.shortcuts._shortcuts) == 4
