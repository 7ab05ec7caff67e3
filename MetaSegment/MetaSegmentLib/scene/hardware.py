"""Whether this computer has a GPU that torch could use, found out without torch: it may not be installed yet."""

from __future__ import annotations

import platform
import shutil
import sys
from functools import cache
from pathlib import Path


@cache
def gpu() -> str:
    """``NVIDIA`` where NVIDIA's driver is installed, ``Apple`` on an Apple processor, else an empty text."""
    if sys.platform == "darwin":
        return "Apple" if platform.machine() == "arm64" else ""
    driver = (Path("/proc/driver/nvidia/version"), Path("C:/Windows/System32/nvml.dll"))
    return "NVIDIA" if shutil.which("nvidia-smi") or any(file.exists() for file in driver) else ""
