"""A volume that nobody painted on: those most like it are taken from a library of painted ones, and carried to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from numpy.typing import ArrayLike

from .across import AdaptedMany, Support, adapt_one, complete
from .engine import Adapted
from .errors import InputError
from .progress import CancelCallback, Progress, ProgressCallback
from .registration.retrieval import about, nearest, picture_of
from .settings import Result, Settings
from .task.volume import check_volume


class Library:
    """Painted volumes of earlier patients, of whatever parts of the body.

    Of each a small picture is kept; nothing is learned from a volume before it is needed, and then once.

    Args:
        supports: as for :func:`~MetaSegmentLib.adapt_many`, which see for the other arguments too. All lie the same way
            round.

    Raises:
        MetaSegmentError: it is empty, or one of the images is no volume.
    """

    def __init__(
        self,
        supports: Sequence[Support],
        settings: Settings | None = None,
        axis: int | None = None,
        names: Mapping[int, str] | None = None,
    ) -> None:
        if not supports:
            raise InputError("The library is empty; put painted volumes into it, or paint a few slices of this one.")
        self._supports = [complete(support) for support in supports]
        self._settings, self._axis, self._names = settings, axis, names
        self._pictures = [picture_of(check_volume(one[0], one[2])) for one in self._supports]
        self._adapted: dict[int, Adapted] = {}

    def predict(
        self,
        image: ArrayLike,
        spacing: ArrayLike = (1.0, 1.0, 1.0),
        progress: ProgressCallback | None = None,
        cancel: CancelCallback | None = None,
    ) -> Result:
        """Segment a volume (K, J, I) from the one to three that are most like it.

        Where a structure does not seem to be there, it stays empty, and a warning says so.

        Returns:
            Also with ``report["found"]``, as of :func:`~MetaSegmentLib.adapt_many`, and ``report["library"]``: how many
            were looked at, and how alike those that were taken are.

        Raises:
            MetaSegmentError: anything the caller can mend.
        """
        Progress(progress, cancel).check()
        found = nearest(picture_of(check_volume(image, spacing)), self._pictures)
        for place, _ in found:
            if place not in self._adapted:
                given = (self._settings, self._axis, progress, cancel, self._names)
                self._adapted[place] = adapt_one(self._supports[place], *given)
        many = AdaptedMany([self._adapted[place] for place, _ in found])
        result = many.predict(image, spacing, progress=progress, cancel=cancel)
        return replace(result, report={**result.report, "library": about(len(self._pictures), found)})
