"""Long work in pieces, so that the thread that does it can do something else in between.

Such work is a generator: up to each ``yield`` it does one piece, and it returns what it was made for. A GUI takes the
pieces one after the other in its event loop; who may block drains them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from math import prod
from typing import Any, TypeVar

from numpy.typing import NDArray

T = TypeVar("T")
Steps = Generator[None, None, T]

PIECE = 1 << 19
"""Voxels of one piece: a few passes over them take a few milliseconds and stay in the processor's cache."""


def drain(steps: Steps[T]) -> T:
    """Do all pieces at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def slabs(shape: Sequence[int], voxels: int = PIECE) -> Iterator[slice]:
    """Cut an array of ``shape`` across its first axis into parts of about ``voxels`` voxels."""
    count = max(voxels // max(prod(shape[1:]), 1), 1)
    for first in range(0, shape[0], count):
        yield slice(first, min(first + count, shape[0]))


def copy_steps(source: NDArray[Any], target: NDArray[Any]) -> Steps[NDArray[Any]]:
    """Copy an array into another one of its shape, which is returned."""
    for slab in slabs(source.shape):
        target[slab] = source[slab]
        yield
    return target
