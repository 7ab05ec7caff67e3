"""The panel leaves installing to Slicer where Slicer can, and does it itself where not."""

from __future__ import annotations

from typing import Any

import pytest

import slicer
from MetaSegmentLib import dependencies
from MetaSegmentLib.app.installing import SlicersInstaller
from MetaSegmentLib.dependencies import Report
from MetaSegmentLib.errors import DependencyError


@pytest.mark.parametrize("modern", [True, False], ids=["slicer 5.12", "slicer 5.10"])
def test_slicers_installer_is_used_where_it_exists(module: Any, monkeypatch: pytest.MonkeyPatch, modern: bool) -> None:
    from MetaSegmentLib.gui.installer import Installer

    monkeypatch.setattr(dependencies, "slicer_shows_progress", lambda: modern)
    assert type(module._installer()) is (SlicersInstaller if modern else Installer)


@pytest.mark.parametrize("testing", [True, False])
def test_tests_in_slicer_install_nothing(module: Any, monkeypatch: pytest.MonkeyPatch, testing: bool) -> None:
    """There, Slicer's own questions are answered with yes."""
    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda _app: testing)
    monkeypatch.setattr(slicer.util, "confirmYesNoDisplay", lambda _question: True)
    assert module._ask("Install?") is not testing


def test_a_failure_is_said_once_and_the_next_try_works(desk: Any) -> None:
    outcomes: list[Any] = [DependencyError("No network: try again."), Report({"monai": "1.6"})]
    left = ["monai>=1.5"]

    def ensure() -> Report:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        left.clear()
        return Report(outcome.installed)

    questions: list[str] = []
    desk.panel._installer = SlicersInstaller(lambda text: not questions.append(text), ensure, lambda: left)
    desk.put_ball()
    desk.ui.applyButton.click()
    assert desk.errors == ["No network: try again."] and not desk.logic.session.running
    desk.segment()
    assert len(questions) == 2 and not left
