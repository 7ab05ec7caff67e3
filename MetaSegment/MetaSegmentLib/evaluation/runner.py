"""Run every method on every case, each in its turn, and keep each result as soon as it is there."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MetaSegmentError, OutputError
from ..files.atomic import Staging
from ..progress import Progress
from ..version import __version__
from . import peers
from .cases import Case, Spacing, load
from .measure import Measured
from .metrics import probability_histogram, surface_scores
from .protocol import Mask, Placement, paint, painted_slices, query_dice

log = logging.getLogger(__name__)

Record = dict[str, Any]

PEERS: dict[str, Callable[[NDArray[Any], Mask, Sequence[int], Sequence[float]], Mask]] = {
    "fill_between_slices": lambda image, mask, painted, spacing: peers.fill_between_slices(mask, painted),
    "grow_from_seeds": peers.grow_from_seeds,
    "signed_distance": lambda image, mask, painted, spacing: peers.signed_distance_interpolation(mask, painted),
}


@dataclass(frozen=True)
class Plan:
    """What is run on each case.

    Attributes:
        methods: names of the registry; the tools to compare with are always run.
        surface: whether surface distances are scored too.
    """

    methods: tuple[str, ...]
    placement: Placement = "inside"
    device: str = "auto"
    seed: int = 0
    surface: bool = False


@dataclass(frozen=True)
class Task:
    """One case with ``k`` slices painted, and the file its record is kept in."""

    case: Case
    k: int
    file: Path


def make_tasks(chosen: dict[int, list[Case]], plan: Plan, folder: Path) -> list[Task]:
    """Tasks for the cases of each K, those of one volume together so that it is read once."""
    tasks = [Task(case, k, folder / _file_name(case, k, plan)) for k, cases in chosen.items() for case in cases]
    return sorted(tasks, key=lambda t: (t.case.volume.data_set, t.case.volume.number, t.case.value, t.k))


def run_tasks(tasks: Sequence[Task], plan: Plan, jobs: int = 1, progress: Progress | None = None) -> list[Record]:
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
    records = {task: record for task in tasks if _complete(record := _earlier(task, plan), plan)}
    open_tasks = [task for task in tasks if task not in records]
    finished = _in_turn(open_tasks, plan) if jobs == 1 else _side_by_side(open_tasks, plan, jobs)
    for task, record in (progress or Progress()).steps("evaluating", finished, len(open_tasks)):
        with Staging() as staging:
            staging.path(task.file).write_text(json.dumps(record), encoding="utf-8")
            staging.commit()
        records[task] = record
    return [records[task] for task in tasks]


def run_task(task: Task, plan: Plan) -> Record:
    """The record of one task: which case it was, and for each method its scores or its error."""
    case = task.case
    image, spacing, labels = _load(case.volume)
    truth = labels == case.value
    record = _earlier(task, plan)
    painted: list[int] = record["painted"] or painted_slices(truth, task.k, plan.placement, case.axis)
    record.update(painted=painted, shape=list(truth.shape), spacing=list(spacing))
    for name in _missing(record, plan):
        record["methods"][name] = _attempt(name, image, spacing, truth, painted, case.axis, plan)
    return record


def _attempt(
    name: str,
    image: NDArray[Any],
    spacing: Spacing,
    truth: Mask,
    painted: list[int],
    axis: int,
    plan: Plan,
) -> Record:
    try:
        with Measured() as measured:
            prediction, probability, estimate = _predict(name, image, spacing, truth, painted, axis, plan)
        scores: Record = {"dice": query_dice(prediction, truth, painted, axis)}
        if plan.surface:
            scores.update(surface_scores(prediction, truth, painted, axis, spacing))
        scores["histogram"] = probability_histogram(probability, truth, painted, axis)
    except Exception as error:  # one method's failure is a result, and must not end the comparison
        log.debug("%s failed", name, exc_info=True)
        # The message of any other error may name files.
        told = f": {error}" if isinstance(error, MetaSegmentError) else ""
        return {"error": f"{type(error).__name__}{told}"}
    scores["seconds"] = round(measured.seconds, 4)
    scores["peak_memory_mb"] = measured.peak_memory_mb and round(measured.peak_memory_mb, 1)
    scores["estimated_dice"] = estimate
    return scores


def _predict(
    name: str,
    image: NDArray[Any],
    spacing: Spacing,
    truth: Mask,
    painted: list[int],
    axis: int,
    plan: Plan,
) -> tuple[Mask, NDArray[np.floating[Any]], float | None]:
    """Mask, probability (a mask's own 0 and 1 for the tools that give none) and estimated Dice."""
    if name in PEERS:
        front = np.ascontiguousarray(np.moveaxis(truth, axis, 0))
        along = np.ascontiguousarray(np.moveaxis(image, axis, 0))
        steps = [spacing[axis], *(step for other, step in enumerate(spacing) if other != axis)]
        mask = np.moveaxis(PEERS[name](along, front, painted, steps), 0, axis)
        return mask, mask.astype(np.float32), None

    from ..engine import segment
    from ..settings import Settings

    settings = Settings(method=name, device=plan.device, seed=plan.seed)
    result = segment(image, paint(truth, painted, axis), spacing=spacing, axis=axis, settings=settings)
    return result.labels == 1, result.probabilities[1], result.estimated_dice.get(1)


def _in_turn(tasks: Sequence[Task], plan: Plan) -> Iterator[tuple[Task, Record]]:
    for task in tasks:
        yield task, run_task(task, plan)


def _side_by_side(tasks: Sequence[Task], plan: Plan, jobs: int) -> Iterator[tuple[Task, Record]]:
    threads = max(1, (os.cpu_count() or 1) // jobs)
    # Started afresh, not forked: ITK and torch do not survive a fork of their threads.
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_prepare_worker, initargs=(threads,))
    try:
        running = {pool.submit(run_task, task, plan): task for task in tasks}
        for future in as_completed(running):
            yield running[future], future.result()
    except BrokenProcessPool as error:
        raise MetaSegmentError(
            "A worker was ended from outside, perhaps for want of memory; run the same command again with fewer --jobs."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_worker(threads: int) -> None:
    # Ctrl-C is the parent's to handle. The variables are read when ITK and torch are first imported.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ[name] = str(threads)


_load = lru_cache(maxsize=1)(load)


def _file_name(case: Case, k: int, plan: Plan) -> Path:
    name = f"volume{case.volume.number:04}-label{case.value}-axis{case.axis}-k{k}-{plan.placement}.json"
    return Path(case.volume.data_set) / name


def _earlier(task: Task, plan: Plan) -> Record:
    """What an earlier run of the same case has left, or an empty record."""
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
        "placement": plan.placement,
        "seed": plan.seed,
        "version": __version__,
    }
    try:
        record: Record = json.loads(task.file.read_text(encoding="utf-8"))
        if all(record.get(key) == value for key, value in head.items()):
            return record
    except (OSError, ValueError):
        pass
    return {**head, "painted": [], "methods": {}}


def _missing(record: Record, plan: Plan) -> list[str]:
    needed = "hausdorff_95_mm" if plan.surface else "dice"
    return [name for name in (*PEERS, *plan.methods) if needed not in record["methods"].get(name, {})]


def _complete(record: Record, plan: Plan) -> bool:
    return not _missing(record, plan)
