"""Biomedisa's smart interpolation (Lösel et al., Nature Communications 2020), run as a program of its own.

Its licence (EUPL) and its packages are not ours: it lives in another environment, which the environment variable
``METASEGMENT_BIOMEDISA`` names by its Python. Nothing of it is imported here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DependencyError
from .peers import OUTSIDE, Mask, make_seeds

VARIABLE = "METASEGMENT_BIOMEDISA"
STEPS = 50
"""Of a walk. The default of 4000 is made for large volumes and walks right through small structures; of 25, 50, 100,
200 and 1000 steps, 50 came out best on six structures of training sets."""

_PLATFORM = "opencl_Portable_CPU"
_LONGEST_S = 600
_VERSION = "from importlib.metadata import version; import biomedisa.interpolation; print(version('biomedisa'))"
_PROGRAM = """
import sys
import numpy as np
from biomedisa.interpolation import smart_interpolation
given = np.load(sys.argv[1])
found = smart_interpolation(given["image"], given["labels"], platform=sys.argv[3], sorw=int(sys.argv[4]))
if not found or "regular" not in found:
    sys.exit(1)
np.save(sys.argv[2], found["regular"])
"""


def find() -> Path | None:
    """The Python of the environment in which Biomedisa is installed; None where there is none."""
    python = os.environ.get(VARIABLE)
    return Path(python) if python and _version(python) else None


def maker() -> str | None:
    """Its version."""
    return _version(os.environ.get(VARIABLE, ""))


def smart_interpolation(
    image: NDArray[Any], mask: Mask, painted: Sequence[int], spacing: Sequence[float], margin: int = 12
) -> Mask:
    """Random walks from the painted slices, up to half a gap past either end; (K, J, I).

    Arguments as for ``grow_from_seeds``; voxels count as cubes, whatever the spacing.

    Raises:
        DependencyError: it is not installed, or it failed.
    """
    python = find()
    if python is None:
        raise DependencyError(
            f"Biomedisa is not installed; set {VARIABLE} to the Python of an environment that has it."
        )
    seeds, box = make_seeds(mask, painted, margin)
    # A slice that holds nothing of the structure cannot be stated, so the work stops before those past the ends.
    inside = np.flatnonzero((seeds != OUTSIDE).any(axis=(1, 2))) + box[0].start
    box = (slice(int(inside[0]), int(inside[-1]) + 1), *box[1:])
    labels = np.zeros(mask.shape, np.uint8)
    labels[painted] = mask[painted]
    walked = np.zeros(mask.shape, bool)
    with tempfile.TemporaryDirectory(prefix="metasegment-") as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npy"
        np.savez(given, image=image[box].astype(np.float32), labels=labels[box])
        command = [str(python), "-c", _PROGRAM, str(given), str(found), _PLATFORM, str(STEPS)]
        done = _run(command, Path(folder))
        if done is None or done.returncode or not found.is_file():
            raise DependencyError("Biomedisa failed; try its own command in its environment to see why.")
        walked[box] = np.load(found) > 0
    return walked


@lru_cache(maxsize=1)
def _version(python: str) -> str | None:
    if not shutil.which(python):
        return None
    done = _run([python, "-c", _VERSION], Path(tempfile.gettempdir()))
    lines = done.stdout.split() if done is not None and done.returncode == 0 else []
    return lines[-1] if lines else None


def _run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str] | None:
    # This program's own packages must not be found by the other one.
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=clean,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_LONGEST_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
