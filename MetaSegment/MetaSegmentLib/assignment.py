"""What one adaptation is about, from the painted slices to the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .methods import MethodInfo, find_method
from .networks.context import Tools
from .settings import Settings
from .task.support import Support
from .task.volume import Volume


@dataclass(frozen=True)
class Assignment:
    """A volume, the paint on it, and how to segment it.

    Attributes:
        names: label value → name, for the report.
    """

    volume: Volume
    support: Support
    settings: Settings
    tools: Tools
    names: Mapping[int, str]

    @property
    def method(self) -> MethodInfo:
        """The method that the settings name."""
        return find_method(self.settings.method)
