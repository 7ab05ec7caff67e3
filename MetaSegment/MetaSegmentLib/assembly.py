"""From the structures' logits, each on its own window, to one labelled volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import advice
from .detail import Detail
from .progress import Progress
from .region import Region, Stack
from .support import Support
from .volume import Volume

_FAR = -12.0
"""Logit outside every window: certainly background."""


@dataclass(frozen=True)
class Patch:
    """One structure: slice index → (GRID, GRID) logits, the region they lie on, what is finer than its grid, and what
    makes probabilities of the logits."""

    region: Region
    logits: dict[int, Stack]
    detail: Detail | None = None
    temperature: float = 1.0

    def on_voxels(self, index: int) -> Stack:
        """(rows, columns) logits of a slice on the voxels of the window."""
        logits = self.region.to_slices(self.logits[index][None])[0]
        sharp = logits if self.detail is None else self.detail.add(index, logits)
        return sharp / np.float32(self.temperature)


@dataclass(frozen=True)
class Assembled:
    """See ``Result``; besides, ``doubt`` is what painting each slice is expected to gain and ``promised`` the Dice of
    every label that the probabilities promise by themselves; None where the label is on no slice but painted ones."""

    labels: NDArray[np.unsignedinteger[Any]]
    probabilities: NDArray[np.float16]
    uncertainty: NDArray[np.float16]
    doubt: NDArray[np.float64]
    promised: dict[int, float | None]


def assemble(
    volume: Volume,
    support: Support,
    values: tuple[int, ...],
    patches: Mapping[int, Patch],
    painted: tuple[int, ...],
    progress: Progress,
) -> Assembled:
    """Put logits into the volume, p = softmax over background (logit 0) and structures, slice by slice.

    Only slices that some region covers are computed; everywhere else is background.

    Args:
        values: the labels, ascending.
        painted: slices that are taken over from the support as they are.
    """
    shape = volume.array.shape
    kind = np.uint8 if values[-1] < 256 else np.uint16
    labels = np.zeros(shape, kind)
    probabilities = np.zeros((1 + len(values), *shape), np.float16)
    probabilities[0] = 1
    uncertainty = np.zeros(shape, np.float16)
    axis = support.axis
    labels_front, unsure_front = np.moveaxis(labels, axis, 0), np.moveaxis(uncertainty, axis, 0)
    probabilities_front = np.moveaxis(probabilities, axis + 1, 1)
    doubt = np.zeros(shape[axis])
    halves = {value: np.zeros(2) for value in values}
    classes = np.array([0, *values], kind)
    rows, columns = (n for i, n in enumerate(shape) if i != axis)
    covered = {index for patch in patches.values() for index in patch.logits}
    for index in progress.steps("combining", sorted(covered - set(painted))):
        chances = _chances(index, (rows, columns), values, patches)
        chosen = chances.argmax(0)
        labels_front[index] = classes[chosen]
        probabilities_front[:, index] = chances
        unsure_front[index] = advice.entropy(chances)
        for place, value in enumerate(values, start=1):
            mask = chosen == place
            halves[value] += advice.expected_dice(chances[place], mask)
            doubt[index] += advice.expected_gain(chances[place], mask)
    for index in painted:
        truth = support.labels[support.slices.index(index)]
        labels_front[index] = truth
        probabilities_front[:, index] = truth[None] == classes[:, None, None]
    promised = {value: float(a / b) if a else None for value, (a, b) in halves.items()}
    return Assembled(labels, probabilities, uncertainty, doubt, promised)


def _chances(index: int, plane: tuple[int, int], values: tuple[int, ...], patches: Mapping[int, Patch]) -> Stack:
    """(1 + labels, rows, columns) probabilities of a slice."""
    logits = np.full((1 + len(values), *plane), _FAR, np.float32)
    logits[0] = 0
    for place, value in enumerate(values, start=1):
        patch = patches.get(value)
        if patch is not None and index in patch.logits:
            in_image, in_window = patch.region.window.inside(*plane)
            logits[place][in_image] = patch.on_voxels(index)[in_window]
    raised = np.exp(logits - logits.max(0))
    return np.asarray(raised / raised.sum(0), np.float32)
