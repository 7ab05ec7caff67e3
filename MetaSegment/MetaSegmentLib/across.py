"""Painted volumes of several patients in, the same structures in another patient's volume out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from .engine import Adapted, Slices, adapt, predict_from
from .errors import InputError
from .progress import CancelCallback, ProgressCallback
from .settings import Result, Settings
from .task.paint import Paint, read_paint
from .task.volume import check_volume

Support = tuple[Any, ...]
"""Image, painted labels, spacing, complete slices; as the first arguments of :func:`~MetaSegmentLib.adapt`. The last
two may be left out."""


def adapt_many(
    supports: Sequence[Support],
    settings: Settings | None = None,
    axis: int | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    names: Mapping[int, str] | None = None,
) -> AdaptedMany:
    """Learn from painted slices of several volumes, to segment any number of others.

    Args:
        supports: ``(image, painted, spacing, slices)`` of each; spacing and slices may be left out. A label stands for
            the same structure in all of them; not all need to have it.
        axis: the slice axis of all; found from the paint of each by default.

    Raises:
        MetaSegmentError: as :func:`~MetaSegmentLib.adapt`.
    """
    if not supports:
        raise InputError("There is no support; give at least one painted volume.")
    return AdaptedMany([adapt_one(one, settings, axis, progress, cancel, names) for one in supports])


def adapt_one(
    support: Support,
    settings: Settings | None = None,
    axis: int | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelCallback | None = None,
    names: Mapping[int, str] | None = None,
) -> Adapted:
    """Learn from one of them; arguments as :func:`adapt_many`."""
    image, painted, spacing, slices = complete(support)
    return adapt(image, painted, spacing, slices, axis, settings, progress, cancel, names)


def complete(support: Support) -> Support:
    """A support with all four parts.

    Raises:
        InputError: it has less than two or more than four.
    """
    if not isinstance(support, Sequence) or isinstance(support, str) or not 2 <= len(support) <= 4:
        raise InputError("Each support is an image and its paint, and perhaps the spacing and the painted slices.")
    return (*support, *((1.0, 1.0, 1.0), None)[len(support) - 2 :])


class AdaptedMany:
    """Methods adapted to the painted slices of several volumes; made by :func:`adapt_many`.

    Args:
        supports: at least one; the method and the settings are the first one's.
    """

    def __init__(self, supports: Sequence[Adapted]) -> None:
        self._supports = tuple(supports)

    def predict(
        self,
        image: ArrayLike,
        spacing: ArrayLike = (1.0, 1.0, 1.0),
        own: ArrayLike | None = None,
        slices: Slices | None = None,
        axis: int | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelCallback | None = None,
        names: Mapping[int, str] | None = None,
    ) -> Result:
        """Segment a volume of another patient.

        Where a structure does not seem to be there, it stays empty, and a warning says so.

        Args:
            image: (K, J, I).
            own: (K, J, I) labels painted on this very image. They stay exactly as they are and count for more than what
                comes from elsewhere: a structure with three slices of its own takes nothing else.
            slices, axis: of ``own``, as for :func:`~MetaSegmentLib.adapt`.
            names: label value → name, of structures that only ``own`` has.

        Returns:
            Also with ``report["found"]``: label → how likely it is there, in [0, 1].

        Raises:
            MetaSegmentError: anything the caller can mend.
        """
        start = time.monotonic()
        first = self._supports[0]
        for one in self._supports:
            one.listen(progress, cancel)
            one.volume.require_unchanged()
        volume = check_volume(image, spacing)
        paint = (
            None if own is None else read_paint(own, volume.array.shape, slices, axis, {**(names or {}), **first.names})
        )
        return predict_from(self._supports, volume, start, paint, more_names=names)


def follow(
    supports: Sequence[Adapted], image: ArrayLike, spacing: ArrayLike, weights: Sequence[float], own: Paint | None
) -> Result:
    """The same for a volume of the same person at another time, in which the structures are."""
    return predict_from(supports, check_volume(image, spacing), time.monotonic(), own, weights, sure=True)
