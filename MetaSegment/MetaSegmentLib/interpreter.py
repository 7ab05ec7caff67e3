"""Slicer's own Python interpreter, ``PythonSlicer``, which runs pip and everything else outside the application."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "PythonSlicer"


def python_slicer() -> Path | None:
    """``PythonSlicer`` of this application; None outside Slicer, or where it is nowhere near the application.

    It lies beside the application's own executable (on macOS in a folder beside), which need not be on the PATH.
    """
    for folder in _folders():
        if found := shutil.which(NAME, path=str(folder)):
            return Path(found)
    found = shutil.which(NAME)
    return Path(found) if found else None


@contextmanager
def on_path() -> Iterator[None]:
    """Put ``PythonSlicer`` on the PATH, where Slicer's pip looks for it."""
    before = os.environ.get("PATH", "")
    found = None if shutil.which(NAME) else python_slicer()
    if found is not None:
        os.environ["PATH"] = os.pathsep.join(filter(None, (str(found.parent), before)))
    try:
        yield
    finally:
        if found is not None:
            os.environ["PATH"] = before


def _folders() -> list[Path]:
    folders = [Path(sys.executable).parent] if sys.executable else []
    try:
        from slicer import app
    except ImportError:
        return folders
    return [Path(app.applicationDirPath()), Path(app.slicerHome) / "bin", *folders]
