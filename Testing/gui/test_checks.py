"""The checks for a real Slicer pass under the stand-in as well, as far as it goes."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import slicer
from host.widgets import let_go_of_the_scene


@pytest.fixture
def checks(module: Any, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    widget = slicer.util.getModuleWidget("MetaSegment")

    def select(name: str) -> None:
        widget.enter() if name == "MetaSegment" else widget.exit()

    monkeypatch.setattr(slicer.util, "selectModule", select)
    yield runpy.run_path(str(repository / "Testing" / "slicer" / "check_panel.py"))
    widget.exit()
    slicer.mrmlScene.Clear(True)
    let_go_of_the_scene()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("check_a_run_that_is_left_alone", {"method": "propagation"}),
        ("check_segment_and_undo", {}),
        ("check_controls", {}),
        ("check_scene_close_and_module_switch", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_checks_for_a_real_slicer_pass_here_too(checks: dict[str, Any], name: str, options: dict[str, str]) -> None:
    let_go_of_the_scene()
    widget = slicer.util.getModuleWidget("MetaSegment")
    for selector in (widget.ui.inputSelector, widget.ui.segmentationSelector):
        selector.setMRMLScene(slicer.mrmlScene)
    checks[name](**options)


def test_a_run_that_starves_fails_its_check(checks: dict[str, Any]) -> None:
    """The check sees what it is there for: a run of thrice the time that the command line takes."""
    let_go_of_the_scene()
    scope = checks["check_a_run_that_is_left_alone"].__globals__
    scope.update(segment_on_the_command_line=lambda *_: 1.0, segment=lambda _widget: 3.0)
    with pytest.raises(AssertionError, match="times as long"):
        checks["check_a_run_that_is_left_alone"](method="shape")
