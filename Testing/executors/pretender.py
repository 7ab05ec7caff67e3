"""A worker process that does whatever a worker may ever do, without torch; the method's name says what."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import MetaSegmentLib
from MetaSegmentLib import Cancelled, Result, WeightsError
from MetaSegmentLib.executors import ProcessExecutor, Request
from MetaSegmentLib.executors.worker import main

_FOLDERS = [str(Path(MetaSegmentLib.__file__).parents[1]), str(Path(__file__).parents[1])]


class Pretender:
    """Says in the report what it was given."""

    def __init__(self) -> None:
        self.forgotten = 0

    def forget(self) -> None:
        self.forgotten += 1

    def warm_up(self) -> None:
        pass

    def compute(self, request: Request, progress: Any = None, cancel: Any = None) -> Result:
        progress(request.settings.method, 0, 1, None)
        match request.settings.method:
            case "obedient":
                while not cancel():
                    time.sleep(0.01)
                raise Cancelled
            case "asleep":
                time.sleep(60)
            case "busy":
                while True:
                    np.linalg.svd(np.ones((300, 300)))
            case "stuck":  # like native code that never lets go of the lock
                time.sleep(0.2)
                ctypes.PyDLL(None).sleep(60)
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "memory":
                raise MemoryError
            case "weights":
                raise WeightsError("The weights of “Müller” are damaged; install them again.")
            case "unforeseen":
                raise RuntimeError("a detail")
            case "noisy":
                print("a library prints")
                os.write(1, b'{"is": "result"}\nand without Python, too\n')
        shape = request.image.shape
        report = {
            "pid": os.getpid(),
            "image": float(request.image.sum()),
            "names": list(request.names.values()),
            "origin": request.origin,
            "number": np.int64(3),
        }
        half = np.full(shape, 0.5, np.float16)
        probabilities = (lambda: np.stack([half, half])) if request.probabilities else None
        return Result(request.labels, half, {1: 0.5, 2: None}, [], report, probabilities)


def pretender(*arguments: str) -> list[str]:
    """The command that starts one, for this process."""
    code = f"import sys; sys.path[:0] = {_FOLDERS!r}; from executors.pretender import serve; serve()"
    return [sys.executable, "-c", code, str(os.getpid()), *arguments]


def serve() -> None:
    main(int(sys.argv[1]), Pretender(), *map(float, sys.argv[2:]))


def executor() -> ProcessExecutor:
    return ProcessExecutor(arguments=pretender())
