"""How far an answer agrees with interpolated shapes or with Grow from seeds, made of the same paint.

One of the two is right where the structure changes evenly from slice to slice, the other where the image shows its
border. The networks see both and still decide otherwise now and then; what confirms them is that either finds the same.
Their own probabilities do not say it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..predictors.ensemble import Ensemble
from ..task.frame import Mask, Stack

WITNESSES = ("shape", "grow")
"""Predictors that are asked, by their names."""

Shared = NDArray[np.float64]
"""(witnesses, 2) twice what the answer and a witness share, and the sizes of both added up: the halves of a Dice."""


def agreement(shared: Shared | None) -> float | None:
    """Dice with the witness that agrees better; None where they were not asked or nobody has found anything."""
    if shared is None or not shared[:, 1].any():
        return None
    return float(np.divide(shared[:, 0], shared[:, 1], out=np.zeros(len(shared)), where=shared[:, 1] > 0).max())


def shared_with(found: Mask, witnesses: Mask) -> Shared:
    """What is shared, in pixels.

    Args:
        found: (...) mask of the answer.
        witnesses: (witnesses, ...) masks of the others, on the same pixels.
    """
    along = tuple(range(1, witnesses.ndim))
    both = np.count_nonzero(witnesses & found, axis=along)
    sizes = np.count_nonzero(witnesses, axis=along) + np.count_nonzero(found)
    return np.stack([2 * both, sizes], axis=1).astype(float)


def testimony(ensemble: Ensemble, slices: tuple[int, ...]) -> Mask | None:
    """(witnesses, T, C, H, W) what each has found on slices; None where one of them is missing, as Slicer's own code
    may be."""
    if not slices or not {*WITNESSES} <= {*ensemble.names}:
        return None
    return np.stack([ensemble.logits(name, slices) > 0 for name in WITNESSES])


def shared_by_structure(ensemble: Ensemble, logits: Mapping[int, Stack]) -> list[Shared | None]:
    """What each structure of a task shares with the witnesses on slices that are not painted, in mm².

    Args:
        logits: slice index → (C, H, W) of the answer.
    """
    structures, frame = ensemble.task.structures, ensemble.task.frame
    said = testimony(ensemble, tuple(logits))
    if said is None:
        return [None] * len(structures)
    found = np.stack([*logits.values()]) > 0
    wanted = [[n for n, index in enumerate(logits) if index not in one.distances] for one in structures]
    return [frame.pixel**2 * shared_with(found[some, place], said[:, some, place]) for place, some in enumerate(wanted)]
