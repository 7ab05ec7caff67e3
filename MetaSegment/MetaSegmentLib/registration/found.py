"""Whether a structure that was carried to another volume is there at all."""

from __future__ import annotations

import math
from dataclasses import dataclass

THRESHOLD = 0.5
"""Below this confidence a structure counts as not found."""

# Fitted by "python3 Testing/benchmarks/cross_volume.py confidence" on training sets.
_BIAS = -3.0
_WEIGHTS = {"likeness": 5.0, "agreement": 1.0, "returned": 3.0, "growth": -1.0}


@dataclass(frozen=True)
class Evidence:
    """What speaks for a structure's being where it was carried to.

    Attributes:
        likeness: squared local correlation of the two images there and close by, in [0, 1].
        agreement: mean Dice of what several volumes carried with what they make together; 1 with a single volume.
        returned: Dice of what is carried back again with what set out, in [0, 1].
        growth: how much its size changed on the way, as the absolute natural logarithm of the ratio.
    """

    likeness: float
    agreement: float
    returned: float
    growth: float


def confidence(evidence: Evidence) -> float:
    """How likely the structure is there, in [0, 1]."""
    score = _BIAS + sum(weight * getattr(evidence, name) for name, weight in _WEIGHTS.items())
    return 1 / (1 + math.exp(-score))
