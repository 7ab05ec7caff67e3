"""Which volumes of a data set are kept out of training, for tuning and for telling how well it generalises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Volume = TypeVar("Volume")

HELD_OUT_EVERY = 6


def held_out(volumes: Sequence[Volume]) -> list[Volume]:
    """Every sixth volume, in the order of the file names; none of a set of fewer, which is too small to spare any."""
    return list(volumes[::HELD_OUT_EVERY]) if len(volumes) >= HELD_OUT_EVERY else []
