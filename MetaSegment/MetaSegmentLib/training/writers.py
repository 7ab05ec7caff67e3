"""Processes that write episodes while others learn from them; they end with whoever started them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path

from ..jobs.executors import THREADS
from .config import Config


@dataclass(frozen=True)
class Order:
    """Episodes to write; ``held_out`` from the volumes that are kept out of training."""

    data: Path
    held_out: bool
    folder: Path
    count: int


class Writers:
    """Running processes.

    Args:
        orders: what to write, one after the other.
        jobs: how many processes share each order.
    """

    def __init__(self, orders: Sequence[Order], config: Config, jobs: int) -> None:
        for order in orders:
            order.folder.mkdir(parents=True, exist_ok=True)
        context = get_context("spawn")  # ITK and torch do not survive a fork of their threads
        work = [(tuple(orders), config, first, jobs) for first in range(jobs)]
        self._processes = [context.Process(target=_write, args=one, daemon=True) for one in work]
        for process in self._processes:
            process.start()

    @property
    def alive(self) -> bool:
        """Whether any of them still writes."""
        return any(process.is_alive() for process in self._processes)

    def stop(self) -> None:
        """End them at once; no episode is left that is not whole."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()


@contextmanager
def writing(orders: Sequence[Order], config: Config, jobs: int) -> Iterator[Writers]:
    """Processes that write as long as the block lasts."""
    writers = Writers(orders, config, jobs)
    try:
        yield writers
    finally:
        writers.stop()


def _write(orders: Sequence[Order], config: Config, first: int, jobs: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that trains
    for name in THREADS:
        os.environ[name] = "1"
    # Only now, since the variables are read when these are first imported.
    import torch

    from .episodes import EpisodeOrder

    torch.set_num_threads(1)
    parent = parent_process()
    for order in orders:
        episodes = EpisodeOrder(order.data, order.held_out, order.folder, config)
        for number in range(first, order.count, jobs):
            if parent is not None and not parent.is_alive():
                return
            if episodes.find(number) is None:
                episodes.write(number)
