"""Nothing is done twice and nothing is lost: what a folder knows of its batch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_cohort import ENVIRONMENT, SHAPE_ONLY, InTurn, SmallCohort

from MetaSegmentLib import OutputError, Settings, run_cohort
from MetaSegmentLib.cohort.journal import NAME, Journal


def again(four: SmallCohort, results: Path, settings: Settings = SHAPE_ONLY) -> list[str]:
    """The ids of what a resumed batch does."""
    workers = InTurn()
    cohort = run_cohort(four.painted(), results, settings, workers, resume=True)
    assert len(cohort.done) == 4
    return [order.case.id for order in workers.orders]


@pytest.fixture
def finished(four: SmallCohort, results: Path) -> Path:
    run_cohort(four.painted(), results, SHAPE_ONLY, InTurn())
    return results


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / NAME).read_text(encoding="utf-8").splitlines()]


def test_finished_cases_are_not_done_again(four: SmallCohort, finished: Path) -> None:
    before = {file.name: file.stat().st_mtime_ns for file in finished.glob("*.seg.nrrd")}
    assert again(four, finished) == []
    assert {file.name: file.stat().st_mtime_ns for file in finished.glob("*.seg.nrrd")} == before
    assert [line["id"] for line in lines(finished)] == [f"case{n}" for n in range(4)]


def test_the_summary_is_there_again_after_a_resume(four: SmallCohort, finished: Path) -> None:
    text = (finished / "summary.csv").read_text(encoding="utf-8")
    (finished / "summary.csv").unlink()
    again(four, finished)
    assert (finished / "summary.csv").read_text(encoding="utf-8").splitlines()[0] == text.splitlines()[0]
    assert (finished / "summary.html").read_text(encoding="utf-8").count("<img") == 4


@pytest.mark.parametrize("change", ["gone", "altered", "no record", "half a record", "no picture"])
def test_a_result_that_is_not_as_it_was_written_is_made_again(four: SmallCohort, finished: Path, change: str) -> None:
    output, record = finished / "case2.seg.nrrd", finished / "cases" / "case2.json"
    if change == "gone":
        output.unlink()
    elif change == "altered":
        output.write_bytes(output.read_bytes()[:-1])
    elif change == "no record":
        record.unlink()
    elif change == "no picture":
        record.with_suffix(".png").unlink()
    else:
        record.write_bytes(record.read_bytes()[:40])
    assert again(four, finished) == ["case2"]


def test_other_settings_and_other_paint_are_another_task(four: SmallCohort, finished: Path, tmp_path: Path) -> None:
    assert len(again(four, finished, Settings("propagation"))) == 4
    assert len(again(four, finished, Settings("propagation"))) == 0


def test_a_result_that_outlived_its_batch_is_taken_over(four: SmallCohort, finished: Path) -> None:
    """The worker had renamed the files, and the batch was killed before it wrote its line."""
    kept = (finished / NAME).read_bytes().splitlines(keepends=True)
    (finished / NAME).write_bytes(b"".join(kept[:-1]) + kept[-1][:17])
    assert again(four, finished) == []
    *before, cut, found = (finished / NAME).read_text(encoding="utf-8").splitlines()
    assert len(before) == 3 and cut == kept[-1][:17].decode()
    assert (json.loads(found)["id"], json.loads(found)["found"]) == ("case3", True)


def test_a_folder_with_a_batch_is_not_taken_for_another_one(four: SmallCohort, finished: Path) -> None:
    with pytest.raises(OutputError, match="--resume"):
        run_cohort(four.painted(), finished, SHAPE_ONLY, InTurn())


def test_two_batches_do_not_write_into_one_folder(four: SmallCohort, results: Path) -> None:
    with Journal(results), pytest.raises(OutputError, match="Another batch"):
        run_cohort(four.painted(), results, SHAPE_ONLY, InTurn(), resume=True)
    assert len(run_cohort(four.painted(), results, SHAPE_ONLY, InTurn(), resume=True).done) == 4


def test_the_lock_of_a_killed_batch_is_taken_over(four: SmallCohort, results: Path) -> None:
    code = (
        "import sys, pathlib\nfrom MetaSegmentLib.cohort.journal import Journal\n"
        "j = Journal(pathlib.Path(sys.argv[1]))\nprint('held', flush=True)\nsys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(results)],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match="Another batch"):
            Journal(results, resume=True)
        if os.name == "posix":
            os.kill(holder.pid, signal.SIGKILL)
        else:
            holder.kill()
        holder.wait()
        with Journal(results, resume=True):
            pass
    finally:
        holder.kill()
        holder.communicate()
