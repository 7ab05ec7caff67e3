"""Whether the nodes that long work is about are still there, and whether somebody has changed them meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from ..errors import Cancelled
from ..pieces import Steps
from .geometry import LABELMAP
from .i18n import tr as _

T = TypeVar("T")


class Removed(Cancelled):
    """What long work is about is no longer in the scene."""

    def __init__(self) -> None:
        super().__init__(_("The volume or the segmentation was removed; nothing was written."))


def watched(nodes: Iterable[Any]) -> Callable[[], bool]:
    """Tells, whenever it is asked, whether all nodes are still in the scenes that they are in now."""
    places = [(node, node.GetScene(), node.GetID()) for node in nodes]
    return lambda: all(
        scene is not None and scene.GetNodeByID(identifier) is node for node, scene, identifier in places
    )


def while_there(steps: Steps[T], nodes: Iterable[Any]) -> Steps[T]:
    """Do the pieces of ``steps`` as long as all nodes are in their scenes.

    Raises:
        Removed: one of them is gone.
    """
    are_there = watched(nodes)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        yield
        if not are_there():
            steps.close()
            raise Removed


def stamp(segmentation: Any | None) -> tuple[Hashable, ...]:
    """Changes with every stroke in a segmentation node, and with everything that is remembered in the segments."""
    if segmentation is None:
        return ()
    segments = segmentation.GetSegmentation()
    found = [segments.GetSegment(i) for i in segments.GetSegmentIDs()]
    layers = [segment.GetRepresentation(LABELMAP) for segment in found]
    return (*(s.GetMTime() for s in found), *(layer.GetMTime() for layer in layers if layer is not None))
