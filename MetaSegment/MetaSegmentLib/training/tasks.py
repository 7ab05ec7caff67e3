"""Tasks: a volume, one structure of it, an axis and painted slices, as users would make them.

A task is drawn from a random generator alone, so task number n of a seed can be made again at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, uniform_filter1d

from ..data.protocol import Placement, painted_slices
from ..task.paint import Paint, PaintedSlices
from ..task.volume import Volume
from .config import TaskSettings
from .derived import derived
from .scanner import Scanner
from .sources import Source, Structure, around

Random = np.random.Generator

_OFF_BY_ONE = 0.3
"""Share of sloppy tasks on which a slice has the outline of its neighbour."""
_SHAKE_WIDTH = 3.0
"""Along an outline, pixels over which a hand strays to one side."""


@dataclass(frozen=True)
class DrawnTask:
    """One structure to learn from: ``mask`` (slices, rows, columns) is its truth, slice axis first."""

    source: str
    volume: Volume
    mask: NDArray[np.bool_]
    paint: Paint


@dataclass
class TaskMaker:
    """Draws tasks.

    Args:
        sources: see :func:`~.sources.find_sources`.
        held_out: draw from the volumes kept for validation instead of the others.
    """

    sources: Sequence[Source]
    held_out: bool = False
    settings: TaskSettings = field(default_factory=TaskSettings)

    def __post_init__(self) -> None:
        self._scanner = Scanner(self.settings.deformed, self.settings.disturbed)

    def make(self, random: Random) -> DrawnTask:
        """A random task; draws again until one has enough voxels and slices."""
        shares = np.array([source.share for source in self.sources])
        while True:
            source = self.sources[int(random.choice(len(shares), p=shares / shares.sum()))]
            drawn = source.draw(random, self.held_out, self.settings.scattered)
            task = self._painted(source.name, drawn, random) if drawn else None
            if task is not None:
                return task

    def _painted(self, source: str, drawn: Structure, random: Random) -> DrawnTask | None:
        spacing = drawn.spacing
        axis = 0 if spacing[0] > 1.5 * spacing[1] else int(random.integers(3))
        box = around(drawn.mask, margin=None)
        image, mask = drawn.image[box], drawn.mask[box]
        if self.settings.derived and random.random() < self.settings.derived:
            mask = derived(mask, random)
        image, mask = self._scanner.deform(image, mask, random)
        image, mask = np.moveaxis(image, axis, 0), np.moveaxis(mask, axis, 0)
        mm = [spacing[axis], *(s for i, s in enumerate(spacing) if i != axis)]
        image, mask, mm[0] = self._sliced(image, mask, mm, random)
        slices = self._slices(mask, random)
        if len(slices) < 2 or image.shape[0] < 4:
            return None
        image = self._scanner.disturb(image, random)
        if image.min() == image.max():
            return None
        volume = Volume(image, (float(mm[0]), float(mm[1]), float(mm[2])))
        labels = self._outlined(mask, slices, random).astype(np.uint8)
        paint = Paint({1: 0}, {1: tuple(slices)}, stacks={0: PaintedSlices(tuple(slices), labels)})
        return DrawnTask(source, volume, mask, paint)

    def _sliced(
        self, image: NDArray[Any], mask: NDArray[np.bool_], mm: Sequence[float], random: Random
    ) -> tuple[NDArray[Any], NDArray[np.bool_], float]:
        """Thicker slices, half of the time averages of what they span, and their distance in mm."""
        thickness = int(random.choice(self.settings.thickness))
        if mm[0] * thickness > self.settings.thickest * mm[1]:
            thickness = 1
        if thickness > 1 and random.random() < 0.5:
            image = uniform_filter1d(image.astype(np.float32), thickness, axis=0)
        first = int(random.integers(thickness))
        return image[first::thickness], mask[first::thickness], mm[0] * thickness

    def _outlined(self, mask: NDArray[np.bool_], slices: Sequence[int], random: Random) -> NDArray[np.bool_]:
        """(S, rows, columns) of what is painted on ``slices``, as a steady or a shaky hand paints it."""
        shaky, painted = random.random() < self.settings.sloppy, mask[list(slices)]
        if not shaky:
            return painted
        if random.random() < _OFF_BY_ONE:
            place = int(random.integers(len(slices)))
            beside = mask[min(max(slices[place] + int(random.choice([-1, 1])), 0), len(mask) - 1)]
            painted[place] = beside if beside.any() and painted[place].any() else painted[place]
        return np.stack([_shaken(one, random) for one in painted])

    def _slices(self, mask: NDArray[np.bool_], random: Random) -> list[int]:
        """The slices that are painted; none when the structure is too small for that."""
        settings = self.settings
        k = int(random.choice(settings.painted))
        occupied = np.flatnonzero(mask.any((1, 2)))
        if mask.sum() < 100 or len(occupied) < max(2 * k, k + 3):
            return []
        placement: Placement = "inside" if random.random() < settings.inside else "ends"
        slices = painted_slices(mask, k, placement)
        if random.random() < settings.uneven:  # a person does not space slices evenly
            slices = sorted({int(np.clip(z + random.integers(-1, 2), occupied[0], occupied[-1])) for z in slices})
            slices = [z for z in slices if mask[z].any()]
        if len(slices) > 1 and random.random() < settings.empty:
            beside = settings.beside > 0 and random.random() < settings.beside
            slices = sorted({*slices, *_empty_slices(mask, occupied, random, 1 if beside else None)})
        return slices


def _shaken(mask: NDArray[np.bool_], random: Random) -> NDArray[np.bool_]:
    """A slice whose outline was drawn up to about two pixels beside the true one; never without a pixel."""
    if not mask.any():
        return mask
    offset = gaussian_filter(random.standard_normal(mask.shape), _SHAKE_WIDTH, truncate=3.0)
    offset *= random.uniform(0.3, 1.2) / offset.std()
    distance = distance_transform_edt(mask) - distance_transform_edt(~mask)
    shaken = np.asarray(distance + offset > 0)
    return shaken if shaken.any() else mask


def _empty_slices(
    mask: NDArray[np.bool_], occupied: NDArray[np.intp], random: Random, reach: int | None = None
) -> list[int]:
    """One or two slices beyond the structure, at most ``reach`` slices from it, that a user names as empty."""
    reach = reach or max(2, len(occupied) // 4)
    below = int(occupied[0] - random.integers(1, reach + 1))
    above = int(occupied[-1] + random.integers(1, reach + 1))
    picked = {0: [below], 1: [above], 2: [below, above]}[int(random.integers(3))]
    return [z for z in picked if 0 <= z < len(mask)]
