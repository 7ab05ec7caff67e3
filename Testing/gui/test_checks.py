"""The checks for a real Slicer pass under the stand-in as well, as far as it goes."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import slicer
from host.widgets import let_go_of_the_scene
from MetaSegmentLib.scene import views
from scene.nodes import add_segmentation, add_volume


@pytest.fixture
def checks(module: Any, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    widget = slicer.util.getModuleWidget("MetaSegment")

    def select(name: str) -> None:
        widget.enter() if name == "MetaSegment" else widget.exit()

    monkeypatch.setattr(slicer.util, "selectModule", select)
    let_go_of_the_scene()
    for selector in (widget.ui.inputSelector, widget.ui.segmentationSelector):
        selector.setMRMLScene(slicer.mrmlScene)
    yield runpy.run_path(str(repository / "Testing" / "slicer" / "check_panel.py"))
    widget.exit()
    slicer.mrmlScene.Clear(True)
    let_go_of_the_scene()


@pytest.mark.parametrize("name", ["check_segment_and_undo", "check_controls", "check_scene_close_and_module_switch"])
def test_checks_for_a_real_slicer_pass_here_too(checks: dict[str, Any], name: str) -> None:
    checks[name]()


def test_a_run_that_is_left_alone_takes_no_longer_than_on_the_command_line(
    checks: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    widget = checks["open_panel"]()
    checks["put_ball"](widget)
    checks["segment"](widget)  # loads what is loaded once; other programs may hold that up
    checks["check_a_run_that_is_left_alone"](method="propagation")
    assert "factor" in capsys.readouterr().out


def test_a_run_that_starves_fails_its_check(checks: dict[str, Any]) -> None:
    check = checks["check_a_run_that_is_left_alone"]
    check.__globals__.update(segment_on_the_command_line=lambda *_: 1.0, segment=lambda _widget: 3.0)
    with pytest.raises(AssertionError, match="times as long"):
        check(method="shape")


@pytest.fixture
def tour(checks: dict[str, Any], repository: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The tour, with a hand in place of the mouse and without what only the application has: views and files."""
    taken = runpy.run_path(str(repository / "Testing" / "slicer" / "check_tour.py"))
    steps = taken["run_all"].__globals__
    shown = [0]

    def load(tour: Any) -> None:
        tour.widget = checks["open_panel"]()
        tour.widget._parameterNode.method, tour.widget._parameterNode.showPreview = "shape", False
        image = (100 * steps["a_ball"]()).astype("int16")
        tour.volume = add_volume(slicer.mrmlScene, image)
        tour.volume.SetSpacing(*steps["SPACING"])
        tour.segmentation = add_segmentation(slicer.mrmlScene)
        tour.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(tour.volume)
        tour.segment_id = tour.segmentation.GetSegmentation().AddEmptySegment("ball", "ball")
        tour.widget._parameterNode.inputVolume = tour.volume
        tour.widget._parameterNode.segmentation = tour.segmentation

    def paint_slice(tour: Any, k: int) -> None:
        voxels = tour.array().copy()
        voxels[k] = steps["a_ball"]()[k]
        slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, tour.segmentation, tour.segment_id, tour.volume)

    steps["PANEL"].update(checks)
    steps["paint_slice"] = paint_slice
    monkeypatch.setattr(steps["Tour"], "show_slice", lambda _tour, k: shown.__setitem__(0, k))
    monkeypatch.setattr(views, "shown_slice", lambda _volume, _axis: (0, shown[0]))
    monkeypatch.setattr(views, "jump", lambda _volume, _axis, index: shown.__setitem__(0, index))
    monkeypatch.setattr(steps["Tour"], "shown_slice", lambda _tour: shown[0])
    left_out = ("uncertainty", "no_uncertainty", "in_3d", "save_and_load", "reload_module")
    steps["STEPS"] = (load, *(step for step in steps["STEPS"][1:] if step.__name__ not in left_out))
    return taken


def test_the_tour_passes_here_as_far_as_there_are_no_views(tour: dict[str, Any], tmp_path: Path) -> None:
    pictures: list[Path] = []
    results = tour["run_all"](tmp_path, pictures.append)
    assert [result["name"] for result in results] == [
        "load",
        "paint",
        "segment",
        "undo",
        "redo",
        "suggested",
        "accept",
        "mark_empty",
        "segment_again",
        "close_scene_during_a_run",
    ]
    assert json.loads((tmp_path / "tour.json").read_text(encoding="utf-8")) == results
    assert [picture.name for picture in pictures] == [result["picture"] for result in results]


def test_a_step_that_fails_is_named_and_the_next_ones_are_tried(tour: dict[str, Any], tmp_path: Path) -> None:
    steps = tour["run_all"].__globals__
    steps["STEPS"] = (*steps["STEPS"][:2], steps["redo"], steps["segment"])
    with pytest.raises(AssertionError, match=r"failed: redo$"):
        tour["run_all"](tmp_path, lambda _file: None)
    results = json.loads((tmp_path / "tour.json").read_text(encoding="utf-8"))
    assert [result["passed"] for result in results] == [True, True, False, True]
    assert results[2]["problem"].startswith("AssertionError")
