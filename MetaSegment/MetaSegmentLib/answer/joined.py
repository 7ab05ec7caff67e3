"""One structure's answer from several frames: its pieces, or tiles of a large window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from scipy import ndimage

from ..predictors.protocol import ChecksItself
from ..task.frame import Mask, Stack, overlap
from ..task.tiles import OVERLAP
from .agreement import Shared, shared_by_structure
from .parts import AnyPart, FittedPart, FittedPieces, FittedTiles, logits_of
from .patch import Patch, Places, whole_slice

_CHANCE = 0.01
"""Dice on few left-out slices that says nothing: there, gaps are twice as wide."""


def answers_of(part: AnyPart, shape: tuple[int, int], trusted: bool, temperature: float) -> Mapping[int, Answer]:
    """Label → the answer for it.

    Args:
        shape: (rows, columns) of a slice of the volume.
        trusted: see :func:`~.parts.logits_of`.
        temperature: logits are divided by it.
    """
    if not isinstance(part, FittedPieces):
        return _together(part, shape, trusted, temperature)
    pieces = [_together(piece, shape, trusted, temperature) for piece in part.pieces]
    first, last = part.between
    whole = _patches(part.whole, trusted, temperature, range(first, last + 1))
    return {
        value: Pieces([piece[value] for piece in pieces], patch, part.between, shape) for value, patch in whole.items()
    }


def _together(
    part: FittedPart | FittedTiles, shape: tuple[int, int], trusted: bool, temperature: float
) -> Mapping[int, Patch | Tiles]:
    """The answer for what is not in pieces."""
    if not isinstance(part, FittedTiles):
        return _patches(part, trusted, temperature)
    tiles = [_patches(tile, trusted, temperature) for tile in part.tiles]
    whole = _patches(part.whole, trusted, temperature)
    return {value: Tiles([tile[value] for tile in tiles], patch, shape) for value, patch in whole.items()}


def _patches(part: FittedPart, trusted: bool, temperature: float, unwanted: range = range(0)) -> dict[int, Patch]:
    logits, frame = logits_of(part, trusted, unwanted), part.task.frame
    ensemble = part.ensemble if trusted else None
    shared = [None] * len(part.sizes) if ensemble is None else shared_by_structure(ensemble, logits)
    patches = {}
    for place, value in enumerate(part.task.values):
        own = {index: planes[place] for index, planes in logits.items()}
        sizes = part.sizes[place] if trusted else None
        patches[value] = Patch(frame, own, part.refinements[place], temperature, sizes, shared[place])
    return patches


def tiles_are_better(tiles: Sequence[FittedPart], whole: FittedPart, masks: Mapping[int, Mask]) -> bool:
    """Whether tiles help on the inner painted slices, each predicted from the others; not where that cannot be told.

    A large organ that is painted on few slices is better seen as a whole.

    Args:
        whole: has inner painted slices.
        masks: slice index → (rows, columns) what is painted on it.
    """
    *own, around = (_left_out(part) for part in (*tiles, whole))
    found = [patch for patch in own if patch is not None]
    inner = whole.task.structure.inner
    if around is None or len(found) < len(own):
        return False
    shape = masks[inner[0]].shape
    together = Tiles(found, around, shape)
    truth = np.stack([masks[index] for index in inner])
    with_tiles, without = (
        np.stack([answer(index) > 0 for index in inner])
        for answer in (together.on_voxels, lambda index: around.on_slice(index, shape))
    )
    return overlap(with_tiles, truth) >= overlap(without, truth) - _CHANCE


def _left_out(part: FittedPart) -> Patch | None:
    """Logits of the painted slices of a part, each from the others."""
    logits = part.fitted.left_out() if isinstance(part.fitted, ChecksItself) else None
    if logits is None:
        return None
    return Patch(part.task.frame, {index: planes[0] for index, planes in zip(part.task.left_out, logits, strict=True)})


class Pieces:
    """One structure's answer where its pieces lie far apart, each on a frame of its own.

    Beyond the outermost painted slices pieces may join, as the limbs of an aorta do, on ground that none of their
    frames shows. So the frame around all of them has a say there: as long as it sees them apart, too, the mean of its
    logits and theirs is the answer, and from where they meet on outwards it answers alone.

    Args:
        pieces: the answer for each.
        whole: on the frame around all.
        between: the first and the last painted slice.
        shape: (rows, columns) of a slice of the volume.
    """

    def __init__(
        self, pieces: Sequence[Patch | Tiles], whole: Patch, between: tuple[int, int], shape: tuple[int, int]
    ) -> None:
        self._pieces, self._whole, self._between, self._shape = pieces, whole, between, shape
        self._seen: dict[int, tuple[list[Stack], Stack]] = {}  # from looking whether they meet, until asked for
        found = {index for piece in pieces for index in piece.logits}
        outside = [index for index in whole.logits if not between[0] <= index <= between[1]]
        self.logits = dict.fromkeys(sorted({*found, *outside}))

    def on_voxels(self, index: int) -> Stack:
        """(rows, columns) logits of a slice; where windows overlap, those of the piece that is more likely there."""
        first, last = self._apart
        if not first <= index <= last:
            return self._whole.on_slice(index, self._shape)
        if self._between[0] <= index <= self._between[1]:
            return np.asarray(np.maximum.reduce(self._own(index)))
        own, whole = self._seen.pop(index) if index in self._seen else self._beyond(index)
        return np.asarray((np.maximum.reduce(own) + whole) / 2, np.float32)

    def places(self, shape: tuple[int, ...]) -> Places:
        """All of a slice."""
        return whole_slice(shape)

    @property
    def shared(self) -> Shared | None:
        """What the pieces share with simple predictors, all together."""
        known = [piece.shared for piece in self._pieces if piece.shared is not None]
        return np.sum(known, axis=0) if len(known) == len(self._pieces) else None

    @cached_property
    def _apart(self) -> tuple[int, int]:
        """The first and the last slice up to which the pieces do not meet."""
        first, last = self._between
        while first - 1 in self.logits and not self._meet(first - 1):
            first -= 1
        while last + 1 in self.logits and not self._meet(last + 1):
            last += 1
        return first, last

    def _meet(self, index: int) -> bool:
        """Whether anything that is found on a slice touches several pieces or reaches out of every window."""
        self._seen[index] = self._beyond(index)
        own, whole = [plane > 0 for plane in self._seen[index][0]], self._seen[index][1] > 0
        connected, count = ndimage.label(np.logical_or.reduce([whole, *own]), np.ones((3, 3)))
        for number in range(1, count + 1):
            there = connected == number
            reaches_out = all((there & whole & ~window).any() for window in self._windows)
            if reaches_out or sum(bool((there & piece).any()) for piece in own) > 1:
                return True
        return False

    def _own(self, index: int) -> list[Stack]:
        """(rows, columns) logits of a slice, of each piece."""
        return [piece.on_slice(index, self._shape) for piece in self._pieces]

    def _beyond(self, index: int) -> tuple[list[Stack], Stack]:
        """The same, and those of the frame around all."""
        return self._own(index), self._whole.on_slice(index, self._shape)

    @cached_property
    def _windows(self) -> list[Mask]:
        """(rows, columns) where the window of each piece is."""
        windows = [np.zeros(self._shape, bool) for _ in self._pieces]
        for window, piece in zip(windows, self._pieces, strict=True):
            window[piece.frame.window.inside(*self._shape)[0]] = True
        return windows


class Tiles:
    """One structure's answer where tiles show more of it than the frame around all of it.

    Where tiles overlap, the mean of their logits, in which each counts less towards its border, since it does not see
    what lies beyond. To that the frame around all of it adds its own, since it sees more at once; the coarser its
    pixels are, the less. Where no tile has anything to say it answers alone.

    Args:
        tiles: their patches.
        whole: on the frame around all.
        shape: (rows, columns) of a slice of the volume.
    """

    def __init__(self, tiles: Sequence[Patch], whole: Patch, shape: tuple[int, int]) -> None:
        self.frame = whole.frame
        self._tiles, self._whole, self._shape = tiles, whole, shape
        self._shares = [_share(*tile.frame.window.shape) for tile in tiles]
        self._coarser = np.float32(whole.frame.pixel / tiles[0].frame.pixel)
        self.shared = whole.shared
        found = {index for patch in (whole, *tiles) for index in patch.logits}
        self.logits = dict.fromkeys(sorted(found))

    def on_voxels(self, index: int) -> Stack:
        """(rows, columns) logits of a slice."""
        plane, shares = np.zeros(self._shape, np.float32), np.zeros(self._shape, np.float32)
        for tile, share in zip(self._tiles, self._shares, strict=True):
            if index in tile.logits:
                in_image, in_window = tile.places(self._shape)
                plane[in_image] += (share * tile.on_voxels(index))[in_window]
                shares[in_image] += share[in_window]
        whole = self._whole.on_slice(index, self._shape)
        own = np.divide(plane, shares, out=whole.copy(), where=shares > 0)
        if index not in self._whole.logits:
            return own
        return np.asarray((self._coarser * own + whole) / (self._coarser + 1), np.float32)

    def on_slice(self, index: int, shape: tuple[int, int]) -> Stack:
        """The same, which is of whole slices."""
        return self.on_voxels(index)

    def places(self, shape: tuple[int, ...]) -> Places:
        """All of a slice."""
        return whole_slice(shape)


Answer = Patch | Pieces | Tiles


def _share(rows: int, columns: int) -> Stack:
    """(rows, columns) what the voxels of a tile count: all in its core, less and less in what overlaps others."""
    lines = []
    for side in (rows, columns):
        inwards = np.minimum(np.arange(side) + 1, side - np.arange(side))
        lines.append(np.clip(inwards / (2 * OVERLAP * side), 0, 1))
    return np.asarray(np.minimum.outer(*lines), np.float32)
