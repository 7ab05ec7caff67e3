"""Which time points of sequences are shown, and whether they still are when a run comes to its end."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from .i18n import tr as _
from .runtime import nodes_of_class

TimePoints = frozenset[tuple[str, str, str, str]]
"""Node, browser, index value and data node of each; no part of the scene."""


def time_points(*nodes: Any) -> TimePoints:
    """What sequence browsers show in some nodes; nothing of nodes that are in no sequence."""
    found = set()
    for node in nodes:
        scene = None if node is None else node.GetScene()
        for browser in [] if scene is None else nodes_of_class(scene, "vtkMRMLSequenceBrowserNode"):
            if browser.IsProxyNodeID(node.GetID()):
                value, sequence = shown_value(browser), browser.GetSequenceNode(node)
                data = None if sequence is None else sequence.GetDataNodeAtValue(value, True)
                found.add((node.GetID(), browser.GetID(), value, "" if data is None else data.GetID()))
    return frozenset(found)


def check_time_points(before: TimePoints, *nodes: Any) -> None:
    """Whether some nodes still show the time points that they showed before.

    Raises:
        InputError: they show others, in which a result of what was read has no place.
    """
    if not before <= time_points(*nodes):
        raise InputError(
            _("Another time point is shown than when the run began; go to the one you want and run again.")
        )


def shown_value(browser: Any) -> str:
    """The index value of the time point that a browser shows; empty where it shows none."""
    master, item = browser.GetMasterSequenceNode(), browser.GetSelectedItemNumber()
    if master is None or not 0 <= item < master.GetNumberOfDataNodes():
        return ""
    return str(master.GetNthIndexValue(item))
