"""Records, resumption, failures, tables and the command."""

from __future__ import annotations

import argparse
import csv
import json

import pytest

from MetaSegmentLib.evaluation import command
from MetaSegmentLib.evaluation.cases import choose, find_cases
from MetaSegmentLib.evaluation.runner import PEERS, Plan, make_tasks, run_tasks
from MetaSegmentLib.evaluation.tables import BETTER_TOOL, summarise, to_markdown

pytest.importorskip("slicer", reason="slicer-core is not installed")


@pytest.fixture
def tasks_of(a_data_set, tmp_path):
    """Makes the tasks of a plan: both structures of both volumes, three slices painted."""
    return lambda plan: make_tasks(choose(find_cases(a_data_set), (3,), None), plan, tmp_path / "cases")


def test_slicers_tools_are_run_on_every_case(tasks_of):
    plan = Plan((), surface=True)
    records = run_tasks(tasks_of(plan), plan)
    assert len(records) == 4
    for record in records:
        assert set(record["methods"]) == set(PEERS)
        for scores in record["methods"].values():
            assert 0.5 < scores["dice"] <= 1
            assert scores["seconds"] > 0 and scores["peak_memory_mb"] > 10
            assert scores["hausdorff_95_mm"] >= 0 and 0 < scores["surface_dice_2mm"] <= 1
        assert "patient" not in json.dumps(record)


def test_what_is_done_is_not_run_again(tasks_of):
    plan = Plan(())
    tasks = tasks_of(plan)
    first = run_tasks(tasks, plan)
    tasks[1].file.unlink()
    tasks[2].file.write_text("{ torn")
    before = [task.file.stat().st_mtime_ns for task in (tasks[0], tasks[3])]
    second = run_tasks(tasks, plan)
    assert before == [task.file.stat().st_mtime_ns for task in (tasks[0], tasks[3])]
    assert [first[i] == second[i] for i in (0, 3)] == [True, True]
    for one, two in zip(first, second, strict=True):
        assert [one["methods"][name]["dice"] for name in PEERS] == [two["methods"][name]["dice"] for name in PEERS]


def test_other_labels_are_run_anew(tasks_of):
    plan = Plan(())
    task = tasks_of(plan)[0]
    (record,) = run_tasks([task], plan)
    record["fingerprint"] += 1
    record["methods"]["grow_from_seeds"]["dice"] = 2.0
    task.file.write_text(json.dumps(record))
    (again,) = run_tasks([task], plan)
    assert again["methods"]["grow_from_seeds"]["dice"] <= 1


def test_a_method_that_fails_is_recorded_counted_and_tried_again(tasks_of):
    plan = Plan(("no_such_method",))
    tasks = tasks_of(plan)
    records = run_tasks(tasks, plan)
    assert all("error" in record["methods"]["no_such_method"] for record in records)
    rows = {row["method"]: row for row in summarise(records, plan.methods)}
    assert (rows["no_such_method"]["failed"], rows["no_such_method"]["dice"]) == (4, 0.0)
    assert rows["grow_from_seeds"]["failed"] == 0
    assert "| failed |" in to_markdown(list(rows.values()))


def test_workers_give_the_same_scores(tasks_of, tmp_path):
    plan = Plan(())
    alone = run_tasks(tasks_of(plan), plan)
    for task in tasks_of(plan):
        task.file.unlink()
    together = run_tasks(tasks_of(plan), plan, jobs=2)
    for one, two in zip(alone, together, strict=True):
        assert (one["volume"], one["label"]) == (two["volume"], two["label"])
        assert [one["methods"][name]["dice"] for name in PEERS] == [two["methods"][name]["dice"] for name in PEERS]


def record_with(**dice):
    """A record in which the methods have these Dice, None for a failure."""
    scores = {
        name: {"error": "E"} if value is None else {"dice": value, "seconds": 1.0, "estimated_dice": value - 0.1}
        for name, value in dice.items()
    }
    return {"data_set": "set", "k": 3, "methods": scores}


def test_the_better_tool_is_taken_case_by_case():
    records = [
        record_with(fill_between_slices=0.5, grow_from_seeds=0.8, signed_distance=0.6, new=0.9),
        record_with(fill_between_slices=0.7, grow_from_seeds=0.4, signed_distance=0.6, new=0.695),
        record_with(fill_between_slices=0.6, grow_from_seeds=None, signed_distance=0.6, new=0.5),
        record_with(fill_between_slices=0.6, grow_from_seeds=0.6, signed_distance=0.6, new=None),
    ]
    rows = {row["method"]: row for row in summarise(records, ["new"])}
    assert rows[BETTER_TOOL]["dice"] == pytest.approx((0.8 + 0.7 + 0.6 + 0.6) / 4)
    assert rows[BETTER_TOOL]["seconds"] == 2.0
    assert rows["grow_from_seeds"]["dice"] == pytest.approx((0.8 + 0.4 + 0 + 0.6) / 4)
    assert rows["new"]["difference"] == pytest.approx((0.1 - 0.005 - 0.1 - 0.6) / 4)
    assert rows["new"]["not_worse"] == 0.5
    assert rows["new"]["estimate_error"] == pytest.approx(0.1)
    assert rows["new"]["estimate_correlation"] == pytest.approx(1)


def arguments(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_the_command_writes_tables_and_prints_them(a_data_set, tmp_path, capsys):
    pytest.importorskip("MetaSegmentLib.engine")
    output = tmp_path / "results"
    args = arguments("--data", a_data_set, "--output", output, "--methods", "shape", "--k", "3,5", "--limit", 2)
    assert command.run(args) == 0
    printed = capsys.readouterr().out
    assert "### phantoms, K = 3, 2 cases" in printed and "### phantoms, K = 5, 2 cases" in printed
    assert (output / "tables.md").read_text() == printed
    rows = list(csv.DictReader((output / "tables.csv").read_text().splitlines()))
    shape = {row["k"]: row for row in rows if row["method"] == "shape"}
    assert float(shape["3"]["dice"]) > 0.8 and float(shape["5"]["dice"]) > float(shape["3"]["dice"]) - 0.02
    assert shape["3"]["failed"] == "0" and 0.5 < float(shape["3"]["roc_area"]) <= 1
    summary = json.loads((output / "summary.json").read_text())
    assert {(curve["k"], curve["method"]) for curve in summary["curves"]} == {(3, "shape"), (5, "shape")}
    assert len(list((output / "cases" / "phantoms").glob("*.json"))) == 4
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return
    assert (output / "phantoms-k3.png").stat().st_size > 10_000


@pytest.mark.parametrize("wrong", [("--k", "0"), ("--k", "three"), ("--jobs", "-1"), ("--placement", "middle")])
def test_wrong_usage_ends_with_status_2(wrong, tmp_path):
    with pytest.raises(SystemExit) as caught:
        arguments("--data", tmp_path, "--output", tmp_path, *wrong)
    assert caught.value.code == 2
