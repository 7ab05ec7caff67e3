"""A cohort from cases to results and a summary: resumable, and no case stops another one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from ..errors import InputError, MetaSegmentError, OutputError
from ..files.formats import segmentation_format
from ..files.parts import is_there
from ..predictors.registry import find_method
from ..progress import CancelCallback, Progress, ProgressCallback
from ..settings import Settings
from .cases import Case, Common, Problem
from .engine import Engine, Workers
from .journal import LOCK, Journal
from .journal import NAME as JOURNAL
from .names import alike
from .order import Order, Outcome, key_of
from .sources import find_cases
from .summary import FILES, Row, row_of, write_summary

RECORDS = "cases"
ENDING = ".seg.nrrd"
STAGE = "segmenting"


class Start(Protocol):
    """Where an engine comes from; :class:`~MetaSegmentLib.cohort.engine.Workers`."""

    def start(self) -> AbstractContextManager[Engine]: ...


@dataclass
class Cohort:
    """What came of a cohort.

    Attributes:
        rows: one a case, in the order of the cases.
        dashboard: where the workers can be watched while they work; "" where they cannot.
    """

    rows: list[Row] = field(default_factory=list)
    dashboard: str = ""

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.rows if row.state == "failed"]

    @property
    def done(self) -> list[Row]:
        return [row for row in self.rows if row.state == "done"]


def run_cohort(
    cases: Sequence[Case],
    folder: Path,
    settings: Settings | None = None,
    workers: Start | None = None,
    resume: bool = False,
    ending: str = ENDING,
    problems: Sequence[Problem] = (),
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    cohort: Cohort | None = None,
) -> Cohort:
    """Segment all cases into ``folder``.

    Each gets an output, a record and a picture, which appear together or not at all; the journal says which are done.
    The summary is written however this ends.

    Args:
        workers: by default processes of this machine.
        resume: go on with what is in the folder; finished cases are not done again.
        ending: of outputs that a case does not name.
        problems: of cases that cannot be run; they count as failed.
        progress: called as ``progress(stage, done, total, eta_s)``.
        cancel: returning True ends it; what is finished is kept.
        cohort: filled while it runs, so that a caller has it after an interruption too.

    Raises:
        MetaSegmentError: of the whole, as a folder that another batch writes to, or a scheduler that is gone. What is
            wrong with one case stands in its row.
    """
    settings, folder = settings or Settings(), folder.absolute()
    _check_names(folder, cases)
    cohort = cohort if cohort is not None else Cohort()
    orders = _orders(cases, folder, settings, ending)
    with Journal(folder, resume) as journal:
        ended: dict[str, Outcome] = {}
        for order in orders:
            if (outcome := journal.finished(order)) is not None:
                ended[order.case.id] = outcome
        missing = [order for order in orders if order.case.id not in ended]
        try:
            if missing:
                with (workers or Workers()).start() as engine:
                    cohort.dashboard = engine.dashboard
                    _run(missing, engine, journal, ended, Progress(progress, cancel), cancel)
        except BaseException:
            # A full disk may be what ended it; then this fails too.
            with suppress(MetaSegmentError):
                _summarise(cohort, folder, orders, ended, problems, settings)
            raise
        _summarise(cohort, folder, orders, ended, problems, settings)
    return cohort


def run_source(
    source: Path,
    folder: Path,
    common: Common,
    settings: Settings | None = None,
    workers: Start | None = None,
    resume: bool = False,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    cohort: Cohort | None = None,
) -> Cohort:
    """The same for the cases that a manifest, or a folder, names; arguments as :func:`run_cohort`.

    Args:
        common: what cases have in common that have nothing of their own.

    Raises:
        MetaSegmentError: also where ``source`` is no source of cases.
    """
    cases, problems = find_cases(source, folder, common)
    _check_names(folder.absolute(), cases, source)
    given = (settings, workers, resume, common.ending, problems, progress, cancel, cohort)
    return run_cohort(cases, folder, *given)


def _check_names(folder: Path, cases: Sequence[Case], *sources: Path) -> None:
    """Check the names of the files that a batch writes beside the results.

    Raises:
        MetaSegmentError: one is that of an input, or of a file that no batch has written.
    """
    records = (folder / RECORDS / case.id for case in cases)
    own = [folder / name for name in (*FILES, JOURNAL, LOCK)]
    own += [record.with_name(record.name + ending) for record in records for ending in (".json", ".png")]
    inputs = {path for case in cases for path in (case.image, *case.support, *case.support_images, case.own) if path}
    taken = {alike(os.path.realpath(path)) for path in (*sources, *inputs)}
    if any(alike(os.path.realpath(path)) in taken for path in own):
        raise InputError("A file of the batch would overwrite its manifest or an input; choose another output folder.")
    if not (folder / JOURNAL).exists() and any(is_there(path) for path in own if path.name != LOCK):
        raise OutputError(
            "The folder holds files of names that a batch gives to its own; choose another output folder."
        )


def _orders(cases: Sequence[Case], folder: Path, settings: Settings, ending: str) -> list[Order]:
    """The cases with all that a worker needs, those with the same support one after the other.

    Raises:
        MetaSegmentError: no such method or format, two cases with one id or output, an output outside the folder.
    """
    find_method(settings.method)
    found = []
    taken: set[str] = set()
    for case in cases:
        output = case.result(folder, ending)
        segmentation_format(output)
        if not output.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"The output of the case '{case.id}' lies outside the output folder; move it into that.")
        for name in (f"id {case.id.lower()}", f"output {str(output).lower()}"):
            if name in taken:
                raise InputError(f"The id or the output of the case '{case.id}' is there twice; give each its own.")
            taken.add(name)
        record = folder / RECORDS / f"{case.id}.json"
        found.append(Order(case, output, record, settings, key_of(case, settings)))
    return found


def _run(
    orders: Sequence[Order],
    engine: Engine,
    journal: Journal,
    ended: dict[str, Outcome],
    progress: Progress,
    cancel: CancelCallback | None,
) -> None:
    """Run all; what did not fit in memory or took its worker down is run again alone, and then with less memory."""
    by_id = {order.case.id: order for order in orders}
    together = sorted(orders, key=lambda order: (order.case.method, order.case.support_images, order.case.support))
    start, failed = time.monotonic(), 0
    progress.report(STAGE, 0, len(orders))
    for done, outcome in enumerate(_outcomes(together, engine, cancel), start=1):
        if outcome.state != "done":
            outcome = replace(outcome, state="failed")
            failed += 1
        ended[outcome.id] = outcome  # first, so that a stop in between finds it in the summary too
        journal.enter(by_id[outcome.id], outcome)
        left = (time.monotonic() - start) / done * (len(orders) - done)
        progress.report(f"{STAGE}, {failed} failed" if failed else STAGE, done, len(orders), left)


def _outcomes(orders: Sequence[Order], engine: Engine, cancel: CancelCallback | None) -> Iterator[Outcome]:
    """The end of every case, each once."""
    by_id = {order.case.id: order for order in orders}
    again: list[Order] = []
    for outcome in engine.run(orders, cancel):
        if outcome.state in ("memory", "lost"):
            again.append(by_id[outcome.id])
        else:
            yield outcome
    if not again:
        return
    engine.make_room()
    for order in again:
        (outcome,) = engine.run([order], cancel)
        if outcome.state in ("memory", "lost"):
            (outcome,) = engine.run([replace(order, settings=replace(order.settings, sparing=True))], cancel)
        yield outcome


def _summarise(
    cohort: Cohort,
    folder: Path,
    orders: Sequence[Order],
    ended: dict[str, Outcome],
    problems: Sequence[Problem],
    settings: Settings,
) -> None:
    cohort.rows = [row_of(order, ended.get(order.case.id)) for order in orders]
    cohort.rows += [Row(one.id, "failed", sentence=one.sentence) for one in problems]
    write_summary(folder, cohort.rows, asdict(settings))
