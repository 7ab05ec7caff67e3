"""One structure's logits on a frame of its own, brought onto voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..task.frame import Frame, Stack
from .agreement import Shared
from .refine import Refinement
from .sizes import Sizes

FAR = -12.0
"""Logit outside every window: certainly background."""

Places = tuple[tuple[slice, slice], tuple[slice, slice]]


@dataclass(frozen=True, eq=False)
class Patch:
    """One structure's answer.

    Attributes:
        frame: where its logits lie.
        logits: slice index → (H, W).
        refinement: what is finer than the frame.
        temperature: logits are divided by it.
        sizes: what the structure is held to between its painted slices.
        shared: with simple predictors; None where they were not asked.
    """

    frame: Frame
    logits: Mapping[int, Stack]
    refinement: Refinement | None = None
    temperature: float = 1.0
    sizes: Sizes | None = None
    shared: Shared | None = None

    def on_voxels(self, index: int) -> Stack:
        """(rows, columns) logits of a slice on the voxels of the window."""
        logits = self.frame.to_window(self.logits[index][None])[0]
        sharp = logits if self.refinement is None else self.refinement.add(index, logits)
        held = sharp if self.sizes is None else self.sizes.hold(index, sharp)
        return held / np.float32(self.temperature)

    def places(self, shape: tuple[int, ...]) -> Places:
        """The part within slices of this shape: its place in a slice, and its place in the patch."""
        height, width = shape
        return self.frame.window.inside(height, width)

    def on_slice(self, index: int, shape: tuple[int, int]) -> Stack:
        """(rows, columns) logits of a whole slice of this shape."""
        plane = np.full(shape, FAR, np.float32)
        if index in self.logits:
            in_image, in_window = self.places(shape)
            plane[in_image] = self.on_voxels(index)[in_window]
        return plane


def whole_slice(shape: tuple[int, ...]) -> Places:
    height, width = shape
    whole = (slice(0, height), slice(0, width))
    return whole, whole
