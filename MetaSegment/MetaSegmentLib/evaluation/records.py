"""Work through many cases, one by one or side by side; each result is kept on disk as soon as it is there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from ..data.datasets import Case, Spacing, load
from ..data.protocol import Mask, Placement, painted_slices
from ..errors import OutputError
from ..files.atomic import Staging
from ..jobs.executors import executor
from ..jobs.runner import run
from ..progress import Progress
from ..version import __version__

Record = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One case with ``k`` slices painted, and the file its record is kept in."""

    case: Case
    k: int
    placement: Placement
    file: Path


@dataclass(frozen=True)
class Painted:
    """What a task comes to: image, truth (K, J, I) and the slices along ``axis`` that are painted."""

    image: NDArray[Any]
    spacing: Spacing
    truth: Mask
    slices: list[int]
    axis: int


class Plan(Protocol):
    """What is done with each task; goes to other processes, so it has to be plain data."""

    @property
    def seed(self) -> int: ...

    def complete(self, record: Record) -> bool:
        """Whether an earlier run has left nothing to do."""

    def fill(self, record: Record, painted: Painted) -> None:
        """Add to the record what is missing."""


def make_tasks(chosen: Mapping[int, Iterable[Case]], placements: Sequence[Placement], folder: Path) -> list[Task]:
    """Tasks for the cases of each K, those of one volume together so that it is read once."""
    tasks = [
        Task(case, k, placement, folder / _file_name(case, k, placement))
        for k, cases in chosen.items()
        for placement in placements
        for case in cases
    ]
    return sorted(tasks, key=lambda t: (t.case.volume.data_set, t.case.volume.number, t.case.value, t.k))


def work_through(tasks: Sequence[Task], plan: Plan, jobs: int = 1, progress: Progress | None = None) -> list[Record]:
    """Records of all tasks, in their order; what an earlier run has left complete is taken from its files.

    Raises:
        OutputError: a record cannot be written.
        MetaSegmentError: a worker was ended from outside.
    """
    for folder in {task.file.parent for task in tasks}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError("The output folder cannot be written to; choose another one.") from error

    def complete(task: Task) -> Record | None:
        record = _earlier(task, plan.seed)
        return record if plan.complete(record) else None

    order = partial(run_task, plan=plan)
    records = dict(run(order, tasks, executor(jobs), complete, _keep, progress, "evaluating"))
    return [records[task] for task in tasks]


def _keep(task: Task, record: Record) -> None:
    with Staging() as staging:
        staging.path(task.file).write_text(json.dumps(record), encoding="utf-8")
        staging.commit()


def run_task(task: Task, plan: Plan) -> Record:
    """The record of one task: which case it was, and what the plan makes of it."""
    record = _earlier(task, plan.seed)
    painted = paint_task(task, record)
    record.update(painted=painted.slices, shape=list(painted.truth.shape), spacing=list(painted.spacing))
    plan.fill(record, painted)
    return record


def paint_task(task: Task, record: Record) -> Painted:
    """Image and truth, with the slices painted that the record names, or those of the task."""
    case = task.case
    image, spacing, labels = _load(case.volume)
    truth = labels == case.value
    slices = record.get("painted") or painted_slices(truth, task.k, task.placement, case.axis)
    return Painted(image, spacing, truth, slices, case.axis)


_load = lru_cache(maxsize=1)(load)


def _file_name(case: Case, k: int, placement: Placement) -> Path:
    name = f"volume{case.volume.number:04}-label{case.value}-axis{case.axis}-k{k}-{placement}.json"
    return Path(case.volume.data_set) / name


def _earlier(task: Task, seed: int) -> Record:
    """What an earlier run of the same case has left, or a record with the case only."""
    case = task.case
    head = {
        "data_set": case.volume.data_set,
        "volume": case.volume.number,
        "fingerprint": case.volume.fingerprint,
        "label": case.value,
        "name": case.name,
        "axis": case.axis,
        "voxels": case.voxels,
        "k": task.k,
        "placement": task.placement,
        "seed": seed,
        "version": __version__,
    }
    try:
        record: Record = json.loads(task.file.read_text(encoding="utf-8"))
        if all(record.get(key) == value for key, value in head.items()):
            return record
    except (OSError, ValueError):
        pass
    return dict(head)
