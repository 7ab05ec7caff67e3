"""A cohort from cases to results: the same as one by one, and no case stops another one."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from small_cohort import GRID, SHAPE, SHAPE_ONLY, InTurn, SmallCohort, labels_in

import MetaSegmentLib.engine as engine
import MetaSegmentLib.files.outputs as files_outputs
from files.dicom_results import PERSON, a_series
from MetaSegmentLib import Case, InputError, MetaSegmentError, OutputError, run_cohort
from MetaSegmentLib.cli import main
from MetaSegmentLib.cohort.cases import Common, Problem
from MetaSegmentLib.cohort.journal import Journal
from MetaSegmentLib.cohort.order import Order, Outcome
from MetaSegmentLib.cohort.run import Cohort, run_source
from MetaSegmentLib.cohort.work import perform
from MetaSegmentLib.files.images import read_image, write_image


def run(cases: list[Case], folder: Path, workers: InTurn | None = None, **more: object) -> Cohort:
    return run_cohort(cases, folder, SHAPE_ONLY, workers or InTurn(), **more)


def alone(case: Case, output: Path, settings: str = "shape") -> bytes:
    """The voxels that ``metasegment segment`` writes for a case."""
    words = ["--image", case.image, "--support", case.support[0], "--output", output, "--method", settings]
    words += ["--support-image", case.support_images[0]] if case.support_images else []
    assert main(["segment", *map(str, words), "--quiet"]) == 0
    return read_image(output)[0].tobytes()


def test_results_are_those_of_one_by_one(four: SmallCohort, results: Path, tmp_path: Path) -> None:
    cases = four.painted()
    cohort = run(cases, results)
    assert [row.state for row in cohort.rows] == ["done"] * 4
    assert labels_in(results) == {f"{case.id}.seg.nrrd": alone(case, tmp_path / "one.seg.nrrd") for case in cases}


def test_one_support_is_adapted_to_once_and_gives_the_results_of_one_by_one(
    four: SmallCohort, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = four.from_first()
    expected = {f"{case.id}.seg.nrrd": alone(case, tmp_path / "one.seg.nrrd") for case in cases}
    adapted = []
    real = engine.adapt
    monkeypatch.setattr(engine, "adapt", lambda *given: adapted.append(1) or real(*given))
    run(cases, results)
    assert labels_in(results) == expected
    assert len(adapted) == 1


def test_a_support_that_was_painted_again_is_read_again(four: SmallCohort, results: Path, tmp_path: Path) -> None:
    small = SmallCohort(tmp_path / "own", 2)
    run(small.from_first(), results)
    before = labels_in(results)
    small.paint(0).write_bytes(four.paint(3).read_bytes())
    run(small.from_first(), results, resume=True)
    assert labels_in(results) != before


def test_a_case_may_have_its_own_method_slices_and_output(four: SmallCohort, results: Path) -> None:
    case = replace(four.painted()[0], method="propagation", slices="7,16", output=results / "deeper" / "a.nii.gz")
    run([case], results)
    report = json.loads((results / "cases" / "case0.json").read_text(encoding="utf-8"))["report"]
    assert (report["method"], report["support_slices"]) == ("propagation", [7, 16])
    assert read_image(case.output)[0].any()


@pytest.mark.parametrize("fault", ["unreadable image", "missing image", "wrong grid", "empty support", "no paint"])
def test_a_case_that_cannot_be_done_does_not_stop_the_others(
    four: SmallCohort, results: Path, tmp_path: Path, fault: str
) -> None:
    bad = tmp_path / "bad.nrrd"
    case = Case("bad", four.image(0), (bad,))
    if fault == "unreadable image":
        bad.write_bytes(four.image(0).read_bytes()[:300])
        case = Case("bad", bad, (four.paint(0),))
    elif fault == "missing image":
        case = Case("bad", bad, (four.paint(0),))
    elif fault == "no paint":
        case = Case("bad", four.image(0))
    else:
        shape = SHAPE if fault == "empty support" else (20, 20, 20)
        write_image(bad, np.full(shape, fault == "wrong grid", np.uint8), replace(GRID, size=shape))
    cohort = run([case, *four.painted()], results)
    assert [row.state for row in cohort.rows] == ["failed", *["done"] * 4]
    assert len(cohort.rows[0].sentence) > 20
    assert not (results / "bad.seg.nrrd").exists()
    assert sorted(labels_in(results)) == [f"case{n}.seg.nrrd" for n in range(4)]


def test_the_command_names_what_failed_and_ends_with_1(
    four: SmallCohort,
    results: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("MetaSegmentLib.cohort.engine.Workers", lambda *given, **more: InTurn())
    monkeypatch.setattr("MetaSegmentLib.cohort.command._workers", lambda args: InTurn())
    manifest = four.folder / "bad.csv"
    manifest.write_text("id,image,support\ngood,i0.nrrd,s0.seg.nrrd\nbad,none.nrrd,s0.seg.nrrd\n", encoding="utf-8")
    words = ["batch", "--manifest", str(manifest), "--output", str(results), "--method", "shape", "--quiet"]
    assert main(words) == 1
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("metasegment: bad: ")
    assert main(words) == 1  # without --resume
    assert "--resume" in capsys.readouterr().err
    manifest.write_text("id,image,support\ngood,i0.nrrd,s0.seg.nrrd\n", encoding="utf-8")
    assert main([*words, "--resume"]) == 0


def test_nothing_that_identifies_a_patient_is_in_what_is_written_about_them(four: SmallCohort, results: Path) -> None:
    run([*four.painted(), Case("bad", four.folder / "Mustermann.nrrd", (four.paint(0),))], results)
    for file in [results / "journal.jsonl", *results.glob("summary.*"), *results.glob("cases/*.json")]:
        text = file.read_text(encoding="utf-8")
        assert "case0" in text or file.parent.name == "cases"
        assert "Mustermann" not in text and str(results.parent) not in text, file.name


def test_two_cases_of_one_name_are_refused(four: SmallCohort, results: Path) -> None:
    first, second, *_ = four.painted()
    with pytest.raises(InputError, match="twice"):
        run([first, replace(second, id=first.id.upper())], results)
    with pytest.raises(InputError, match="twice"):
        run([replace(one, output=results / "same.seg.nrrd") for one in (first, second)], results)


def test_an_output_outside_the_folder_is_refused(four: SmallCohort, results: Path) -> None:
    with pytest.raises(InputError, match="outside"):
        run([replace(four.painted()[0], output=results / ".." / "out.seg.nrrd")], results)


def test_a_full_disk_fails_the_case_and_leaves_nothing_half_written(
    four: SmallCohort, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = files_outputs.write_segmentation, []

    def write(path: Path, layers: list[np.ndarray], *more: object) -> None:
        calls.append(path)
        if path.name == "case1.seg.nrrd" and layers[0].shape == SHAPE:
            path.write_bytes(b"NRRD0004 half")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, layers, *more)

    monkeypatch.setattr(files_outputs, "write_segmentation", write)
    cohort = run(four.painted(), results)
    assert [row.state for row in cohort.rows] == ["done", "failed", "done", "done"]
    assert "disk is full" in cohort.rows[1].sentence
    assert not (results / "case1.seg.nrrd").exists()
    monkeypatch.undo()
    again = InTurn()
    assert [row.state for row in run(four.painted(), results, again, resume=True).rows] == ["done"] * 4
    assert [order.case.id for order in again.orders] == ["case1"]


def test_a_disk_that_is_too_full_for_the_journal_ends_the_batch_and_loses_nothing(
    four: SmallCohort, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Journal.enter

    def enter(journal: Journal, order: Order, outcome: Outcome, **more: object) -> None:
        if order.case.id == "case2":
            journal._file.write(b'{"id": "case2", "sta')
            raise OutputError("The disk is full; free some space or write to another folder.")
        real(journal, order, outcome, **more)

    monkeypatch.setattr(Journal, "enter", enter)
    with pytest.raises(OutputError, match="disk is full"):
        run(four.painted(), results)
    monkeypatch.undo()
    again = InTurn()
    assert len(run(four.painted(), results, again, resume=True).done) == 4
    assert [order.case.id for order in again.orders] == ["case3"]  # case2 was written before its line was


def outcomes(states: dict[str, list[str]]) -> InTurn:
    """An engine whose cases end so, in turn; all others are done."""

    def answer(order: Order) -> Outcome:
        left = states.get(order.case.id, [])
        return Outcome(order.case.id, left.pop(0), "Too little.") if left else perform(order)

    return InTurn(answer)


def test_a_case_that_does_not_fit_is_run_alone_and_then_with_less(four: SmallCohort, results: Path) -> None:
    workers = outcomes({"case0": ["memory"], "case1": ["lost", "memory"], "case2": ["memory", "lost", "memory"]})
    cohort = run(four.painted(), results, workers)
    assert [row.state for row in cohort.rows] == ["done", "done", "failed", "done"]
    assert cohort.rows[2].sentence == "Too little."
    tries = [(order.case.id, order.settings.sparing) for order in workers.orders]
    assert tries[4:] == [("case0", False), ("case1", False), ("case1", True), ("case2", False), ("case2", True)]
    assert workers.rooms == 1


def test_sparing_changes_nothing_in_the_result(four: SmallCohort, results: Path, tmp_path: Path) -> None:
    workers = outcomes({"case0": ["memory", "memory"]})
    run(four.painted()[:1], results, workers)
    assert workers.orders[-1].settings.sparing
    assert labels_in(results)["case0.seg.nrrd"] == alone(four.painted()[0], tmp_path / "one.seg.nrrd")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate")])
def test_memory_that_runs_out_is_known_as_such(
    four: SmallCohort, results: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*given: object, **more: object) -> None:
        raise error

    monkeypatch.setattr("MetaSegmentLib.cohort.work.run_job", fail)
    workers = InTurn()
    cohort = run(four.painted()[:1], results, workers)
    assert len(workers.orders) == 3
    assert "memory" in cohort.rows[0].sentence


def test_a_fault_of_the_program_fails_its_case_only(
    four: SmallCohort, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **more: object) -> None:
        raise ZeroDivisionError("of Mustermann")

    monkeypatch.setattr("MetaSegmentLib.cohort.work.run_job", fail)
    (row,) = run(four.painted()[:1], results).rows
    assert row.state == "failed" and "ZeroDivisionError" in row.sentence and "Mustermann" not in row.sentence


def test_another_version_on_a_worker_is_refused(four: SmallCohort, results: Path) -> None:
    workers = InTurn(lambda order: perform(replace(order, program="0.0 of long ago")))
    (row,) = run(four.painted()[:1], results, workers).rows
    assert row.state == "failed" and "version" in row.sentence


def test_cases_of_one_support_come_one_after_the_other(four: SmallCohort, results: Path) -> None:
    mixed = [Case(f"{n}{m}", four.image(2), (four.paint(m),), (four.image(m),)) for n in range(2) for m in range(2)]
    workers = InTurn()
    run(mixed, results, workers)
    assert [order.case.id for order in workers.orders] == ["00", "10", "01", "11"]


def test_cases_that_cannot_be_run_are_failed_rows(four: SmallCohort, results: Path) -> None:
    cohort = run(four.painted()[:1], results, problems=[Problem("other", "Its image is named twice.")])
    assert [(row.id, row.state) for row in cohort.rows] == [("case0", "done"), ("other", "failed")]


def test_progress_counts_failures_and_a_cancel_leaves_a_summary(four: SmallCohort, results: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    bad = Case("bad", four.folder / "none.nrrd", (four.paint(0),))
    with pytest.raises(MetaSegmentError):
        run(
            [bad, *four.painted()],
            results,
            progress=lambda stage, done, total, eta: seen.append((stage, done, total)),
            cancel=lambda: len(seen) > 2,
        )
    assert seen == [("segmenting", 0, 5), ("segmenting, 1 failed", 1, 5), ("segmenting, 1 failed", 2, 5)]
    rows = json.loads((results / "summary.json").read_text(encoding="utf-8"))["cases"]
    assert [row["state"] for row in rows].count("open") == 2


def test_several_patients_and_own_paint_are_those_of_one_by_one(
    four: SmallCohort, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supports, images = (four.paint(0), four.paint(1)), (four.image(0), four.image(1))
    cases = [
        Case("from two", four.image(2), supports, images),
        Case("with own", four.image(3), supports, images, own=four.paint(3)),
    ]
    given = ["--support", supports[0], "--support-image", images[0], "--support", supports[1]]
    given += ["--support-image", images[1], "--method", "shape", "--quiet"]
    expected = {}
    for case in cases:
        output = tmp_path / f"{case.id}.seg.nrrd"
        words = ["segment", "--image", case.image, *given, *(["--own", case.own] if case.own else [])]
        assert main([*map(str, words), "--output", str(output)]) == 0
        expected[output.name] = read_image(output)[0].tobytes()
    adapted = []
    real = engine.adapt
    monkeypatch.setattr(engine, "adapt", lambda *given: adapted.append(1) or real(*given))
    cohort = run(cases, results)
    assert labels_in(results) == expected
    assert len(adapted) == 2
    found = {row.id: row.structures[0].found for row in cohort.rows}
    assert found["from two"] is not None and 0 <= found["from two"] <= 1
    assert [row.doubt for row in cohort.rows] == [doubt for doubt in [row.doubt for row in cohort.rows] if doubt < 1]


@pytest.mark.parametrize("ending", [".seg.dcm", ".rtstruct.dcm"])
def test_results_in_dicom_name_the_patient_and_nothing_else_does(
    four: SmallCohort, results: Path, tmp_path: Path, ending: str
) -> None:
    series = a_series(tmp_path / "series", shape=SHAPE)
    paint = tmp_path / "paint.nrrd"
    write_image(paint, read_image(four.paint(0))[0], read_image(series)[1])
    case = Case("case0", series, (paint,))
    (row,) = run([case], results, ending=ending).rows
    assert row.state == "done", row.sentence
    assert pydicom.dcmread(results / f"case0{ending}").PatientName == PERSON["PatientName"]
    for file in [results / "journal.jsonl", *results.glob("summary.*"), *results.glob("cases/*")]:
        content = file.read_bytes()
        assert not [one for one in PERSON.values() if len(one) > 4 and one.encode() in content], file.name
    again = InTurn()
    run([case], results, again, ending=ending, resume=True)
    assert again.orders == []


@pytest.mark.parametrize("name", ["summary.csv", "journal.jsonl", "cases/case1.png"])
def test_a_batch_does_not_write_over_its_manifest(four: SmallCohort, results: Path, name: str) -> None:
    manifest = results / name
    manifest.parent.mkdir(parents=True)
    text = "id,image,support\n"
    text += "".join(f"case{n},{four.image(n)},{four.paint(n)}\n" for n in range(2))
    manifest.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="overwrite its manifest"):
        run_source(manifest, results, Common(), SHAPE_ONLY, InTurn(), resume=True)
    assert manifest.read_text(encoding="utf-8") == text
    assert [file for file in results.rglob("*") if file.is_file()] == [manifest]


@pytest.mark.parametrize("name", ["summary.html", "cases/case0.json"])
def test_files_that_no_batch_has_written_stay(four: SmallCohort, results: Path, name: str) -> None:
    mine = results / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="choose another output folder"):
        run_source(four.manifest(), results, Common(), SHAPE_ONLY, InTurn())
    with pytest.raises(OutputError, match="choose another output folder"):
        run(four.painted(), results)
    assert mine.read_text(encoding="utf-8") == "mine"
