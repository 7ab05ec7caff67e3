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
