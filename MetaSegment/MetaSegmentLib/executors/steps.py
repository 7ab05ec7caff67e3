"""Work in short pieces, so that whoever has a window to look after can do that in between: generators."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from numpy.typing import NDArray

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Yields between pieces of some milliseconds each, and returns what was made."""

_PIECE_BYTES = 4 * 2**20


def finish(steps: Steps[T]) -> T:
    """All pieces, one after the other."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made


def copied(source: NDArray[Any], target: NDArray[Any]) -> Steps[None]:
    """Copy an array into another one of its shape, some slices at a time."""
    count = len(source) and max(1, _PIECE_BYTES * len(source) // max(source.nbytes, 1))
    for start in range(0, len(source), count or 1):
        target[start : start + count] = source[start : start + count]
        yield
