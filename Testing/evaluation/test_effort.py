"""How many painted slices it takes until the whole structure is right."""

from __future__ import annotations

import json

import numpy as np
import pytest

from MetaSegmentLib.data.datasets import choose, find_cases
from MetaSegmentLib.data.protocol import dice, painted_slices
from MetaSegmentLib.evaluation import command, tools
from MetaSegmentLib.evaluation.effort import GOALS, MOST, NEVER, Effort, evenly, slices_needed, summarise_effort
from MetaSegmentLib.evaluation.records import Painted, make_tasks, work_through
from MetaSegmentLib.evaluation.tables import BEST_TOOL

pytest.importorskip("slicer", reason="slicer-core is not installed")


@pytest.fixture
def tasks(a_data_set, tmp_path):
    """One structure of a data set, three slices painted."""
    return make_tasks(choose(find_cases(a_data_set), (3,), 1), ["inside"], tmp_path / "effort")


@pytest.fixture
def a_cone():
    """A cone along axis 1, brighter than its surroundings, and what three slices of it come to."""
    j, k, i = np.indices((40, 30, 30)) - np.array([4, 15, 15]).reshape(3, 1, 1, 1)
    truth = np.moveaxis((k**2 + i**2 < (j / 2.5) ** 2) & (j > 0) & (j < 32), 0, 1)
    image = truth * 100 + np.random.default_rng(0).normal(0, 10, truth.shape)
    return Painted(image, (1.0, 1.0, 1.0), truth, painted_slices(truth, 3, axis=1), 1)


def steps(*found):
    return {"steps": [{"slices": slices, "dice": value} for slices, value in found]}


def test_the_first_time_counts():
    found = steps((3, 0.85), (4, 0.91), (5, 0.89), (6, 0.951))
    assert [slices_needed(found, goal) for goal in GOALS] == [4, 6]
    assert slices_needed(steps((3, 0.5), (12, 0.94)), 0.95) == NEVER == 13
    assert slices_needed({"error": "E"}, 0.9) == NEVER


def test_simple_tools_get_evenly_placed_slices_and_the_best_counts(a_cone):
    found = evenly(a_cone)
    assert [step["slices"] for step in found] == list(range(3, 3 + len(found)))
    assert found[-1]["dice"] >= GOALS[-1] or len(found) == MOST - 2
    assert all(step["dice"] < GOALS[-1] for step in found[:-1])
    for step in found[:2]:
        slices = painted_slices(a_cone.truth, step["slices"], axis=1)
        of_each = {}
        for name in tools.SIMPLE_TOOLS:
            mask = tools.apply(name, a_cone, slices).copy()
            mask[:, slices] = a_cone.truth[:, slices]
            of_each[name] = dice(mask, a_cone.truth)
        assert step["dice"] == max(of_each.values()) == of_each[step["tool"]]


def test_each_further_slice_is_the_suggested_one(a_cone, monkeypatch):
    from MetaSegmentLib import engine

    suggested, made = [], engine.Adapted.predict

    def predict(self):
        result = made(self)
        suggested.append(result.suggested_slices[0]["index"] if result.suggested_slices else None)
        return result

    monkeypatch.setattr(engine.Adapted, "predict", predict)
    record = {}
    Effort(("shape",)).fill(record, a_cone)
    found = record["effort"]["shape"]["steps"]
    assert found[0]["painted"] == a_cone.slices and len(found) > 1
    for before, after, index in zip(found, found[1:], suggested, strict=False):
        assert set(after["painted"]) - set(before["painted"]) == {index}
        assert after["slices"] == len(after["painted"]) == before["slices"] + 1 <= MOST
    assert found[-1]["dice"] >= GOALS[-1] or found[-1]["slices"] == MOST


def test_what_is_done_is_kept(tasks, monkeypatch):
    plan = Effort(("shape",))
    (first,) = work_through(tasks, plan)
    written = tasks[0].file.stat().st_mtime_ns
    assert work_through(tasks, plan) == [first] and tasks[0].file.stat().st_mtime_ns == written
    assert not Effort(("experts",)).complete(first)
    first["effort"]["shape"]["weights"] = {"baselines": "other"}
    assert not plan.complete(first)


def test_median_mean_and_share_by_data_set_and_over_all():
    def record(data_set, best, new):
        return {"data_set": data_set, "effort": {BEST_TOOL: best, "new": new}}

    records = [
        record("a", steps((3, 0.8), (8, 0.92)), steps((3, 0.8), (4, 0.92), (6, 0.96))),
        record("a", steps((3, 0.8), (12, 0.85)), steps((3, 0.91), (12, 0.93))),
        record("b", steps((3, 0.97)), {"error": "E"}),
    ]
    rows = {(row["data_set"], row["goal"], row["method"]): row for row in summarise_effort(records, ["new"])}
    row = rows["a", 0.9, "new"]
    assert (row["median"], row["mean"], row["reached"], row["cases"]) == (3.5, 3.5, 1.0, 2)
    assert row["ratio"] == pytest.approx(3.5 / 10.5)
    assert (rows["a", 0.9, BEST_TOOL]["mean"], rows["a", 0.9, BEST_TOOL]["reached"]) == (10.5, 0.5)
    overall = rows["all data sets", 0.95, "new"]
    assert (overall["median"], overall["failed"], overall["reached"]) == (13, 1, pytest.approx(1 / 3))
    assert overall["mean"] == pytest.approx((6 + 13 + 13) / 3)


def test_the_command_writes_the_three_files(a_data_set, arguments, tmp_path, capsys):
    output = tmp_path / "out"
    assert command.run(arguments("--data", a_data_set, "--output", output, "--methods", "shape", "--effort")) == 0
    printed = capsys.readouterr().out
    assert (output / "tables.md").read_text(encoding="utf-8") == printed
    assert "| phantoms | .90 | best simple tool, case by case | 4 |" in printed
    assert "| phantoms | .95 | shape | 4 |" in printed
    rows = json.loads((output / "summary.json").read_text(encoding="utf-8"))["rows"]
    assert len(rows) == 4 and all(3 <= row["mean"] <= NEVER for row in rows)
    assert "mean_interval_low" in (output / "tables.csv").read_text(encoding="utf-8")
    assert len(list((output / "effort" / "phantoms").glob("*-k3-inside.json"))) == 4


def test_only_the_default_is_run_when_no_method_is_named():
    assert command._methods(None, True) == ("fusion",)
