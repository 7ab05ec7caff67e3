"""Cache of intermediate results, keyed by everything they depend on.

A key holds the checksum of each input, so what is found is exactly what would be computed: reuse changes no bit of an
answer, however it was reached.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

import numpy as np

Value = TypeVar("Value")

LIMIT_MB = 512
"""Beyond, what was used longest ago is dropped."""


class Memo:
    """Least-recently-used cache of arrays; safe to use from several threads.

    Args:
        limit_mb: most memory that its arrays take, in MB.
    """

    def __init__(self, limit_mb: float = LIMIT_MB) -> None:
        self._limit = limit_mb * 2**20
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """The value of ``key``; computed when it is not there. Arrays are shared: nobody may write to them."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return cast(Value, self._values[key])
        value = compute()  # without the lock, so that threads work side by side
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self._bytes += _size(value)
                while self._bytes > self._limit and len(self._values) > 1:
                    self._bytes -= _size(self._values.popitem(last=False)[1])
        return value

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._values.clear()
            self._bytes = 0

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    return sum(_size(part) for part in value) if isinstance(value, tuple | list) else 0
