"""Tasks: a volume, one structure of it, an axis and painted slices, as users would make them.

A task is drawn from a random generator alone, so task number n of a seed can be made again at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..evaluation.protocol import Placement, painted_slices
from ..support import Support
from ..volume import Volume
from .sources import Source, Structure
from .synthesis import disturb

Random = np.random.Generator

_PAINTED = (2, 3, 3, 4, 5, 5, 6, 8)
_INSIDE_SHARE = 0.65
_EMPTY_SHARE = 0.15


@dataclass(frozen=True)
class Task:
    """One structure to learn from: ``mask`` (slices, rows, columns) is its truth, slice axis first."""

    source: str
    volume: Volume
    mask: NDArray[np.bool_]
    support: Support


@dataclass
class TaskMaker:
    """Draws tasks.

    Args:
        sources: see :func:`~.sources.find_sources`.
        held_out: draw from the volumes kept for validation instead of the others.
    """

    sources: Sequence[Source]
    held_out: bool = False

    def make(self, random: Random) -> Task:
        """A random task; draws again until one has enough voxels and slices."""
        shares = np.array([source.share for source in self.sources])
        while True:
            source = self.sources[int(random.choice(len(shares), p=shares / shares.sum()))]
            drawn = source.draw(random, self.held_out)
            task = self._painted(source.name, drawn, random) if drawn else None
            if task is not None:
                return task

    def _painted(self, source: str, drawn: Structure, random: Random) -> Task | None:
        spacing = drawn.spacing
        axis = 0 if spacing[0] > 1.5 * spacing[1] else int(random.integers(3))
        image, mask = np.moveaxis(drawn.image, axis, 0), np.moveaxis(drawn.mask, axis, 0)
        mm = [spacing[axis], *(s for i, s in enumerate(spacing) if i != axis)]
        thickness = int(random.choice([1, 1, 2, 3, 4]))
        if mm[0] * thickness > 6 * mm[1]:
            thickness = 1
        first = int(random.integers(thickness))
        image, mask = image[first::thickness], mask[first::thickness]
        mm[0] *= thickness
        k = int(random.choice(_PAINTED))
        occupied = np.flatnonzero(mask.any((1, 2)))
        if mask.sum() < 100 or len(occupied) < max(2 * k, k + 3) or image.shape[0] < 4:
            return None
        placement: Placement = "inside" if random.random() < _INSIDE_SHARE else "ends"
        slices = painted_slices(mask, k, placement)
        if random.random() < 0.3:  # a person does not space slices evenly
            slices = sorted({int(np.clip(z + random.integers(-1, 2), occupied[0], occupied[-1])) for z in slices})
            slices = [z for z in slices if mask[z].any()]
        if len(slices) < 2:
            return None
        if random.random() < _EMPTY_SHARE:
            slices = sorted({*slices, *_empty_slices(mask, occupied, random)})
        image = disturb(image, random)
        if image.min() == image.max():
            return None
        volume = Volume(image, (float(mm[0]), float(mm[1]), float(mm[2])))
        labels = mask[slices].astype(np.uint8)
        return Task(source, volume, mask, Support(0, tuple(slices), labels, (1,)))


def _empty_slices(mask: NDArray[np.bool_], occupied: NDArray[np.intp], random: Random) -> list[int]:
    """One or two slices just beyond the structure that a user names as empty."""
    reach = max(2, len(occupied) // 4)
    below = int(occupied[0] - random.integers(1, reach + 1))
    above = int(occupied[-1] + random.integers(1, reach + 1))
    picked = {0: [below], 1: [above], 2: [below, above]}[int(random.integers(3))]
    return [z for z in picked if 0 <= z < len(mask)]
