"""Structures painted on slices of their own, on one frame, to find on all other slices.

A pixel is *known* for a structure on its own painted slices, which are complete for it, and wherever something else
is painted, since voxels of one structure are not those of another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np

from .frame import Frame, FrameSettings, Mask, Stack, make_frame, resize, signed_distance
from .paint import Paint
from .tiles import Tile
from .volume import Volume

DISTANCE_LIMIT = 30.0
"""Signed distances are clipped to this, in pixels of the frame."""
BORDER_SHARE = 0.75
"""A structure painted within this share of a gap from the volume's border is taken to go on beyond it."""
NEAR_SHARE = 0.6
"""Of a gap: how far beyond the outermost painted slices the structure is looked for in any case, since half a gap is
where the end of a structure that was painted evenly lies."""

Digest = bytes


@dataclass(frozen=True, eq=False)
class Structure:
    """One structure of a task: what is known of it.

    Attributes:
        value: its label.
        distances: slice index → (H, W) signed distance in frame pixels, positive inside, of each of its painted
            slices, which are complete; None for a slice that is known to be empty.
        others: slice index → (H, W) pixels painted as something else, on slices that are not its own.
        reach: how far, in slices, it is looked for when it is painted on a single slice.
        gap: the largest distance between its neighbouring painted slices, in slices.
    """

    value: int
    distances: Mapping[int, Stack | None]
    others: Mapping[int, Mask]
    reach: int
    gap: int

    @cached_property
    def slices(self) -> tuple[int, ...]:
        """Its painted slices, ascending; those known to be empty are among them."""
        return tuple(sorted(self.distances))

    @cached_property
    def filled(self) -> tuple[int, ...]:
        """The painted slices on which it is present."""
        return tuple(i for i in self.slices if self.distances[i] is not None)

    @property
    def inner(self) -> tuple[int, ...]:
        """The painted slices between others.

        An outermost painted slice, predicted from the others, lies beyond them and is still full of the structure. To
        learn from that would teach a method to run past the ends, so only slices between serve to adapt and to
        calibrate.
        """
        return self.slices[1:-1]

    def shape_on(self, index: int) -> Stack:
        """(H, W) signed distance of a painted slice on which it is present."""
        distance = self.distances[index]
        assert distance is not None
        return distance

    def without(self, index: int) -> Structure:
        """The same with one painted slice taken for an unpainted one; the gap stays when fewer than two are filled."""
        if index not in self.distances:
            return self
        rest = {i: distance for i, distance in self.distances.items() if i != index}
        filled = sorted(i for i, distance in rest.items() if distance is not None)
        return replace(self, distances=rest, gap=_gap(filled, self.reach) if len(filled) > 1 else self.gap)

    def goes_on(self, index: int, depth: int, below: bool) -> bool:
        """Whether, painted on ``index``, it is taken to go on to that border of a volume of ``depth`` slices."""
        left = index if below else depth - 1 - index
        return left <= BORDER_SHARE * self.gap

    def range(self, depth: int) -> tuple[int, int]:
        """The slices [start, stop) to look on: the painted ones and one gap beyond, but not beyond an empty one."""
        return _range(self.slices, self.filled, self.gap, depth)


@dataclass(frozen=True, eq=False)
class Task:
    """Structures to find in a part of a volume.

    Attributes:
        frame: where.
        image: (D, H, W) float32, slices ``frame.start`` to ``frame.stop``, normalised, within [-1.5, 1.5].
        structures: the C structures.
    """

    frame: Frame
    image: Stack
    structures: tuple[Structure, ...]

    @property
    def values(self) -> tuple[int, ...]:
        """The C label values."""
        return tuple(structure.value for structure in self.structures)

    @property
    def structure(self) -> Structure:
        """The structure of a task that has one."""
        (only,) = self.structures
        return only

    @cached_property
    def slices(self) -> tuple[int, ...]:
        """Slices that are complete for a structure at least, ascending."""
        return tuple(sorted({index for structure in self.structures for index in structure.distances}))

    @cached_property
    def queries(self) -> tuple[int, ...]:
        """Slices that are not complete for all structures."""
        settled = set.intersection(*(set(structure.distances) for structure in self.structures))
        return tuple(i for i in range(self.frame.start, self.frame.stop) if i not in settled)

    @cached_property
    def near(self) -> tuple[int, ...]:
        """The queries that are always looked at: up to NEAR_SHARE of a gap beyond the outermost painted slices."""
        wanted: set[int] = set()
        for structure in self.structures:
            reach = math.ceil(NEAR_SHARE * structure.gap)
            wanted.update(range(structure.slices[0] - reach, structure.slices[-1] + reach + 1))
        return tuple(i for i in self.queries if i in wanted)

    @cached_property
    def far(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The other queries, below and above the painted slices, each from the inside outwards."""
        rest = sorted({*self.queries} - {*self.near})
        return tuple(i for i in reversed(rest) if i < self.slices[0]), tuple(i for i in rest if i > self.slices[0])

    @cached_property
    def left_out(self) -> tuple[int, ...]:
        """The painted slices that can be left out: those without which a filled one is left of every structure."""
        return tuple(i for i in self.slices if all(s.without(i).filled for s in self.structures))

    def slice_image(self, index: int) -> Stack:
        """(H, W) image of a slice; beyond the frame that of the nearest one."""
        return self.image[min(max(index, self.frame.start), self.frame.stop - 1) - self.frame.start]

    def masks(self, index: int) -> Mask:
        """(C, H, W) masks of a slice; False where a structure is not painted."""
        return np.stack([_mask(structure.distances.get(index), self.frame) for structure in self.structures])

    def known(self, index: int) -> Mask:
        """(C, H, W): for which structure which pixel of a slice is settled."""
        known = np.zeros((len(self.structures), *self.frame.shape), bool)
        for place, structure in enumerate(self.structures):
            known[place] = True if index in structure.distances else structure.others.get(index, False)
        return known

    def without(self, index: int) -> Task:
        """Leave one out: the same task with a painted slice taken for an unpainted one."""
        return self._with(tuple(structure.without(index) for structure in self.structures))

    def only(self, place: int) -> Task:
        """The same for one of the structures."""
        return self._with((self.structures[place],))

    @cached_property
    def digest(self) -> Digest:
        """Checksum of everything that an answer depends on: the frame, the image and what is known."""
        made = blake2b(repr(self.frame).encode() + self._image_digest, digest_size=16)
        for structure in self.structures:
            made.update(repr((structure.value, structure.reach, structure.gap, structure.slices)).encode())
            for index in structure.slices:
                distance = structure.distances[index]
                made.update(b"empty" if distance is None else distance.tobytes())
            for index in sorted(structure.others):
                made.update(repr(index).encode() + np.packbits(structure.others[index]).tobytes())
        return made.digest()

    @cached_property
    def image_digests(self) -> tuple[Digest, ...]:
        """Checksums of the slices of the image, from ``frame.start`` on."""
        return tuple(blake2b(plane.tobytes(), digest_size=16).digest() for plane in self.image)

    def image_digest(self, index: int) -> Digest:
        """Checksum of ``slice_image(index)``."""
        return self.image_digests[min(max(index, self.frame.start), self.frame.stop - 1) - self.frame.start]

    @cached_property
    def _image_digest(self) -> Digest:
        return b"".join(self.image_digests)

    def _with(self, structures: tuple[Structure, ...]) -> Task:
        task = replace(self, structures=structures)
        if "image_digests" in self.__dict__:  # the image is the same
            task.__dict__["image_digests"] = self.image_digests
        return task


def make_task(
    volume: Volume,
    paint: Paint,
    values: Sequence[int],
    settings: FrameSettings | None = None,
    tile: Tile | None = None,
) -> Task:
    """The task of finding the structures ``values`` together, on a frame around all of them, or on a ``tile``, whose
    part of the paint is given.

    They are painted across the same axis.
    """
    axis = paint.axes[values[0]]
    spacing = volume.spacing_along(axis)
    depth = volume.array.shape[axis]
    masks = {value: paint.masks(value) for value in values}
    bare = {value: _bare(value, paint.slices[value], masks[value], spacing) for value in values}
    ranges = [structure.range(depth) for structure in bare.values()]
    start, stop = min(a for a, _ in ranges), max(b for _, b in ranges)
    place = None if tile is None else (tile.window, tile.size)
    frame, image = make_frame(volume, axis, np.concatenate([*masks.values()]), start, stop, settings, place)
    structures = []
    for value, structure in bare.items():
        seen = (masks[value],) if tile is None else (tile.whole.masks(value), DISTANCE_LIMIT)
        distances, others = _distances(frame, structure, *seen), _others(frame, paint, value)
        structures.append(replace(structure, distances=distances, others=others))
    return Task(frame, image, tuple(structures))


def _bare(value: int, slices: Sequence[int], masks: Mask, spacing: Sequence[float]) -> Structure:
    """A structure without its pixels, which need the frame."""
    filled = [i for i, mask in zip(slices, masks, strict=True) if mask.any()]
    area = masks.sum((1, 2)).max() * spacing[1] * spacing[2]
    # 1½ times the radius of a disc of the largest painted area.
    reach = max(2, round(1.5 * float(np.sqrt(area / np.pi)) / spacing[0]))
    blank: dict[int, Any] = {i: None if not mask.any() else mask for i, mask in zip(slices, masks, strict=True)}
    return Structure(value, blank, {}, reach, _gap(filled, reach))


def _distances(frame: Frame, structure: Structure, masks: Mask, beyond: float = 0.0) -> dict[int, Stack | None]:
    """Signed distances, in pixels, on the painted slices that are worked on; None where the window is empty.

    Args:
        beyond: how far outside the window an outline counts, in pixels: on a tile it may lie there.
    """
    margins = [math.ceil(beyond * frame.pixel / mm) for mm in frame.spacing[1:]]
    wide = frame.window.enlarged(margins)
    window = tuple(slice(margin, margin + n) for margin, n in zip(margins, frame.window.shape, strict=True))
    found: dict[int, Stack | None] = {}
    for index, mask in zip(structure.slices, wide.cut(masks, edge=False), strict=True):
        if not frame.start <= index < frame.stop:
            continue
        if not mask[window].any():
            found[index] = None
        elif mask.all():
            found[index] = np.full(frame.shape, DISTANCE_LIMIT, np.float32)
        else:
            distance = signed_distance(mask, frame.spacing[1:])[window]
            distance = resize(distance[None], frame.shape)[0] / frame.pixel
            found[index] = np.clip(distance, -DISTANCE_LIMIT, DISTANCE_LIMIT)
    return found


def _others(frame: Frame, paint: Paint, value: int) -> dict[int, Mask]:
    """Pixels painted as something else on slices that are not the structure's own."""
    found = {}
    for index, labels in paint.elsewhere(value).items():
        if frame.start <= index < frame.stop:
            mask = frame.cut_mask(labels[None])[0]
            if mask.any():
                found[index] = mask
    return found


def _mask(distance: Stack | None, frame: Frame) -> Mask:
    return np.zeros(frame.shape, bool) if distance is None else np.asarray(distance > 0)


def _gap(filled: Sequence[int], reach: int) -> int:
    """The largest distance of neighbouring painted slices. Slices side by side say nothing of how far the structure
    goes on, so for them it is the reach, shared among them."""
    largest = max((b - a for a, b in pairwise(filled)), default=0)
    return largest if largest > 1 else math.ceil(reach / len(filled))


def _range(slices: Sequence[int], filled: Sequence[int], gap: int, depth: int) -> tuple[int, int]:
    below = [i for i in slices if i < filled[0]]
    above = [i for i in slices if i > filled[-1]]
    start = max(filled[0] - gap, 0, *(i for i in below[-1:]))
    stop = min(filled[-1] + gap, depth - 1, *(i for i in above[:1])) + 1
    return start, stop
