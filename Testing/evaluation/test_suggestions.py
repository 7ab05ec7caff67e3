"""What one more painted slice gains, by each rule of choosing it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from MetaSegmentLib.data.datasets import choose, find_cases
from MetaSegmentLib.evaluation import command
from MetaSegmentLib.evaluation.records import make_tasks, work_through
from MetaSegmentLib.evaluation.suggestions import (
    CHOICES,
    ORACLE,
    SUGGESTED,
    WIDEST,
    Suggestions,
    around,
    choose_slices,
    summarise_gains,
)


@pytest.mark.parametrize(
    ("painted", "depth", "expected"),
    [([2, 8, 20], 30, 14), ([0, 6, 12], 30, 3), ([4, 5, 6], 9, 3), ([7], 9, 6), ([0], 9, 1), ([0, 1, 3], 9, 2)],
)
def test_the_middle_of_the_widest_gap(painted, depth, expected):
    assert choose_slices(painted, [], depth, np.random.default_rng(0))[WIDEST] == expected


def test_all_choices_are_unpainted_and_within_a_gap_of_the_paint():
    random = np.random.default_rng(0)
    for _ in range(50):
        painted = sorted(random.choice(30, 3, replace=False).tolist())
        gap = max(np.diff(painted))
        chosen = choose_slices(painted, [], 30, random)
        for index in [*chosen.values(), *around(painted, 30, 8)]:
            assert index not in painted and painted[0] - gap <= index <= painted[-1] + gap
        assert len(around(painted, 30, 8)) <= 8


def test_each_choice_is_painted_and_the_best_is_best(a_data_set, tmp_path):
    tasks = make_tasks(choose(find_cases(a_data_set), (3,), 1), ["inside"], tmp_path)
    plan = Suggestions(("shape",))
    (record,) = work_through(tasks, plan)
    found = record["suggestions"]["shape"]
    assert plan.complete(json.loads(tasks[0].file.read_text(encoding="utf-8")))
    assert set(found["after"]) == set(found["slice"]) == set(CHOICES)
    assert found["after"][ORACLE] == max(found["after"].values())
    assert 0.5 < found["before"] < 1


def test_gains_are_averaged_over_cases():
    def record(before, *after):
        done = {"before": before, "after": dict(zip(CHOICES, after, strict=True)), "slice": {}}
        return {"placement": "inside", "k": 3, "suggestions": {"m": done}}

    rows = summarise_gains([record(0.8, 0.86, 0.84, 0.82, 0.88), record(0.7, 0.76, 0.72, 0.7, 0.8)], ["m"])
    by_choice = {row["choice"]: row for row in rows}
    assert by_choice["none"]["dice"] == pytest.approx(0.75)
    assert by_choice[SUGGESTED]["gain"] == pytest.approx(0.06)
    assert by_choice[SUGGESTED]["ratio"] == pytest.approx(2)
    assert by_choice[WIDEST]["ratio"] == 1


def test_the_command_prints_the_gains(a_data_set, arguments, tmp_path, capsys):
    words = ("--data", a_data_set, "--output", tmp_path / "out", "--methods", "shape", "--k", 3, "--limit", 1)
    assert command.run(arguments(*words, "--suggestions")) == 0
    printed = capsys.readouterr().out
    assert "| inside | 3 | shape | 1 | suggested |" in printed
    assert (tmp_path / "out" / "suggestions.md").read_text(encoding="utf-8") == printed
    rows = json.loads((tmp_path / "out" / "suggestions.json").read_text(encoding="utf-8"))["rows"]
    assert {row["choice"] for row in rows} == {"none", *CHOICES}
    pytest.importorskip("matplotlib")
    assert (tmp_path / "out" / "suggestions.png").stat().st_size > 5_000
