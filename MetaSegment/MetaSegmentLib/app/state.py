"""Which of the panel's controls can be used, and why the others cannot. Plain functions, without Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..scene.i18n import tr as _
from ..scene.sequence import browser_of
from ..scene.slices import Overview
from . import wording


@dataclass(frozen=True)
class Situation:
    """What the panel knows.

    Attributes:
        volume: the chosen vtkMRMLScalarVolumeNode.
        segmentation: the chosen vtkMRMLSegmentationNode.
        overview: the painted slices.
        running: whether a run is under way.
        row_selected: whether a painted slice is selected in the table.
        has_result: whether a result is shown.
        has_uncertainty: whether its uncertainty is still there.
        has_suggestions: whether it says where to paint next.
        can_redo: whether a step was taken back that can be brought back.
    """

    volume: Any | None
    segmentation: Any | None
    overview: Overview
    running: bool = False
    row_selected: bool = False
    has_result: bool = False
    has_uncertainty: bool = False
    has_suggestions: bool = False
    can_redo: bool = False

    @property
    def segments(self) -> int:
        """How many there are."""
        return int(self.segmentation.GetSegmentation().GetNumberOfSegments()) if self.segmentation is not None else 0

    @property
    def in_sequence(self) -> bool:
        """Whether the volume shows a time point of a sequence."""
        return browser_of(self.volume) is not None

    @property
    def obstacle(self) -> str:
        """Why nothing can be segmented yet; empty when it can."""
        return wording.obstacle(self.volume, self.segmentation, self.overview)

    @property
    def frames_obstacle(self) -> str:
        """Why not all time points can be segmented yet; those that are not shown may be painted."""
        if browser_of(self.segmentation) is None:
            return self.obstacle
        return wording.obstacle_but_paint(self.volume, self.segmentation, self.overview)

    @property
    def can_mark(self) -> bool:
        """Whether there is anything of a segment on the volume, painted or filled, beside which a slice is empty."""
        there = bool(self.overview.slices) or any(self.overview.filled.values())
        return there and not wording.obstacle_but_paint(self.volume, self.segmentation, self.overview)


@dataclass(frozen=True)
class Control:
    """Whether a control can be used; ``tip`` says what it does, or why it cannot be used."""

    enabled: bool
    tip: str


def controls(now: Situation) -> dict[str, Control]:
    """The state of every button, by its name in MetaSegment.ui."""
    obstacle = now.obstacle
    filled = any(now.overview.filled.values())
    segment_first = _("Segment first; then it is known where more paint helps most.")
    needs: dict[str, tuple[bool, str, str]] = {
        "removeButton": (now.row_selected, _("Take the paint off the selected slice."), _("Select a slice.")),
        "emptyButton": (
            now.can_mark,
            _("Say that the structure is absent on the slice that is shown (Ctrl+Shift+E)."),
            _("Paint the structure on a slice first."),
        ),
        "acceptButton": (
            filled and now.can_mark,
            _("Count the slice that is shown as painted, as it is (Ctrl+Shift+A)."),
            _("Segment first; then slices that are right can be accepted."),
        ),
        "suggestButton": (
            now.has_suggestions,
            _("Go to the slice where painting helps most; again for the next one (Ctrl+Shift+N)."),
            _("All suggested slices are painted; segment again.") if now.has_result else segment_first,
        ),
        "framesButton": (
            not now.frames_obstacle,
            _("Segment every time point of the sequence, from those that are painted."),
            now.frames_obstacle,
        ),
        "undoButton": (
            now.segmentation is not None,
            _("Take the last step back, be it paint or a result."),
            _("There is nothing to take back."),
        ),
        "redoButton": (
            now.can_redo and now.segmentation is not None,
            _("Bring back the step that was taken back last."),
            _("There is nothing to bring back."),
        ),
        "tryButton": (True, _("Download Slicer's chest CT (once) and paint the lungs on five slices."), ""),
    }
    wait = _("Wait for the segmentation to end, or cancel it.")
    found = {
        name: Control(possible and not now.running, wait if now.running else what if possible else why_not)
        for name, (possible, what, why_not) in needs.items()
    }
    if now.running:
        found["applyButton"] = Control(True, _("Stop; nothing more will be changed."))
    else:
        found["applyButton"] = Control(not obstacle, obstacle or _("Segment the slices in between (Ctrl+Return)."))
    found["show3DButton"] = Control(
        now.segmentation is not None,
        _("Show the segments in the 3D view.") if now.segmentation is not None else _("Choose a segmentation first."),
    )
    found["uncertaintyCheckBox"] = Control(
        now.has_uncertainty,
        _("Lay over the slice views how sure the result is: bright where painting would help.")
        if now.has_uncertainty
        else segment_first,
    )
    return found
