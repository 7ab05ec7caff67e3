"""Cases on Dask: in processes of this machine, on a scheduler's workers, and what happens when either is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from small_cohort import ENVIRONMENT, SHAPE_ONLY, InTurn, SmallCohort, labels_in

from MetaSegmentLib import Case, DependencyError, InputError, MetaSegmentError, Settings, run_cohort
from MetaSegmentLib.cohort.engine import Workers
from MetaSegmentLib.cohort.order import Order, Outcome, key_of
from MetaSegmentLib.cohort.run import Cohort

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes as POSIX does")
LOCAL = Workers(1, dashboard=None)
MOST_SECONDS = 120
"""For a program to start or to do what is waited for."""


@pytest.fixture(scope="module")
def dozen(tmp_path_factory: pytest.TempPathFactory) -> SmallCohort:
    return SmallCohort(tmp_path_factory.mktemp("dozen"), 12)


@pytest.fixture(scope="module")
def expected(dozen: SmallCohort, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The results of the dozen without any process."""
    folder = tmp_path_factory.mktemp("expected")
    run_cohort(dozen.painted(), folder, SHAPE_ONLY, InTurn())
    return labels_in(folder)


def entered(folder: Path) -> list[str]:
    """The ids of the cases that the journal knows as done, as often as they are there."""
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines() if journal.exists() else []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry["state"] == "done":
            found.append(entry["id"])
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + MOST_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def orders_of(cases: list[Case], folder: Path, settings: Settings = SHAPE_ONLY) -> list[Order]:
    return [
        Order(one, folder / f"{one.id}.seg.nrrd", folder / "cases" / f"{one.id}.json", settings, key_of(one, settings))
        for one in cases
    ]


def test_a_killed_worker_is_replaced_and_its_case_done_again(
    dozen: SmallCohort, results: Path, expected: dict[str, bytes]
) -> None:
    results.mkdir()
    with LOCAL.start() as engine:
        (first,) = engine._client.run(os.getpid).values()
        outcomes = engine.run(orders_of(dozen.painted(), results))
        ended = [next(outcomes)]
        os.kill(first, signal.SIGKILL)
        ended += outcomes
        (second,) = engine._client.run(os.getpid).values()
    assert second != first
    assert {one.id: one.state for one in ended} == {case.id: "done" for case in dozen.painted()}
    assert labels_in(results) == expected


class Deadly:
    """The engine, whose workers end as soon as they begin one case."""

    dashboard = ""

    def __init__(self, case: str) -> None:
        self._case = case
        self._engine = LOCAL.start()

    def start(self) -> Deadly:
        return self

    def __enter__(self) -> Deadly:
        self._engine.__enter__()
        self._poison()
        return self

    def __exit__(self, *error: object) -> None:
        self._engine.__exit__(None, None, None)

    def run(self, orders: Sequence[Order], cancel: Callable[[], bool] | None = None) -> Iterator[Outcome]:
        return self._engine.run(orders, cancel)

    def make_room(self) -> None:
        self._engine.make_room()
        self._poison()

    def _poison(self) -> None:
        from distributed import WorkerPlugin

        case = self._case

        class Poison(WorkerPlugin):
            def transition(self, key: str, start: str, finish: str, **more: object) -> None:
                if finish == "executing" and key.startswith(case):
                    os._exit(1)

        self._engine._client.register_plugin(Poison())


def test_a_case_that_kills_every_worker_is_reported_and_the_others_are_done(four: SmallCohort, results: Path) -> None:
    bad, *good = four.painted()
    cohort = run_cohort([bad, *good], results, SHAPE_ONLY, Deadly(bad.id))
    assert {row.id: row.state for row in cohort.rows} == {bad.id: "failed", **{one.id: "done" for one in good}}
    assert "worker was ended" in cohort.rows[0].sentence


def test_workers_have_their_share_of_threads() -> None:
    def threads() -> tuple[str | None, ...]:
        import os

        return tuple(os.environ.get(name) for name in ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"))

    with replace(LOCAL, count=2).start() as engine:
        found = list(engine._client.run(threads).values())
    assert found == [(str(max(1, (os.cpu_count() or 1) // 2)),) * 2] * 2


@contextmanager
def a_cluster(folder: Path, workers: int = 2) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A scheduler and its workers as programs of their own, on ports of this machine; yields it and its file."""
    file = folder / "scheduler.json"
    quiet = {"env": ENVIRONMENT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    module = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    with ExitStack() as stack:

        def start(*words: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(words, **quiet)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        address = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
        scheduler = start(*module, "--port", "0", *address)
        wait_for(lambda: file.exists() and file.read_text(encoding="utf-8").endswith("}"))
        for number in range(workers):
            start(
                *[sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file), "--no-nanny"],
                *["--nthreads", "1", "--no-dashboard", "--name", f"w{number}", "--local-directory", str(folder)],
            )
        yield scheduler, file


def test_a_scheduler_and_its_workers_by_address_and_by_file(
    dozen: SmallCohort, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    with a_cluster(tmp_path) as (_, file):
        address = json.loads(file.read_text(encoding="utf-8"))["address"]
        by_address, by_file = tmp_path / "address", tmp_path / "file"
        cases = dozen.painted()
        cohort = run_cohort(cases, by_address, SHAPE_ONLY, Workers(scheduler=address))
        assert len(cohort.done) == 12
        assert len(run_cohort(cases[:3], by_file, SHAPE_ONLY, Workers(scheduler_file=file)).done) == 3
    assert labels_in(by_address) == expected
    assert len(labels_in(by_file)) == 3


def test_a_scheduler_that_goes_is_one_sentence_and_the_rest_is_done_later(
    dozen: SmallCohort, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    results = tmp_path / "results"
    with a_cluster(tmp_path) as (scheduler, file):

        def gone_after_two(stage: str, done: int, total: int, eta_s: float | None) -> None:
            if done == 2:
                scheduler.kill()

        with pytest.raises(MetaSegmentError, match="scheduler is gone"):
            run_cohort(dozen.painted(), results, SHAPE_ONLY, Workers(scheduler_file=file), progress=gone_after_two)
    assert 2 <= len(entered(results)) < 12
    assert "open" in (results / "summary.csv").read_text(encoding="utf-8")
    run_cohort(dozen.painted(), results, SHAPE_ONLY, InTurn(), resume=True)
    assert labels_in(results) == expected
    assert sorted(entered(results)) == sorted(case.id for case in dozen.painted())


def test_no_scheduler_is_one_sentence(four: SmallCohort, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("MetaSegmentLib.cohort.engine.ANSWER_SECONDS", 1)
    with pytest.raises(MetaSegmentError, match="No scheduler answers"):
        run_cohort(four.painted(), results, SHAPE_ONLY, Workers(scheduler="tcp://127.0.0.1:9"))
    with pytest.raises(InputError, match="scheduler file"):
        run_cohort(four.painted(), results, SHAPE_ONLY, Workers(scheduler_file=results / "none.json"), resume=True)


def test_without_dask_one_sentence_names_what_to_install(
    four: SmallCohort, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DependencyError, match=r"metasegment\[cohort\]"):
        run_cohort(four.painted(), results, SHAPE_ONLY)


def batch(dozen: SmallCohort, results: Path, *more: str) -> subprocess.Popen[str]:
    words = ["--manifest", str(dozen.manifest()), "--output", str(results), "--method", "shape", "--workers", "1"]
    return subprocess.Popen(
        [sys.executable, "-m", "MetaSegmentLib", "batch", *words, "--no-dashboard", *more],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def processes_of(session: int) -> list[int]:
    """The processes that a batch has started, and that have not ended."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def words_of(pid: int) -> list[str]:
    """The command line of a process; none of one that has ended meanwhile."""
    with suppress(psutil.Error):
        return psutil.Process(pid).cmdline()
    return []


def test_a_batch_that_is_killed_goes_on_and_does_nothing_twice(
    dozen: SmallCohort, results: Path, expected: dict[str, bytes]
) -> None:
    first = batch(dozen, results)
    wait_for(lambda: len(entered(results)) >= 3)
    first.kill()
    first.communicate()
    wait_for(lambda: not processes_of(first.pid))
    done = entered(results)
    assert 3 <= len(done) < 12
    times = {name: (results / f"{name}.seg.nrrd").stat().st_mtime_ns for name in done}
    second = batch(dozen, results, "--resume")
    output, errors = second.communicate(timeout=MOST_SECONDS)
    assert (second.returncode, errors) == (0, "")
    assert "12 of 12" in output
    assert labels_in(results) == expected
    assert sorted(entered(results)) == sorted(case.id for case in dozen.painted())
    assert {name: (results / f"{name}.seg.nrrd").stat().st_mtime_ns for name in done} == times


def test_ctrl_c_leaves_a_summary_and_no_process(dozen: SmallCohort, results: Path) -> None:
    process = batch(dozen, results)
    wait_for(lambda: len(entered(results)) >= 1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=MOST_SECONDS)
    assert (process.returncode, output) == (130, "")
    (line,) = errors.splitlines()
    assert "of 12 cases are done, add --resume" in line
    rows = json.loads((results / "summary.json").read_text(encoding="utf-8"))["cases"]
    assert {row["state"] for row in rows} == {"done", "open"}
    wait_for(lambda: not processes_of(process.pid))


def test_ctrl_c_in_a_terminal_reaches_workers_that_still_start_too(dozen: SmallCohort, results: Path) -> None:
    """They have nothing to say to it; the batch ends them."""
    process = batch(dozen, results)
    wait_for(lambda: any("spawn_main" in word for pid in processes_of(process.pid) for word in words_of(pid)))
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=MOST_SECONDS)
    assert (process.returncode, output, len(errors.splitlines())) == (130, "", 1)
    assert "Interrupted" in errors
    wait_for(lambda: not processes_of(process.pid))


def test_the_public_names_are_there() -> None:
    import MetaSegmentLib

    assert MetaSegmentLib.Cohort is Cohort and MetaSegmentLib.Workers is Workers and MetaSegmentLib.Case is Case
