"""What a caller chooses and what a caller gets back."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from .errors import SettingsError

DEFAULT_METHOD = "fusion"


@dataclass(frozen=True)
class Settings:
    """How to segment.

    Args:
        method: a name of ``metasegment methods``; the default is the most accurate one.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; ``auto`` takes a GPU when there is one.
        seed: the same input, seed and device give the same output: labels to the last bit, probabilities too where the
            number of threads is the same, else to about 10⁻⁶.
        weights: folder of a lab's own weights, which take the place of the shipped ones of the same name.
        sparing: take less memory and more time: one slice and one thread at once.

    Raises:
        SettingsError: a name or folder that is no string, or a seed outside 0 … 2³² − 1.
    """

    method: str = DEFAULT_METHOD
    device: str = "auto"
    seed: int = 0
    weights: str = ""
    sparing: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or not isinstance(self.device, str):
            raise SettingsError("Method and device are given by name; see metasegment methods and metasegment info.")
        if not isinstance(self.weights, str):
            raise SettingsError("The folder of the weights is given as a text.")
        try:
            seed = -1 if isinstance(self.seed, bool | np.bool_) else operator.index(self.seed)
        except TypeError:
            seed = -1
        if not 0 <= seed < 2**32:
            raise SettingsError("The seed must be a whole number from 0 to 4294967295.")
        object.__setattr__(self, "seed", seed)


def checked_settings(settings: Settings | None) -> Settings:
    """The settings, by default those of :class:`Settings`.

    Raises:
        SettingsError: something else, as a dictionary of them.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise SettingsError('Settings are given as Settings(method="…", device="…").')
    return settings or Settings()


class SuggestedSlice(TypedDict):
    """A slice worth painting next; ``score`` in [0, 1], higher is more worth it."""

    axis: int
    index: int
    score: float


@dataclass(frozen=True, eq=False)
class Result:
    """A segmented volume, in the shape and axis order of the input.

    Attributes:
        labels: (K, J, I) uint8 or uint16; painted slices exactly as painted.
        uncertainty: (K, J, I) float16 in [0, 1], entropy of the probabilities over log C; 0 where it is painted.
        estimated_dice: expected Dice of each label over the slices that were not painted; None with one painted slice,
            or where nothing was found.
        suggested_slices: best first.
        report: what the run did, as JSON-ready values without names or paths of the input.
        compute_probabilities: makes :attr:`probabilities`.
        layers: (K, J, I) each, where segments overlap: as ``labels``, but each holds only segments that do not. Empty
            where none do.
    """

    labels: NDArray[np.unsignedinteger[Any]]
    uncertainty: NDArray[np.float16]
    estimated_dice: dict[int, float | None]
    suggested_slices: list[SuggestedSlice]
    report: dict[str, Any] = field(default_factory=dict)
    compute_probabilities: Callable[[], NDArray[np.float16]] | None = field(default=None, repr=False)
    layers: tuple[NDArray[np.unsignedinteger[Any]], ...] = field(default=(), repr=False)

    def mask(self, label: int, where: Any = ...) -> NDArray[np.bool_]:
        """Where a segment is, in the whole volume or at the index ``where``; segments that overlap share voxels."""
        first, *others = (np.asarray(layer[where] == label) for layer in self.layers or (self.labels,))
        for other in others:
            first |= other
        return first

    @property
    def warnings(self) -> list[str]:
        """What the user should know, a sentence each."""
        return list(self.report.get("warnings", ()))

    @cached_property
    def probabilities(self) -> NDArray[np.float16]:
        """(C, K, J, I) float16 in [0, 1], background first, then the labels in ascending order.

        Worked out when it is asked for: it is the largest part of a result, and seldom looked at.
        """
        if self.compute_probabilities is None:
            raise SettingsError("This result came without probabilities; run the segmentation again to get them.")
        return self.compute_probabilities()
