"""From the structures' logits, each on its own frame, to one labelled volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from ..progress import Progress
from ..task.frame import Stack
from ..task.paint import Paint
from .calibration import entropy, implied_dice
from .joined import Answer
from .patch import FAR, Places, whole_slice
from .suggestions import expected_gain

_HARDLY = 1e-3
"""Probability that is as good as none, of what was carried."""


class CarriedPatch:
    """One structure's answer where nothing is painted: the mean of what was carried and of what a method makes of it.

    Either may be the better one, by .1 Dice from one volume to the next, and their mean is seldom far from the better.

    Args:
        carried: (slices, rows, columns) probability on the volume's own voxels.
        patch: the method's answer.
    """

    def __init__(self, carried: NDArray[np.float32], patch: Answer) -> None:
        self._carried, self._patch = carried, patch
        there = {int(i) for i in np.flatnonzero((carried > _HARDLY).any(axis=(1, 2)))}
        self.logits = dict.fromkeys(sorted(there | set(patch.logits)))

    def on_voxels(self, index: int) -> Stack:
        """(rows, columns) logits of a slice."""
        plane = self._carried[index]
        made = np.zeros_like(plane)
        if index in self._patch.logits:
            in_image, in_window = self._patch.places(plane.shape)
            made[in_image] = expit(self._patch.on_voxels(index)[in_window])
        return np.asarray(logit(np.clip((plane + made) / 2, _HARDLY, 1 - _HARDLY)), np.float32)

    def places(self, shape: tuple[int, ...]) -> Places:
        """All of a slice."""
        return whole_slice(shape)


def _in_half(chances: Stack) -> NDArray[np.float16]:
    """(classes, rows, columns) in half precision; the likeliest class stays so where rounding would make a tie."""
    chosen, half = chances.argmax(0)[None], chances.astype(np.float16)
    own = np.take_along_axis(half, chosen, 0)
    least = np.where(half.argmax(0) == chosen, own, np.nextafter(half.max(0), np.float16(1)))
    np.put_along_axis(half, chosen, least, 0)
    return half


@dataclass(frozen=True, eq=False)
class Known:
    """What is painted, as it enters the answer: voxel for voxel.

    Attributes:
        index: slices with paint or named ones, ascending.
        labels: (S, rows, columns) on those slices.
        complete: label value → the slices that are complete for it.
    """

    index: tuple[int, ...] = ()
    labels: NDArray[Any] | None = None
    complete: Mapping[int, tuple[int, ...]] | None = None

    @classmethod
    def of(cls, paint: Paint) -> Known:
        return cls(paint.index, paint.labels, paint.slices)

    def settled(self, values: tuple[int, ...]) -> tuple[int, ...]:
        """The slices that are complete for all structures."""
        return tuple(index for index in self.index if all(self.is_complete(value, index) for value in values))

    def is_complete(self, value: int, index: int) -> bool:
        """Whether a slice is complete for a structure."""
        return self.complete is not None and index in self.complete.get(value, ())

    def on(self, index: int) -> NDArray[Any] | None:
        """(rows, columns) labels painted on a slice; None where nothing is."""
        if self.labels is None or index not in self.index:
            return None
        return np.asarray(self.labels[self.index.index(index)])


@dataclass(frozen=True, eq=False)
class Assembly:
    """A labelled volume and what was learned on the way.

    Attributes:
        labels: (K, J, I) uint8 or uint16.
        uncertainty: (K, J, I) float16 in [0, 1].
        gain: (slices,) what painting each slice is expected to gain.
        implied: the Dice of each label that the probabilities imply by themselves; None where nothing was found.
    """

    labels: NDArray[np.unsignedinteger[Any]]
    uncertainty: NDArray[np.float16]
    gain: NDArray[np.float64]
    implied: dict[int, float | None]


class Assembler:
    """Puts logits into the volume, p = softmax over background (logit 0) and structures, slice by slice.

    Painted voxels are taken over as they are. Only slices that some patch covers are computed; everywhere else is
    background.

    Args:
        shape: (K, J, I) of the volume.
        axis: the slice axis.
        values: the labels, ascending.
        patches: answers by label; a label may have none.
        known: the paint to take over.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        axis: int,
        values: tuple[int, ...],
        patches: Mapping[int, Answer | CarriedPatch],
        known: Known,
    ) -> None:
        self._shape = shape
        self._axis = axis
        self._values = values
        self._patches = patches
        self._known = known
        self._kind = np.uint8 if values[-1] < 256 else np.uint16
        self._plane = tuple(n for i, n in enumerate(shape) if i != axis)
        self._settled = set(known.settled(values))
        covered = {index for patch in patches.values() for index in patch.logits}
        self._slices = sorted((covered | set(known.index)) - self._settled)

    def run(self, progress: Progress) -> Assembly:
        """Labels, uncertainty and what they imply."""
        values, shape = self._values, self._shape
        labels, uncertainty = np.zeros(shape, self._kind), np.zeros(shape, np.float16)
        labels_front, unsure_front = (np.moveaxis(array, self._axis, 0) for array in (labels, uncertainty))
        gain = np.zeros(shape[self._axis])
        halves = {value: np.zeros(2) for value in values}
        classes = np.array([0, *values], self._kind)
        for index in progress.steps("combining", self._slices):
            chances = self.chances(index)
            chosen = chances.argmax(0)
            labels_front[index] = classes[chosen]
            unsure_front[index] = entropy(chances)
            for place, value in enumerate(values, start=1):
                if not self._known.is_complete(value, index):
                    mask = chosen == place
                    halves[value] += implied_dice(chances[place], mask)
                    gain[index] += expected_gain(chances[place], mask)
        for index in self._settled:
            labels_front[index] = self._known.on(index)
        implied = {value: float(a / b) if a > 0 and b >= 1 else None for value, (a, b) in halves.items()}
        return Assembly(labels, uncertainty, gain, implied)

    def probabilities(self) -> NDArray[np.float16]:
        """(1 + labels, K, J, I), background first; made anew each time, since it is large and seldom asked for."""
        probabilities = np.zeros((1 + len(self._values), *self._shape), np.float16)
        probabilities[0] = 1
        front = np.moveaxis(probabilities, self._axis + 1, 1)
        classes = np.array([0, *self._values], self._kind)
        for index in self._slices:
            front[:, index] = _in_half(self.chances(index))
        for index in self._settled:
            front[:, index] = self._known.on(index) == classes[:, None, None]
        return probabilities

    def chances(self, index: int) -> Stack:
        """(1 + labels, rows, columns) probabilities of a slice."""
        logits = np.full((1 + len(self._values), *self._plane), FAR, np.float32)
        logits[0] = 0
        for place, value in enumerate(self._values, start=1):
            patch = self._patches.get(value)
            if patch is not None and index in patch.logits:
                in_image, in_window = patch.places(self._plane)
                logits[place][in_image] = patch.on_voxels(index)[in_window]
        self._settle(index, logits)
        raised = np.exp(logits - logits.max(0))
        return np.asarray(raised / raised.sum(0), np.float32)

    def _settle(self, index: int, logits: Stack) -> None:
        """What is known of a slice: painted voxels, and where a structure is absent."""
        painted = self._known.on(index)
        if painted is None:
            return
        for place, value in enumerate(self._values, start=1):
            mask = painted == value
            absent = ~mask if self._known.is_complete(value, index) else (painted > 0) & ~mask
            logits[place][absent] = -np.inf
            logits[place][mask] = 0
        logits[0][painted > 0] = -np.inf
