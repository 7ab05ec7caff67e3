"""Where cases are segmented: on Dask, in processes of this machine or on the workers of a scheduler."""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from ..errors import Cancelled, InputError, MetaSegmentError
from ..imports import explained_imports
from ..interpreter import python_slicer
from ..jobs.executors import THREADS
from .order import Order, Outcome
from .work import forget, perform

CORES_EACH = 2
"""Of a worker without a GPU."""
TRIES = 2
"""How often a case may end its local worker before it counts as lost."""
POLL_SECONDS = 0.2
ANSWER_SECONDS = 20
"""In which a scheduler has to answer."""
LOST = "Its worker was ended from outside each time, perhaps for want of memory; use a machine with more."
GONE = "The scheduler is gone; everything finished is kept, start it and go on with --resume."


class Engine(Protocol):
    """Segments cases and survives what happens to them."""

    dashboard: str
    """Address of a page that shows the workers; "" where there is none."""

    def run(self, orders: Sequence[Order], cancel: Callable[[], bool] | None = None) -> Iterator[Outcome]:
        """How each case ended, as it ends."""

    def make_room(self) -> None:
        """From now on cases are run one at a time; give each all the memory that there is."""


@dataclass(frozen=True)
class Workers:
    """Which workers there are.

    Attributes:
        count: processes of this machine; by default one a GPU, or one for two cores.
        scheduler: address of a Dask scheduler, as tcp://host:8786, to use its workers instead.
        scheduler_file: JSON file that a scheduler has written its address into.
        dashboard: where the page of the local workers is served; None for none.
        memory: of all local workers together, in bytes; by default that of the machine.
    """

    count: int | None = None
    scheduler: str = ""
    scheduler_file: Path | None = None
    dashboard: str | None = "127.0.0.1:8787"
    memory: int | None = None

    def start(self) -> DaskEngine:
        """The engine, to be used in a ``with`` block.

        Raises:
            MetaSegmentError: Dask is not installed, or no scheduler answers.
        """
        return DaskEngine(self)


class DaskEngine:
    """A Dask client, with a cluster of its own where no scheduler is given."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._stack = ExitStack()
        self._client: Any = None
        self._gpus = 0
        self._round = 0
        self.dashboard = ""

    def __enter__(self) -> DaskEngine:
        with explained_imports():
            import distributed  # noqa: F401
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, orders: Sequence[Order], cancel: Callable[[], bool] | None = None) -> Iterator[Outcome]:
        """See :class:`Engine`; when the iterator is closed, cases that have not begun are withdrawn.

        Raises:
            MetaSegmentError: the scheduler is gone.
            Cancelled: ``cancel`` returned True.
        """
        self._round += 1
        ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        waiting: dict[str, tuple[Any, Order]] = {}
        try:
            for order in orders:
                # The key is what a dashboard shows.
                future = self._client.submit(
                    _perform, order, self._gpus, key=f"{order.case.id}-{self._round}", pure=False
                )
                waiting[future.key] = future, order
                future.add_done_callback(ended.put)
            while waiting:
                if cancel is not None and cancel():
                    raise Cancelled("The batch was cancelled; everything finished is kept.")
                try:
                    future = ended.get(timeout=POLL_SECONDS)
                except queue.Empty:
                    self._require_scheduler()
                    continue
                if future.status == "cancelled":
                    raise MetaSegmentError(GONE)
                _, order = waiting.pop(future.key)
                yield _outcome(future, order)
                future.release()
        finally:
            if waiting:
                with suppress(Exception):
                    self._client.cancel([future for future, _ in waiting.values()], force=True)

    def make_room(self) -> None:
        """See :class:`Engine`: one worker of this machine; those of a cluster let go of their supports."""
        if self._workers.scheduler or self._workers.scheduler_file:
            with suppress(Exception):
                self._client.run(forget)
        else:
            self._stack.close()
            self._workers = replace(self._workers, count=1)
            self._open()

    def _open(self) -> None:
        from distributed import Client

        self._stack.enter_context(_silent())
        address: Any = self._workers.scheduler
        if self._workers.scheduler_file is not None:
            address = _address_in(self._workers.scheduler_file)
        if not address:
            address = self._local_cluster()
        try:
            self._client = Client(address, timeout=ANSWER_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise MetaSegmentError(
                "No scheduler answers at this address; start one (dask scheduler) and give the address it prints."
            ) from error
        self._stack.callback(self._close_client)
        shown = self._workers.dashboard is not None and find_spec("bokeh") is not None
        self.dashboard = str(self._client.dashboard_link) if shown else ""

    def _close_client(self) -> None:
        with suppress(Exception):
            self._client.close(timeout=5)

    def _local_cluster(self) -> Any:
        import dask
        from distributed import LocalCluster
        from distributed.deploy.spec import close_clusters

        cores = os.cpu_count() or 1
        self._gpus = _count_gpus()
        count = self._workers.count or self._gpus or max(1, cores // CORES_EACH)
        threads = {name: str(max(1, cores // count)) for name in THREADS}
        # A worker that stops taking cases for want of memory would wait for ever: the support stays in it.
        settings = {
            "distributed.nanny.pre-spawn-environ": threads,
            "distributed.scheduler.allowed-failures": TRIES - 1,
            "distributed.scheduler.worker-saturation": 1.0,
            "distributed.worker.memory.target": False,
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.pause": False,
        }
        self._stack.enter_context(dask.config.set(settings))
        self._stack.enter_context(_environment_restored())
        self._stack.enter_context(_python_of_workers())
        try:
            with _interruptions_for_this_process():
                cluster = LocalCluster(
                    n_workers=count,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=self._workers.dashboard or "127.0.0.1:0",
                    scheduler_kwargs={"dashboard": self._workers.dashboard is not None},
                    memory_limit="auto" if self._workers.memory is None else self._workers.memory // count,
                    silence_logs=logging.CRITICAL,
                    env=threads,
                )
        except BaseException:
            atexit.unregister(close_clusters)  # which fails on one that was interrupted while it started
            raise
        self._stack.callback(_close_cluster, cluster)
        return cluster

    def _require_scheduler(self) -> None:
        if self._client.status != "running":
            raise MetaSegmentError(GONE)


def _perform(order: Order, gpus: int) -> Outcome:
    """In a worker: the case on the worker's own GPU, where it may choose."""
    from distributed import get_worker

    name = get_worker().name
    if gpus > 1 and order.settings.device == "auto" and isinstance(name, int):
        order = replace(order, settings=replace(order.settings, device=f"cuda:{name % gpus}"))
    return perform(order)


def _outcome(future: Any, order: Order) -> Outcome:
    from distributed import KilledWorker

    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    error = future.exception()
    if isinstance(error, KilledWorker):
        return Outcome(order.case.id, "lost", LOST)
    if isinstance(error, ImportError):
        return Outcome(order.case.id, "failed", "A worker cannot import MetaSegment; install the same version there.")
    return Outcome(order.case.id, "failed", f"The worker could not run it ({type(error).__name__}).")


def _address_in(file: Path) -> str:
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "The scheduler file cannot be read; give the one that 'dask scheduler --scheduler-file' has written."
        ) from error


def _count_gpus() -> int:
    """GPUs that CUDA may use, without starting it in this process."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return len([one for one in visible.split(",") if one.strip() not in ("", "-1")])
    if (program := shutil.which("nvidia-smi")) is None:
        return 0
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in listed.splitlines())


@contextmanager
def _environment_restored() -> Iterator[None]:
    """Dask gives its workers their environment by changing that of the program that starts them."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _python_of_workers() -> Iterator[None]:
    """Inside Slicer, whose executable is no Python, processes are started with its own interpreter."""
    found = python_slicer() if "slicer" in sys.modules else None
    if found is None:
        yield
        return
    from multiprocessing import get_context, spawn

    before = spawn.get_executable()
    get_context("spawn").set_executable(str(found))
    try:
        yield
    finally:
        get_context("spawn").set_executable(before)


@contextmanager
def _interruptions_for_this_process() -> Iterator[None]:
    """Ctrl-C, which a terminal sends to all processes, is left to this one, which ends the others.

    A thread that is started in the block, and the processes that it starts, have SIGINT blocked.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # which unblocks SIGINT when it has started it; so not in the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _silent() -> Iterator[None]:
    """Without the log of Dask, which comes on top of what is reported here anyway."""
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado", "asyncio")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _close_cluster(cluster: Any) -> None:
    with suppress(Exception):
        cluster.close(timeout=5)
