"""What was read and learned from files, so that many images that share it do not pay for it again."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from .parts import files_of

Value = TypeVar("Value")


class Kept:
    """Least-recently-used values by the files that they came from; a file that has changed since is another one.

    Args:
        count: so many values stay; none by default.
    """

    def __init__(self, count: int = 0) -> None:
        self._count = count
        self._values: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, files: Sequence[Path], more: Hashable, make: Callable[[], Value]) -> Value:
        """The value of ``files`` and whatever ``more`` it depends on; made where it is not there."""
        if not self._count:
            return make()
        try:
            key = tuple((path, state_of(path)) for path in files), more
        except OSError:
            return make()  # which finds the right words for what is wrong with a file
        if key not in self._values:
            while len(self._values) >= self._count:
                self._values.popitem(last=False)
            self._values[key] = make()
        self._values.move_to_end(key)
        return cast(Value, self._values[key])

    def clear(self) -> None:
        """Let go of everything."""
        self._values.clear()
        gc.collect()


def state_of(path: Path) -> tuple[int, int, int]:
    """Number, bytes and newest time (ns) of the files that a path stands for, without their names.

    Raises:
        OSError: there are none.
    """
    found = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else files_of(path)
    files = [one.stat() for one in found]
    return len(files), sum(one.st_size for one in files), max((one.st_mtime_ns for one in files), default=0)
