"""With the module closed nothing of it runs: no timer, no observer; and a closed scene gives its memory back."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

import slicer


def timers(panel: Any) -> list[Any]:
    return [
        panel._pause,
        panel._looking._timer,
        panel.view._overlaying._timer,
        panel.slice_views._pause,
        panel.review._looking._timer,
    ]


@pytest.fixture
def open_desk(desk: Any, in_a_thread: None) -> Any:
    desk.views = desk.add_views()
    desk.put_ball()
    desk.widget.enter()
    desk.ui.uncertaintyCheckBox.setChecked(True)
    desk.segment()
    return desk


def test_no_timer_runs_and_no_observer_stays_while_another_module_is_shown(open_desk: Any) -> None:
    desk, widget = open_desk, open_desk.widget
    assert desk.panel.slice_views.watching and len(widget.Observations) > 3
    desk.widget.exit()
    desk.settle()
    assert not any(timer.isActive() for timer in (*timers(desk.panel), widget._choosing))
    assert not desk.panel.slice_views.watching
    assert observations(widget) == [(desk.scene, desk.scene.StartCloseEvent)], "closing the scene gives memory back"
    desk.views[0].JumpSliceByOffsetting(0, 0, 9)
    desk.segmentation.GetSegmentation().GetSegment(desk.ball).SetName("renamed")
    slicer.app.processEvents()
    assert not any(timer.isActive() for timer in timers(desk.panel)), "nothing wakes it"
    widget.enter()
    desk.settle()
    assert desk.rows()[0][0] == "renamed" and desk.panel.slice_views.watching


def test_nothing_stays_when_the_panel_goes(open_desk: Any) -> None:
    widget = open_desk.widget
    widget.cleanup()
    assert observations(widget) == [] and not open_desk.panel.slice_views.watching
    assert not any(timer.isActive() for timer in (*timers(open_desk.panel), widget._choosing))


def test_coming_and_going_leaves_no_more_observers(open_desk: Any) -> None:
    widget = open_desk.widget
    before = len(observations(widget)), len(open_desk.panel.slice_views._watch._tags)
    for _ in range(3):
        widget.exit()
        widget.enter()
        widget.enter()
    assert (len(observations(widget)), len(open_desk.panel.slice_views._watch._tags)) == before


@pytest.mark.parametrize("shown", [True, False], ids=["shown", "while another module is shown"])
def test_a_closed_scene_gives_the_memory_of_results_back(open_desk: Any, shown: bool) -> None:
    desk = open_desk
    held = [weakref.ref(desk.panel.view.result.uncertainty), weakref.ref(desk.results[-1].labels)]
    gone: list[str] = []
    for node in (desk.volume, desk.segmentation):
        name = node.GetName()
        node.AddObserver("DeleteEvent", lambda *_, name=name: gone.append(name))
    del node, desk.volume, desk.segmentation
    if not shown:
        desk.widget.exit()
    desk.results.clear()
    desk.scene.Clear(False)
    desk.settle()
    gc.collect()
    assert [one() is None for one in held] == [True, True]
    assert set(gone) == {"segmentation", "volume"}, "the voxels go with the nodes"
    assert desk.logic.session._background.engine.empty


def observations(widget: Any) -> list[tuple[Any, Any]]:
    """(object, event) of what the module's panel observes."""
    return [(one[0], one[1]) for one in widget.Observations]
