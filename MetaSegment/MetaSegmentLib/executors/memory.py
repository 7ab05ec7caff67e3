"""Arrays in memory that two processes share, and that the system takes back by itself, however either of them ends.

Each platform has its own way, since names in ``/dev/shm`` outlive a process that is killed: an anonymous file opened
through ``/proc`` (Linux), a mapping that lives as long as somebody has it open (Windows), a file of the user's own that
is unlinked as soon as it is opened (elsewhere).
"""

from __future__ import annotations

import math
import mmap
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import MetaSegmentError

Release = Callable[[], object]


class SharedArray:
    """An array that another process can open, as long as this object is there; who has opened it may keep it.

    Attributes:
        array: zeros, to be filled.
        description: what :func:`open_array` needs in the other process, ready for JSON.
    """

    def __init__(self, shape: Sequence[int], dtype: DTypeLike) -> None:
        kind = np.dtype(dtype)
        size = max(1, math.prod(shape) * kind.itemsize)
        memory, address, release = _allocate(size)
        self.array = _as_array(memory, shape, kind)
        self.description: dict[str, Any] = {"address": address, "shape": list(shape), "dtype": kind.str}
        weakref.finalize(self, release)

    @classmethod
    def of(cls, array: NDArray[Any]) -> SharedArray:
        """A copy of ``array``."""
        made = cls(array.shape, array.dtype)
        made.array[...] = array
        return made


def open_array(description: dict[str, Any]) -> NDArray[Any]:
    """The array that another process has described.

    Raises:
        OSError: it is gone.
    """
    shape, kind = tuple(description["shape"]), np.dtype(description["dtype"])
    return _as_array(_open(description["address"], max(1, math.prod(shape) * kind.itemsize)), shape, kind)


def sweep(pid: int) -> None:
    """Remove what a process that was killed has left; there is something only where memory has names."""
    for file in Path(tempfile.gettempdir()).glob(f"metasegment-{pid}-*"):
        file.unlink(missing_ok=True)


def _as_array(memory: Any, shape: Sequence[int], kind: np.dtype[Any]) -> NDArray[Any]:
    array: NDArray[Any] = np.frombuffer(memory, kind, math.prod(shape)).reshape(shape)
    return array


if sys.platform == "win32":
    # Opening a mapping that is gone makes a new one, so what is opened must show its name.
    _HEADER = 64

    def _allocate(size: int) -> tuple[Any, str, Release]:
        name = f"MetaSegment-{uuid4().hex}"
        memory = mmap.mmap(-1, size + _HEADER, tagname=name)
        memory[: len(name)] = name.encode()
        return memoryview(memory)[_HEADER:], name, lambda: None

    def _open(address: str, size: int) -> Any:
        memory = mmap.mmap(-1, size + _HEADER, tagname=address)
        if memory[: len(address)] != address.encode():
            raise OSError(f"The memory {address} is gone.")
        return memoryview(memory)[_HEADER:]

else:

    def _allocate(size: int) -> tuple[Any, str, Release]:
        if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
            file = os.memfd_create("metasegment")
            address, release = f"/proc/{os.getpid()}/fd/{file}", partial(os.close, file)
        else:
            folder = tempfile.gettempdir()
            if shutil.disk_usage(folder).free < 2 * size:
                raise MetaSegmentError("The folder for temporary files is full; free some space on it and try again.")
            file, address = tempfile.mkstemp(prefix=f"metasegment-{os.getpid()}-", dir=folder)
            release = partial(_close_and_unlink, file, address)
        os.ftruncate(file, size)
        return mmap.mmap(file, size), address, release

    def _open(address: str, size: int) -> Any:
        file = os.open(address, os.O_RDWR)
        try:
            return mmap.mmap(file, size)
        finally:
            os.close(file)
            if not address.startswith("/proc/"):
                Path(address).unlink(missing_ok=True)

    def _close_and_unlink(file: int, address: str) -> None:
        os.close(file)
        with suppress(OSError):
            Path(address).unlink(missing_ok=True)
