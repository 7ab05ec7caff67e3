"""Requests, and waiting for what comes of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from MetaSegmentLib import Result, Settings
from MetaSegmentLib.executors import Executor, Handle, Request
from MetaSegmentLib.pieces import drain

SHAPE = (16, 18, 20)
SUPPORT = [5, 8, 11]


def a_request(method: str = "", origin: object = 1, slices: list[int] = SUPPORT, **changes: Any) -> Request:
    """A painted ball."""
    k, j, i = np.indices(SHAPE)
    ball = (k - 8) ** 2 + (1.3 * (j - 9)) ** 2 + (1.1 * (i - 10)) ** 2 <= 36
    image = (100 * ball + np.random.default_rng(0).normal(0, 5, SHAPE)).astype(np.int16)
    labels = np.zeros(SHAPE, np.uint8)
    labels[slices] = ball[slices]
    given: dict[str, Any] = {"image": image, "labels": labels, "settings": Settings(method, "cpu"), **changes}
    rest: dict[str, Any] = {"spacing": (2.0, 0.8, 0.8), "slices": None, "axis": None, "names": {1: "ball"}}
    return Request(origin=origin, **{**rest, **given})


def start(executor: Executor, request: Request) -> Handle:
    """Submit, and wait until it has begun."""
    handle = drain(executor.submit(request))
    wait_for(lambda: handle.done or bool(handle.reports()))
    return handle


def run(executor: Executor, request: Request) -> Result:
    handle = drain(executor.submit(request))
    wait_for(lambda: handle.done)
    return handle.result()


def wait_for(true: Callable[[], bool], seconds: float = 300.0) -> float:
    """How long it took."""
    begin = time.monotonic()
    while not true():
        assert time.monotonic() - begin < seconds, "it does not come"
        time.sleep(0.002)
    return time.monotonic() - begin


def is_running(pid: int) -> bool:
    """Whether there is such a process, and more of it than its entry in the list."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def resident_mb(pid: int) -> float:
    """Memory of a process, without what it shares."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE") / 2**20


def shared_memory() -> set[str]:
    """What is left in memory under a name."""
    return {file.name for folder in ("/dev/shm", "/tmp") for file in Path(folder).glob("*etasegment-*")} | {
        file.name for file in Path("/dev/shm").glob("psm_*")
    }
