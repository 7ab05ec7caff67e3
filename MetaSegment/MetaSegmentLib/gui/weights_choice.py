"""Whose weights are used: the shipped ones, or those of a folder of the lab's own."""

from __future__ import annotations

from typing import Any

from ..app import wording
from ..scene.i18n import tr as _
from . import choices

_FOLDER = "MetaSegment/Weights"
"""The application setting: it holds for every scene, and no scene that is passed on holds a path of this computer."""


class WeightsChoice:
    """A QComboBox with the shipped weights, the folder that was chosen, and the way to choose one."""

    def __init__(self, box: Any) -> None:
        import qt

        self._box = box
        self._settings = qt.QSettings()
        self._ask = qt.QFileDialog.getExistingDirectory
        box.toolTip = _("Weights of your own take the place of the shipped ones; 'metasegment train' writes them.")
        self._show()
        box.connect("currentIndexChanged(int)", self._chosen)

    @property
    def folder(self) -> str:
        """The lab's own; empty for the shipped weights."""
        return str(self._settings.value(_FOLDER) or "")

    def _chosen(self, index: int) -> None:
        if index < 0:
            return
        folder = self._box.itemData(index)
        if folder == wording.ASK:
            folder = self._ask(self._box, _("Folder of the weights"), self.folder) or self.folder
        self._settings.setValue(_FOLDER, folder)
        self._show()

    def _show(self) -> None:
        choices.fill(self._box, wording.weights_choices(self.folder), self.folder)
