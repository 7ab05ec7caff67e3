"""A file written beside its place and then renamed: whoever reads it finds the old one or the new one, whole.

For files of our own; what users ask for, several files that appear together, is written by ``files/atomic.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(final: Path) -> Iterator[Path]:
    """Where to write what takes the place of ``final`` when the block ends, and leaves it as it was on an error.

    Several processes may write the same file at once: the last one wins. A symbolic link stays, and what it leads to is
    replaced.
    """
    final = Path(os.path.realpath(final))
    waiting = final.with_name(f"{final.name}.{os.getpid()}.part")
    try:
        yield waiting
        os.replace(waiting, final)
    finally:
        waiting.unlink(missing_ok=True)
