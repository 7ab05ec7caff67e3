"""What a run is handed to, and what comes back, without saying where it is computed."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from ..pieces import Steps
from ..settings import Result, Settings

Report = tuple[str, int, int, float | None]
"""Stage, steps done, steps in all, seconds left."""


@dataclass(frozen=True, eq=False)
class Request:
    """A volume, its paint, and how to segment it.

    Attributes:
        image: (K, J, I) voxels; read while the request is submitted, not afterwards.
        origin: identifies a state of a volume, so that its voxels travel once.
        labels: (K, J, I) uint8 or uint16; the caller changes them no more.
        spacing: mm in array order.
        slices: the slices that are complete, for all segments or by label; None for every slice with paint.
        axis: the slice axis where it is known.
        names: label value → name, for the report.
        probabilities: False does without ``Result.probabilities``: they are the largest part of a result.
    """

    image: NDArray[Any]
    origin: Hashable
    labels: NDArray[Any]
    spacing: tuple[float, float, float]
    slices: list[int] | dict[int, list[int]] | None
    axis: int | None
    names: dict[int, str]
    settings: Settings
    probabilities: bool = True


class StartAnew(Exception):
    """What the executor knew of the volume is gone, through nobody's fault: submit the request once more."""


class Handle(Protocol):
    """A request under way."""

    @property
    def done(self) -> bool:
        """Whether it has ended. To be looked at again and again: this is what brings it on."""

    def reports(self) -> list[Report]:
        """How far it is: what was reported since the last call."""

    def cancel(self) -> None:
        """Stop as soon as possible."""

    def result(self) -> Result:
        """What came out, once it is done.

        Raises:
            StartAnew: submit it again.
            MetaSegmentError: see :func:`MetaSegmentLib.segment`; or the worker is gone.
        """


class Executor(Protocol):
    """Computes one request at a time and remembers what it learned from the last volume.

    Attributes:
        shares_lock: it computes in threads of this process, which need a turn now and then.
    """

    @property
    def shares_lock(self) -> bool: ...

    def listen(self, call: Callable[[], None]) -> None:
        """``call`` on this thread when a request has got on, where the executor notices by itself."""

    def warm_up(self) -> None:
        """Get ready in the background for a request that may come."""

    def submit(self, request: Request) -> Steps[Handle]:
        """Hand a request over, in pieces: its voxels are copied."""

    def forget(self) -> None:
        """Let go of the last volume and of what was learned from it."""

    def close(self) -> None:
        """End what is under way and let go of everything; a later request starts afresh."""
