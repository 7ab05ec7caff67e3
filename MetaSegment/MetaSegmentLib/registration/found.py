"""Whether a structure that was carried to another volume is there at all."""

from __future__ import annotations

import math
from dataclasses import dataclass

THRESHOLD = 0.5
"""Below this confidence a structure counts as not found."""

# Fitted by "python3 Testing/benchmarks/cross_volume.py confidence" on the training sets msd_hippocampus, sunnybrook,
# openkbp, spine_vb2 and msd_heart, labels 1 and 2. How well several supports agree says nothing more.
_BIAS = -1.1
_WEIGHTS = {"likeness": 1.78, "returned": 3.09, "growth": -1.43}


@dataclass(frozen=True)
class Evidence:
    """What speaks for a structure's being where it was carried to.

    Attributes:
        likeness: squared local correlation of the two images there and close by, in [0, 1].
        returned: Dice of what is carried back again with what set out, in [0, 1].
        growth: how much its size changed on the way, as the absolute natural logarithm of the ratio.
    """

    likeness: float
    returned: float
    growth: float


def confidence(evidence: Evidence) -> float:
    """How likely the structure is there, in [0, 1]."""
    score = _BIAS + sum(weight * getattr(evidence, name) for name, weight in _WEIGHTS.items())
    return 1 / (1 + math.exp(-score))
