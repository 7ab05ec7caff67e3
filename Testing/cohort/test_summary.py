"""The summary: rows, order, escaping, and a page that needs nothing else."""

from __future__ import annotations

import base64
import csv
import json
import re
from pathlib import Path

import numpy as np
from small_cohort import SHAPE_ONLY, InTurn, SmallCohort

from MetaSegmentLib import Result, run_cohort
from MetaSegmentLib.cohort.page import to_html
from MetaSegmentLib.cohort.picture import doubt
from MetaSegmentLib.cohort.summary import Row, Structure, by_doubt, write_summary

NASTY = "<script>alert('x')</script>\x1b\u2028"


def a_row(name: str, state: str = "done", worst: float | None = 0.1, segment: str = "liver") -> Row:
    structures = (Structure(1, segment, 12.5, 1250, 0.9, 0.8),) if state == "done" else ()
    return Row(name, state, structures, worst if state == "done" else None, 1.5, "A note.")


def test_the_files_of_a_cohort(four: SmallCohort, results: Path) -> None:
    run_cohort(four.painted(), results, SHAPE_ONLY, InTurn())
    with (results / "summary.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["state"], row["segment"], row["name"]) for row in rows] == [
        (f"case{n}", "done", "1", "ball") for n in range(4)
    ]
    truth = 4 / 3 * np.pi * 7**3
    assert all(abs(float(row["voxels"]) / truth - 1) < 0.15 for row in rows)
    assert all(abs(float(row["volume_ml"]) - float(row["voxels"]) * 0.002) < 1e-6 for row in rows)
    assert all(0.8 < float(row["estimated_dice"]) < 1 for row in rows)
    summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    assert summary["counts"] == {"done": 4} and summary["settings"]["method"] == "shape"
    assert [case["structures"][0]["voxels"] for case in summary["cases"]] == [int(row["voxels"]) for row in rows]


def test_most_doubtful_first() -> None:
    rows = [a_row("sure", worst=0.1), a_row("unsure", worst=0.7), a_row("later", "open"), a_row("bad", "failed")]
    assert [row.id for row in by_doubt(rows)] == ["bad", "unsure", "sure", "later"]
    page = to_html(by_doubt(rows), {"done": 2})
    assert page.index("bad") < page.index("unsure") < page.index("later")


def test_what_came_from_files_is_escaped() -> None:
    page = to_html([a_row(NASTY, segment=NASTY), Row(NASTY, "failed", sentence=NASTY)], {"done": 1})
    assert page.count("<script>") == 1  # the page's own
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page and "\u2028" not in page


def test_the_page_needs_nothing_else(four: SmallCohort, results: Path) -> None:
    run_cohort(four.painted(), results, SHAPE_ONLY, InTurn())
    page = (results / "summary.html").read_text(encoding="utf-8")
    pictures = re.findall(r'src="([^"]*)"', page)
    assert len(pictures) == 4
    for picture in pictures:
        assert base64.b64decode(picture.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    assert not re.search(r"https?://|@import|<link", page)


def test_the_outline_is_in_the_picture(four: SmallCohort, results: Path) -> None:
    from matplotlib.image import imread

    run_cohort(four.painted(), results, SHAPE_ONLY, InTurn())
    pixels = imread(results / "cases" / "case0.png")
    yellow = (pixels[..., 0] - pixels[..., 2]) > 0.5
    half = pixels.shape[1] // 2
    assert yellow[:, :half].any()
    rows = np.flatnonzero(yellow[:, :half].any(axis=1))
    assert 0.4 < (rows[-1] - rows[0]) / pixels.shape[0] < 0.75  # the ball's 14 of 24 voxels


def test_a_summary_replaces_an_older_one_whole(results: Path) -> None:
    results.mkdir()
    write_summary(results, [a_row("one")], {})
    write_summary(results, [a_row("two"), a_row("three", "open")], {})
    assert sorted(file.name for file in results.iterdir()) == ["summary.csv", "summary.html", "summary.json"]
    assert "one" not in (results / "summary.csv").read_text(encoding="utf-8").split("\n", 1)[1].replace("done", "")


def a_result(uncertainty: float) -> Result:
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[:2] = 1
    return Result(labels, np.full((4, 4, 4), uncertainty, np.float16), {}, [])


def test_doubt_goes_by_the_worst_that_is_known() -> None:
    def report(**found: object) -> dict[str, object]:
        return {
            "segments": {"1": {"voxels": 32, "estimated_dice": 0.9}, "2": {"voxels": 5, "estimated_dice": 0.7}}
        } | found

    results = [a_result(0.1)]
    assert doubt(results, report()) == 0.3
    assert doubt(results, report(found={"1": 0.2})) == 0.8
    nothing = {"segments": {"1": {"voxels": 0, "estimated_dice": None}}}
    assert doubt(results, nothing) == 1
    unknown = {"segments": {"1": {"voxels": 32, "estimated_dice": None}}}
    assert doubt([a_result(0.0)], unknown) == 0 < doubt([a_result(0.1)], unknown) < doubt([a_result(0.5)], unknown) < 1
