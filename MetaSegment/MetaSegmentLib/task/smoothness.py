"""How well each slice of a segment fits between its neighbours, by shape alone: where a reader should look first.

What lies on both neighbours should lie on a slice too, and what lies on neither should not. The share of voxels that
break this is high where an outline jumps, where a slice was forgotten, and where a structure ends abruptly.
"""

from __future__ import annotations

import numpy as np

from ..pieces import Steps
from .parts import Mask, Part

_ABRUPT = 0.5
"""How doubtful an end is that is as large as the largest slice; a natural end is small."""


def misfits_steps(part: Part, axis: int) -> Steps[dict[int, float]]:
    """For each slice across ``axis`` from the first to the last one that holds any of the mask, in [0, 1], found in
    pieces; 0 fits perfectly."""
    planes = np.moveaxis(part.box, axis, 0)
    counts = [int(np.count_nonzero(plane)) for plane in planes]
    largest = max(counts, default=0)
    last = part.shape[axis] - 1
    found: dict[int, float] = {}
    for n, plane in enumerate(planes):
        index = part.corner[axis] + n
        before = planes[n - 1] if n else None
        after = planes[n + 1] if n + 1 < len(planes) else None
        found[index] = _misfit(plane, before, after)
        ends = (before is None and index > 0) or (after is None and index < last)
        if ends and len(planes) > 1:
            found[index] = max(found[index], _ABRUPT * counts[n] / largest)
        yield
    return found


def _misfit(here: Mask, before: Mask | None, after: Mask | None) -> float:
    if before is None or after is None:
        other = before if after is None else after
        if other is None:
            return 0.0
        odd = int(np.count_nonzero(here & ~other))
        return odd / max(int(np.count_nonzero(here)), 1)
    both = before & after
    odd = int(np.count_nonzero(here & ~(before | after))) + int(np.count_nonzero(both & ~here))
    return min(1.0, odd / max(int(np.count_nonzero(here)), int(np.count_nonzero(both)), 1))
