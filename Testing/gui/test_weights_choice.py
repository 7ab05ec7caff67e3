"""Whose weights the panel uses: chosen once for all scenes, and never stored in one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from MetaSegmentLib.networks import weights


@pytest.fixture
def a_folder(tmp_path: Path) -> Iterator[Path]:
    import qt

    folder = tmp_path / "our weights"
    folder.mkdir()
    weights.copy("base", folder)
    yield folder
    qt.QSettings().remove("MetaSegment/Weights")


def choose(desk: Any, folder: str) -> None:
    box = desk.ui.weightsBox
    desk.widget.panel._weights._ask = lambda *_: folder
    box.setCurrentIndex(box.findData("?"))


def test_a_folder_is_chosen_used_and_given_up_again(desk: Any, a_folder: Path) -> None:
    desk.put_ball()
    box = desk.ui.weightsBox
    assert box.currentText == "As shipped" and box.count == 2
    choose(desk, str(a_folder))
    assert box.currentText == "Own: our weights" and box.currentData == str(a_folder)
    asked = desk.widget.panel._requested(desk.parameters)
    assert asked.weights == str(a_folder)
    assert str(a_folder) not in str(vars(desk.parameters))
    choose(desk, "")  # the dialogue was left
    assert box.currentData == str(a_folder)
    box.setCurrentIndex(0)
    assert desk.widget.panel._requested(desk.parameters).weights == "" and box.count == 2


def test_a_folder_without_weights_is_one_sentence(desk: Any, a_folder: Path) -> None:
    desk.put_ball()
    (a_folder / "checksums.json").unlink()
    choose(desk, str(a_folder))
    desk.ui.methodBox.setCurrentIndex(0)
    desk.ui.applyButton.click()
    desk.settle()
    assert "no weights in that folder" in desk.ui.statusLabel.text
