"""Review without a model: the buttons that lead through the doubtful slices of a filled segmentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..app.review import ReviewWalk
from ..errors import InputError
from ..pieces import Steps
from ..scene import views
from ..scene.i18n import tr as _
from ..scene.review import DoubtfulSlice, doubtful_slices_steps, was_filled_by_run
from .pieces import InPieces


class ReviewView:
    """Goes to doubtful slices one by one.

    Args:
        ui: the controls by name.
        nodes: the volume and the segmentation, if chosen.
        select: selects a segment in the editor.
        accept: counts a slice that a run has filled as painted; False when it could not.
    """

    def __init__(
        self,
        ui: Any,
        nodes: Callable[[], tuple[Any | None, Any | None]],
        select: Callable[[str], None],
        accept: Callable[[DoubtfulSlice], bool],
    ) -> None:
        self._ui = ui
        self._nodes = nodes
        self._select = select
        self._accept = accept
        self._walk = ReviewWalk()
        self._looking = InPieces()
        ui.reviewButton.connect("clicked(bool)", lambda _checked=False: self.begin())
        ui.reviewNextButton.connect("clicked(bool)", lambda _checked=False: self._move(1))
        ui.reviewPreviousButton.connect("clicked(bool)", lambda _checked=False: self._move(-1))
        ui.reviewAcceptButton.connect("clicked(bool)", lambda _checked=False: self.accept())

    @property
    def busy(self) -> bool:
        """Whether doubtful slices are still looked for."""
        return self._looking.busy

    @property
    def current(self) -> DoubtfulSlice | None:
        """The slice to look at."""
        return self._walk.current

    def begin(self) -> None:
        """Look for doubtful slices and go to the most doubtful one."""
        volume, segmentation = self._nodes()
        if volume is None or segmentation is None:
            return
        self._ui.reviewLabel.text = looking = _("Looking…")

        def found(slices: tuple[DoubtfulSlice, ...]) -> None:
            if slices or self._ui.reviewLabel.text == looking:
                self._walk.begin(slices)
                self._go()

        def steps() -> Steps[tuple[DoubtfulSlice, ...]]:
            try:
                return (yield from doubtful_slices_steps(volume, segmentation))
            except InputError as error:
                self._ui.reviewLabel.text = str(error)
                return ()

        self._looking.begin(steps(), found)

    def accept(self) -> None:
        """The slice is right: where a run has filled it, it counts as painted from now on."""
        one, (_volume, segmentation) = self._walk.current, self._nodes()
        if one is None or segmentation is None:
            return
        if was_filled_by_run(segmentation, one) and not self._accept(one):
            return
        self._walk.accept()
        self._go()

    def stop(self) -> None:
        """Look for nothing more."""
        self._looking.stop()

    def forget(self) -> None:
        """The segments are gone."""
        self.stop()
        self._walk = ReviewWalk()
        self._ui.reviewLabel.text = ""

    def update(self, possible: bool) -> None:
        """Enable what can be used.

        Args:
            possible: whether there is anything to look at, and nothing under way.
        """
        ui = self._ui
        ui.reviewButton.enabled = possible
        ui.reviewButton.toolTip = (
            _("Go to the slice that fits its neighbours worst, in all visible segments, whoever filled them.")
            if possible
            else _("Choose a volume and a segmentation with segments, and wait for a run to end.")
        )
        tips = (
            (ui.reviewNextButton, _("Go to the next one; a slice that is wrong can be corrected with any effect.")),
            (ui.reviewPreviousButton, _("Go back to the one before.")),
            (ui.reviewAcceptButton, _("This slice is right; do not show it again.")),
        )
        for button, tip in tips:
            button.enabled = possible and self._walk.current is not None
            button.toolTip = tip if button.enabled else _("Press Most doubtful first.")

    def _move(self, steps: int) -> None:
        self._walk.move(steps)
        self._go()

    def _go(self) -> None:
        volume, segmentation = self._nodes()
        one = self._walk.current
        self._ui.reviewLabel.text = self._walk.text
        if volume is None or segmentation is None:
            self.update(False)
            return
        if one is not None and segmentation.GetSegmentation().GetSegment(one.segment_id) is not None:
            self._select(one.segment_id)
            views.jump(volume, one.axis, one.index)
        self.update(True)
