"""Records, resumption, failures, tables and the command."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from MetaSegmentLib.data.datasets import choose, find_cases
from MetaSegmentLib.errors import SettingsError
from MetaSegmentLib.evaluation import command, origin
from MetaSegmentLib.evaluation.layout import number, to_markdown
from MetaSegmentLib.evaluation.records import make_tasks, paint_task, work_through
from MetaSegmentLib.evaluation.runner import PEERS, Comparison
from MetaSegmentLib.evaluation.suggestions import Suggestions
from MetaSegmentLib.evaluation.tables import BETTER_TOOL, interval_of_mean, summarise
from MetaSegmentLib.predictors.registry import ABLATIONS, METHODS, Maker, MethodInfo

pytest.importorskip("slicer", reason="slicer-core is not installed")


@pytest.fixture
def tasks(a_data_set, tmp_path):
    """The tasks of a data set: both structures of both volumes, three slices painted."""
    return make_tasks(choose(find_cases(a_data_set), (3,), None), ["inside"], tmp_path / "cases")


def test_slicers_tools_are_run_on_every_case(tasks):
    plan = Comparison(())
    records = work_through(tasks, plan)
    assert len(records) == 4
    for record in records:
        assert set(record["methods"]) == set(PEERS)
        for scores in record["methods"].values():
            assert 0.5 < scores["dice"] <= 1
            assert scores["seconds"] > 0 and scores["peak_memory_mb"] > 10
            assert scores["hausdorff_95_mm"] >= 0 and 0 < scores["surface_dice_2mm"] <= 1
        assert "patient" not in json.dumps(record)


def test_what_is_done_is_not_run_again(tasks):
    plan = Comparison((), surface=False)
    first = work_through(tasks, plan)
    tasks[1].file.unlink()
    tasks[2].file.write_text("{ torn", encoding="utf-8")
    before = [task.file.stat().st_mtime_ns for task in (tasks[0], tasks[3])]
    second = work_through(tasks, plan)
    assert before == [task.file.stat().st_mtime_ns for task in (tasks[0], tasks[3])]
    assert [first[i] == second[i] for i in (0, 3)] == [True, True]
    for one, two in zip(first, second, strict=True):
        assert [one["methods"][name]["dice"] for name in PEERS] == [two["methods"][name]["dice"] for name in PEERS]


def test_other_labels_are_run_anew(tasks):
    plan = Comparison((), surface=False)
    task = tasks[0]
    (record,) = work_through([task], plan)
    record["fingerprint"] += 1
    record["methods"]["grow_from_seeds"]["dice"] = 2.0
    task.file.write_text(json.dumps(record), encoding="utf-8")
    (again,) = work_through([task], plan)
    assert again["methods"]["grow_from_seeds"]["dice"] <= 1


def test_a_method_that_fails_is_recorded_counted_and_tried_again(tasks, monkeypatch):
    broken = MethodInfo("broken", "Broken", "", ("baselines",), Maker("predictors.shape", "NoSuchThing"))
    monkeypatch.setitem(METHODS, "broken", broken)
    plan = Comparison(("broken",), surface=False)
    records = work_through(tasks, plan)
    assert all("error" in record["methods"]["broken"] for record in records)
    rows = {row["method"]: row for row in summarise(records, plan.methods)}
    assert (rows["broken"]["failed"], rows["broken"]["dice"]) == (4, 0.0)
    assert rows["grow_from_seeds"]["failed"] == 0
    assert "| failed |" in to_markdown(list(rows.values()))


def test_workers_give_the_same_scores(tasks, tmp_path):
    plan = Comparison((), surface=False)
    alone = work_through(tasks, plan)
    for task in tasks:
        task.file.unlink()
    together = work_through(tasks, plan, jobs=2)
    for one, two in zip(alone, together, strict=True):
        assert (one["volume"], one["label"]) == (two["volume"], two["label"])
        assert [one["methods"][name]["dice"] for name in PEERS] == [two["methods"][name]["dice"] for name in PEERS]


def record_with(**dice):
    """A record in which the methods have these Dice, None for a failure."""
    scores = {
        name: {"error": "E"} if value is None else {"dice": value, "seconds": 1.0, "estimated_dice": value - 0.1}
        for name, value in dice.items()
    }
    return {"data_set": "set", "k": 3, "placement": "inside", "methods": scores}


def test_the_better_tool_is_taken_case_by_case():
    records = [
        record_with(fill_between_slices=0.5, grow_from_seeds=0.8, signed_distance=0.6, average=0.6, new=0.9),
        record_with(fill_between_slices=0.7, grow_from_seeds=0.4, signed_distance=0.6, average=0.6, new=0.695),
        record_with(fill_between_slices=0.6, grow_from_seeds=None, signed_distance=0.6, average=0.6, new=0.5),
        record_with(fill_between_slices=0.6, grow_from_seeds=0.6, signed_distance=0.6, average=0.6, new=None),
    ]
    rows = {row["method"]: row for row in summarise(records, ["new"])}
    assert rows[BETTER_TOOL]["dice"] == pytest.approx((0.8 + 0.7 + 0.6 + 0.6) / 4)
    assert rows[BETTER_TOOL]["seconds"] == 2.0
    assert rows["grow_from_seeds"]["dice"] == pytest.approx((0.8 + 0.4 + 0 + 0.6) / 4)
    assert rows["new"]["difference"] == pytest.approx((0.1 - 0.005 - 0.1 - 0.6) / 4)
    assert rows["new"]["not_worse"] == 0.5
    assert rows["new"]["to_average"] == pytest.approx((0.3 + 0.095 - 0.1 - 0.6) / 4)
    low, high = rows["new"]["difference_interval"]
    assert low < rows["new"]["difference"] < high
    assert rows["new"]["estimate_error"] == pytest.approx(0.1)
    assert rows["new"]["estimate_correlation"] == pytest.approx(1)


def test_the_interval_shrinks_with_the_number_of_cases():
    random = np.random.default_rng(0)
    few, many = (interval_of_mean(random.normal(0.1, 0.05, n)) for n in (10, 160))
    assert few[0] < 0.1 < few[1] and many[1] - many[0] < 0.5 * (few[1] - few[0])
    assert many[1] - many[0] == pytest.approx(2 * 1.96 * 0.05 / 160**0.5, rel=0.25)
    assert interval_of_mean([0.1]) is None


def test_numbers_are_written_short():
    assert [number(v, "+.3f") for v in (0.0849, -0.02, None)] == ["+.085", "−.020", ""]
    assert number(0.5, ".0%") == "50%"


def test_changed_weights_are_run_anew(tasks, monkeypatch):
    plan = Comparison(("shape",), surface=False)
    (record,) = work_through(tasks[:1], plan)
    assert plan.complete(record)
    assert not Comparison(("shape",)).complete(record)  # surface distances are missing
    monkeypatch.setitem(METHODS, "shape", replace(METHODS["shape"], weights=("base",)))
    assert not plan.complete(record)


def test_what_other_code_has_made_is_run_anew(tasks, monkeypatch):
    plan, suggestions = Comparison(("shape",), surface=False), Suggestions(("shape",))
    (record,) = work_through(tasks[:1], plan)
    tool = record["methods"]["signed_distance"]
    suggestions.fill(record, paint_task(tasks[0], record))
    assert plan.complete(record) and suggestions.complete(record)
    monkeypatch.setattr(origin, "code_checksum", lambda: "of other code")
    assert not plan.complete(record) and not suggestions.complete(record)
    (again,) = work_through(tasks[:1], plan)
    assert again["methods"]["shape"]["code"] == "of other code"
    assert again["methods"]["signed_distance"] == tool  # not ours, and not run again
    monkeypatch.setattr(origin, "tools_checksum", lambda: "of other tools")
    assert not plan.complete(again)
    assert work_through(tasks[:1], plan)[0]["methods"]["signed_distance"]["code"] == "of other tools"


def test_the_command_writes_tables_and_prints_them(a_data_set, arguments, tmp_path, capsys):
    output = tmp_path / "results"
    words = ("--data", a_data_set, "--output", output, "--methods", "shape", "--k", "3,5", "--limit", 2)
    assert command.run(arguments(*words, "--placement", "inside,ends")) == 0
    printed = capsys.readouterr().out
    for placement in ("inside", "ends"):
        assert f"`{placement}`, phantoms; K = 3: 2 cases, K = 5: 2 cases" in printed
        assert f"## phantoms, {placement}, K = 5, 2 cases" in printed
    assert printed.index("`inside`") < printed.index("`ends`")
    assert (output / "tables.md").read_text(encoding="utf-8") == printed
    rows = list(csv.DictReader((output / "tables.csv").read_text(encoding="utf-8").splitlines()))
    shape = {row["k"]: row for row in rows if row["method"] == "shape" and row["placement"] == "inside"}
    assert float(shape["3"]["dice"]) > 0.8 and float(shape["5"]["dice"]) > float(shape["3"]["dice"]) - 0.02
    assert shape["3"]["failed"] == "0" and 0.5 < float(shape["3"]["roc_area"]) <= 1
    assert (
        float(shape["3"]["dice_interval_low"]) <= float(shape["3"]["dice"]) <= float(shape["3"]["dice_interval_high"])
    )
    assert 0 < float(shape["3"]["brier"]) < 0.2 and float(shape["3"]["surface_dice_2mm"]) > 0.5
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    assert {(c["k"], c["method"], c["placement"]) for c in summary["curves"]} == {
        (k, "shape", placement) for k in (3, 5) for placement in ("inside", "ends")
    }
    assert len(list((output / "cases" / "phantoms").glob("*.json"))) == 8
    pytest.importorskip("matplotlib")
    assert (output / "phantoms-inside-k3.png").stat().st_size > 10_000


def test_the_ablation_is_the_default_without_each_part():
    names = command._methods(["shape", "ablation"], False)
    assert names[:2] == ("shape", "fusion") and set(names[2:]) == set(ABLATIONS)
    with pytest.raises(SettingsError, match="no method 'magic'"):
        command._methods(["magic"], False)


@pytest.mark.parametrize(
    "wrong", [("--k", "0"), ("--k", "three"), ("--jobs", "-1"), ("--placement", "middle"), ("--k", "")]
)
def test_wrong_usage_ends_with_status_2(wrong, arguments, tmp_path):
    with pytest.raises(SystemExit) as caught:
        arguments("--data", tmp_path, "--output", tmp_path, *wrong)
    assert caught.value.code == 2
