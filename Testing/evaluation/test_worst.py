"""The worst ten cases as a picture."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib.errors import SettingsError
from MetaSegmentLib.evaluation import command, worst
from MetaSegmentLib.evaluation.tools import SIMPLE_TOOLS

pytest.importorskip("slicer", reason="slicer-core is not installed")


def record(best, new):
    methods = {name: {"dice": best, "seconds": 1.0} for name in SIMPLE_TOOLS}
    return {"methods": {**methods, "new": {"error": "E"} if new is None else {"dice": new}}}


def test_the_lowest_leads_come_first_and_failures_not_at_all():
    records = [record(0.5, 0.9), record(0.9, 0.7), record(0.3, 0.2), record(0.8, None), record(0.6, 0.6)]
    assert worst.worst_cases(records, "new", 3) == [1, 2, 4]
    assert len(worst.worst_cases([record(0.5, 0.5)] * 30, "new")) == 10


def test_the_worst_slice_is_one_that_was_not_painted():
    truth = np.zeros((6, 8, 5), bool)
    truth[1:5, 2:7, 1:4] = True
    found = truth.copy()
    found[:, 3] = False
    found[:3, 4] = False
    found[:1, 5, :4] = True
    assert worst.worst_slice(found, truth, [2], 1) == 3
    assert worst.worst_slice(found, truth, [3], 1) == 4
    assert worst.worst_slice(found, truth, [3, 4], 1) == 5


def test_the_command_draws_them(a_data_set, arguments, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    drawn, save = [], worst._save
    monkeypatch.setattr(worst, "_save", lambda panels, *rest: (drawn.extend(panels), save(panels, *rest)))
    words = ("--data", a_data_set, "--output", tmp_path / "out", "--methods", "shape", "--k", 3, "--no-surface")
    assert command.run(arguments(*words, "--worst", "shape")) == 0
    assert (tmp_path / "out" / "worst-shape.png").stat().st_size > 20_000
    assert len(drawn) == 4
    for panel in drawn:
        data_set, case, scores = panel.title.split("\n")
        assert data_set == "phantoms" and case in ("ellipsoid, K = 3, inside", "tube, K = 3, inside")
        assert scores.startswith("Dice ")
        assert panel.aspect == pytest.approx(1.2) and panel.image.shape == panel.truth.shape == panel.found.shape
        assert (panel.truth ^ panel.found).any() and "patient" not in panel.title
    assert "## Against the best simple tool\n" in capsys.readouterr().out


def test_what_is_drawn_has_to_be_run():
    assert command._drawn(None, ("shape",)) == ()
    assert command._drawn((), ("shape", "fusion")) == ("fusion",)
    with pytest.raises(SettingsError, match="add it to --methods"):
        command._drawn((), ("shape",))
