"""Methods against the best of four simple tools, case by case: all cases, the same ones at every K, by anatomy."""

from __future__ import annotations

import pytest

from MetaSegmentLib.evaluation.layout import leads, to_csv, to_markdown
from MetaSegmentLib.evaluation.tables import BEST_TOOL, by_anatomy, compared, same_cases, summarise

TOOLS = ("fill_between_slices", "grow_from_seeds", "signed_distance", "random_walker", "average")


def record(tools, new, estimate, k=3, volume=1, data_set="set"):
    """A record with the Dice of each tool, and of the method ``new`` with its estimate."""
    methods = {name: {"dice": value, "seconds": 1.0} for name, value in zip(TOOLS, (*tools, 0.1), strict=True)}
    methods["random_walker"]["maker"] = "scikit-image 1.0"
    methods["new"] = {"dice": new, "seconds": 1.0, "estimated_dice": estimate}
    head = {"data_set": data_set, "volume": volume, "label": 1, "axis": 0, "k": k, "placement": "inside"}
    return {**head, "methods": methods}


@pytest.fixture
def records():
    """Four cases, each won by another tool."""
    return [
        record((0.8, 0.5, 0.5, 0.5), 0.9, 0.92),
        record((0.5, 0.8, 0.5, 0.5), 0.795, 0.85, volume=2),
        record((0.5, 0.5, 0.7, 0.5), 0.6, 0.91, volume=3),
        record((0.5, 0.5, 0.5, 0.7), 0.65, 0.9, volume=4),
    ]


def test_the_best_of_four_is_taken_case_by_case(records):
    rows = {row["method"]: row for row in summarise(records, ["new"])}
    assert rows[BEST_TOOL]["dice"] == pytest.approx(0.75) and rows[BEST_TOOL]["lead"] is None
    assert rows[BEST_TOOL]["seconds"] == 4.0
    new = rows["new"]
    assert new["lead"] == pytest.approx((0.1 - 0.005 - 0.1 - 0.05) / 4)
    low, high = new["lead_interval"]
    assert low < new["lead"] < high
    assert new["worse"] == 0.5, "a case .005 below is not worse"
    assert new["overconfident"] == 1, "an estimate of just .9 promises nothing"
    assert rows["random_walker"]["lead"] == pytest.approx((0.5 + 0.5 + 0.5 + 0.7) / 4 - 0.75)


def test_whose_random_walker_it_is_stands_in_the_table(records):
    markdown = to_markdown(summarise(records, ["new"]))
    assert "| random walker (scikit-image 1.0) |" in markdown
    assert "| set | 3 | new | 4 | .750 | .736 | −.014 [" in markdown and "| 50% |" in markdown
    assert "by anatomy" not in markdown and "same cases" not in markdown


def test_columns_are_added_behind_those_that_were_there(records):
    head = to_csv(summarise(records, ["new"])).splitlines()[0]
    assert head.startswith("placement,data_set,k,method,cases,failed,dice,dice_interval_low,dice_interval_high,diff")
    assert "estimate_correlation,lead,lead_interval_low,lead_interval_high,worse,overconfident,maker" in head


def test_records_without_the_random_walker_are_still_read(records):
    for one in records:
        del one["methods"]["random_walker"]
    rows = summarise(records, ["new"])
    assert BEST_TOOL not in compared(records) and all(row["lead"] is None for row in rows)
    assert leads(rows) == "" and "best simple tool" not in to_markdown(rows)


def test_the_same_cases_are_those_at_every_k(records):
    more = [record((0.9, 0.5, 0.5, 0.5), 0.9, 0.9, k=5, volume=n) for n in (1, 3)]
    same = same_cases([*records, *more])
    assert [(one["k"], one["volume"]) for one in same] == [(3, 1), (3, 3), (5, 1), (5, 3)]
    assert same_cases(records) == []
    elsewhere = record((0.9, 0.5, 0.5, 0.5), 0.9, 0.9, k=5, volume=2, data_set="other")
    assert len(same_cases([*records, *more, elsewhere])) == 4, "a volume of another data set has the same number"
    markdown = to_markdown(summarise([*records, *more], ["new"]), summarise(same, ["new"]))
    assert "## The same cases at every K\n\n`inside`, set; K = 3: 2 cases, K = 5: 2 cases" in markdown


def test_data_sets_of_one_anatomy_are_put_together(records):
    records[1]["data_set"], records[2]["data_set"] = "second", "third"
    anatomies = {"set": "heart", "second": "heart"}
    rows = summarise(by_anatomy(records, anatomies), ["new"])
    assert {(row["data_set"], row["cases"]) for row in rows} == {("heart", 3)}
    assert "| anatomy | K |" in to_markdown(summarise(records, ["new"]), by_anatomy=rows)
    assert records[0]["data_set"] == "set"
