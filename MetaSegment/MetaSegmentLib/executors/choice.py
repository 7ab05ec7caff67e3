"""Where background runs are computed, by what this computer and its owner allow."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .child import Launch, PipedChild
from .in_process import InProcessExecutor
from .process import ProcessExecutor
from .protocol import Executor

VARIABLE = "METASEGMENT_BACKGROUND"
"""Environment variable: ``thread`` has background runs in a thread where a process is not wanted."""


def background_executor(interpreter: str | None, launch: Launch = PipedChild) -> Executor:
    """A process where there is an interpreter for it, else a thread.

    Args:
        launch: see :class:`ProcessExecutor`.
    """
    if interpreter is None or os.environ.get(VARIABLE) == "thread":
        return InProcessExecutor()
    return ProcessExecutor(interpreter, launch)


def own_interpreter() -> str | None:
    """The running program, if that is a Python."""
    return sys.executable if "python" in Path(sys.executable or "").name.lower() else None
