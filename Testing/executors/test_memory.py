"""Arrays that two processes share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import MetaSegmentLib
from MetaSegmentLib.executors.memory import SharedArray, open_array, sweep

needs_names = pytest.mark.skipif(sys.platform == "win32", reason="memory has no names in the file system there")


@pytest.fixture(params=["own", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The platform's own way, and that of platforms without one."""
    if request.param == "named":
        if sys.platform == "win32":
            pytest.skip("Windows has its own way always")
        monkeypatch.delattr(os, "memfd_create", raising=False)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return str(request.param)


def in_another_process(description: dict[str, object], code: str) -> str:
    script = (
        f"import json, sys\nsys.path.insert(0, {str(Path(MetaSegmentLib.__file__).parents[1])!r})\n"
        "from MetaSegmentLib.executors.memory import open_array\n"
        f"array = open_array(json.loads(sys.argv[1]))\n{code}\n"
    )
    command = [sys.executable, "-c", script, json.dumps(description)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f2", "<i2", "<f8", "?"])
def test_another_process_sees_the_same(way: str, dtype: str) -> None:
    array = (np.arange(60).reshape(3, 4, 5) % 7).astype(dtype)
    shared = SharedArray.of(array)
    assert in_another_process(shared.description, "print(float(array.sum()), array.dtype.str, array.shape)") == (
        f"{float(array.sum())} {array.dtype.str} (3, 4, 5)"
    )


def test_it_is_the_same_memory(way: str) -> None:
    shared = SharedArray((2, 3), np.int16)
    in_another_process(shared.description, "array[1, 2] = 7")
    assert shared.array.tolist() == [[0, 0, 0], [0, 0, 7]]


def test_what_was_opened_stays(way: str) -> None:
    shared = SharedArray.of(np.full((5, 5), 3, np.uint8))
    opened = open_array(shared.description)
    del shared
    assert opened.sum() == 75


def test_what_is_gone_cannot_be_opened(way: str) -> None:
    shared = SharedArray((1000, 1000), np.uint8)
    description = shared.description
    del shared
    with pytest.raises(OSError):
        open_array(description)


def test_an_empty_array(way: str) -> None:
    assert open_array(SharedArray((0, 4), np.float16).description).shape == (0, 4)


@needs_names
def test_names_are_gone_once_opened_or_swept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first, second = SharedArray((3,), np.uint8), SharedArray((3,), np.uint8)
    assert len(list(tmp_path.iterdir())) == 2 and all(f.stat().st_mode & 0o077 == 0 for f in tmp_path.iterdir())
    open_array(first.description)
    assert len(list(tmp_path.iterdir())) == 1
    sweep(os.getpid())
    assert list(tmp_path.iterdir()) == [] and second.array.sum() == 0
