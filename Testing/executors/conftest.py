"""Workers, ended with the test; nothing may be left of them."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from executors.pretender import executor as make
from executors.requests import is_running, shared_memory
from MetaSegmentLib.executors import ProcessExecutor

if not sys.platform.startswith("linux"):
    collect_ignore = ["test_ends.py", "test_process.py"]  # they look into /proc, and send POSIX signals


def children() -> set[int]:
    own = os.getpid()
    found = Path(f"/proc/{own}/task").glob("*/children")
    return {int(pid) for file in found for pid in file.read_text(encoding="ascii").split()}


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """No process and no memory with a name outlives the test."""
    processes, memory = children(), shared_memory()
    yield
    gc.collect()
    assert {pid for pid in children() - processes if is_running(pid)} == set()
    assert shared_memory() - memory == set()


@pytest.fixture
def executor(nothing_left: None) -> Iterator[ProcessExecutor]:
    """A worker that pretends."""
    made = make()
    yield made
    made.close()
