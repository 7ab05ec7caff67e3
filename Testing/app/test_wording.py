"""What the panel says, and that all of it can be translated."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from MetaSegmentLib.app import wording
from MetaSegmentLib.errors import Cancelled, InputError
from MetaSegmentLib.predictors.registry import METHODS
from MetaSegmentLib.scene.slices import Overview, PaintedSlice
from MetaSegmentLib.series import SeriesResult
from MetaSegmentLib.settings import Result

REPORT = {
    "method": "fusion",
    "device": "cpu",
    "support_slices": [3, 9],
    "segments": {
        "1": {"name": "Liver", "voxels": 9, "filled_voxels": 5, "volume_ml": 1234.5678, "estimated_dice": 0.917},
        "2": {"name": "Spleen", "voxels": 5, "filled_voxels": 2, "volume_ml": 0.5, "estimated_dice": None},
    },
    "seconds": {"adapt": 10.04, "predict": 2.0, "total": 12.04},
}


def test_summary() -> None:
    assert wording.summary(REPORT, 12.04).splitlines() == [
        "Liver: 1234.57 ml, estimated Dice 0.92",
        "Spleen: 0.50 ml",
        "Most accurate, 2 painted slices, 12.0 s on cpu",
    ]


def test_warnings_are_part_of_the_summary() -> None:
    lines = wording.summary({**REPORT, "warnings": ["Paint on slice 3 was left out."]}, 1.0).splitlines()
    assert lines[2] == "Paint on slice 3 was left out."
    frames = {t: Result(*(None,) * 4, {**REPORT, "warnings": ["A note."]}) for t in (0, 9)}  # type: ignore[arg-type]
    series = SeriesResult(np.zeros((20, 2, 2, 2), np.uint8), frames, (0, 9))
    assert wording.frames_summary(series, 2.0).splitlines() == [
        "A note.",
        "Most accurate, 20 time points, 2 of them painted, 2.0 s on cpu",
    ]


@pytest.mark.parametrize(
    ("eta", "text"),
    [(None, "Adapting"), (0.4, "Adapting"), (12.3, "Adapting, 12 s left"), (150, "Adapting, 2 min left")],
)
def test_progress(eta: float | None, text: str) -> None:
    assert wording.progress_text("Adapting", eta) == text


def test_failures_are_one_sentence() -> None:
    assert wording.failure(InputError("Do this.")) == "Do this."
    assert wording.failure(Cancelled()) == "Cancelled."
    assert wording.failure(Cancelled("The volume was removed.")) == "The volume was removed."
    text = wording.failure(RuntimeError("tensor of shape 3"))
    assert "tensor" not in text and "log" in text


def test_short_list_of_methods_holds_the_chosen_one() -> None:
    assert [name for _, name in wording.method_choices("fusion")] == ["protonet", "fusion"]
    assert [name for _, name in wording.method_choices("pixels")] == ["protonet", "fusion", "pixels"]
    assert [name for _, name in wording.method_choices("no such method")] == ["protonet", "fusion"]
    assert all(name in METHODS for _, name in wording.method_choices("maml"))


def test_advice_counts_painted_slices() -> None:
    one = PaintedSlice("a", "a", 0, 3, False)
    assert "One slice" in wording.advice(Overview((one,)))
    assert wording.advice(Overview((one, PaintedSlice("a", "a", 0, 7, False)))) == ""
    assert wording.advice(Overview()) == ""


def test_the_question_names_what_is_missing_and_what_to_expect() -> None:
    text = wording.install_question(["torch>=2.8", "monai>=1.5"], 253, gpu="")
    assert "torch>=2.8, monai>=1.5" in text and "No GPU found" in text and "no network" in text
    assert "About 253 MB are downloaded" in text
    text = wording.install_question(["torch>=2.8"], 3000, gpu="NVIDIA")
    assert "NVIDIA GPU found" in text and "About 3 GB, which takes some minutes, are downloaded" in text


def test_a_segment_of_which_nothing_was_found_gets_no_estimate() -> None:
    alone = {**REPORT["segments"]["1"], "filled_voxels": 0, "estimated_dice": None}
    text = wording.summary({**REPORT, "segments": {"1": alone}}, 1.0)
    assert text.splitlines()[0] == "Liver: 1234.57 ml, nothing found on the slices that are not painted"


def test_what_was_written_and_what_was_left_to_others_is_told() -> None:
    written = {"volume_ml": {1: 1000.0, 2: 0.25}, "left_to_others_ml": 234.5}
    lines = wording.summary({**REPORT, "written": written}, 1.0).splitlines()
    assert lines[:2] == ["Liver: 1000.00 ml, estimated Dice 0.92", "Spleen: 0.25 ml"]
    assert lines[2].startswith("234.50 ml belong to other segments")


def translated_calls(repository: Path) -> list[tuple[str, Any]]:
    module = repository / "MetaSegment"
    rooms = [module / "MetaSegmentLib" / name for name in ("app", "gui", "scene")]
    files = [module / "MetaSegment.py", *(file for room in rooms for file in room.glob("*.py"))]
    return [
        (f"{file.name}:{node.lineno}", node)
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_"
    ]


def test_translators_find_every_text(repository: Path) -> None:
    """Only a literal is found in the source; what is filled in comes after the translation."""
    calls = translated_calls(repository)
    assert len(calls) > 50
    assert [place for place, call in calls if not isinstance(call.args[0], ast.Constant)] == []


def test_no_text_of_the_panel_escapes_translation(repository: Path) -> None:
    """Texts and tool tips that are set in code go through ``_``, or come from wording.py, which does it."""
    panel = ast.parse((repository / "MetaSegment/MetaSegmentLib/gui/panel.py").read_text(encoding="utf-8"))
    bare = [
        node.lineno
        for node in ast.walk(panel)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Attribute)
        and node.targets[0].attr in ("text", "toolTip")
        and isinstance(node.value, ast.Constant)
        and node.value.value
    ]
    assert bare == []
