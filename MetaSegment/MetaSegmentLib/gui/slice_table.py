"""The table of painted slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..scene.i18n import tr as _
from ..scene.slices import PaintedSlice


class SliceTable:
    """Shows painted slices in a QTableWidget; a click on a row goes there.

    Args:
        table: the QTableWidget.
        go: called with the :class:`PaintedSlice` that was clicked.
        selected: called when another row, or none, is selected.
    """

    def __init__(self, table: Any, go: Callable[[PaintedSlice], None], selected: Callable[[], None]) -> None:
        import qt

        self._table = table
        self._rows: tuple[PaintedSlice, ...] = ()
        self._orientations: tuple[str, ...] = ()
        self._go = go
        table.setColumnCount(4)
        table.setHorizontalHeaderLabels([_("Segment"), _("Slices"), _("Index"), _("State")])
        table.verticalHeader().setVisible(False)
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.connect("cellClicked(int,int)", self._clicked)
        table.connect("itemSelectionChanged()", selected)

    @property
    def current(self) -> PaintedSlice | None:
        """The selected row."""
        row = self._table.currentRow()
        return self._rows[row] if self._table.selectedItems() and 0 <= row < len(self._rows) else None

    def show(self, rows: Sequence[PaintedSlice], orientations: Sequence[str] = ()) -> None:
        """Show other rows; the selection stays where it was if the row is still there.

        Args:
            rows: may be empty.
            orientations: what slices across each array axis are called.
        """
        import qt

        if tuple(rows) == self._rows and tuple(orientations) == self._orientations:
            return
        self._orientations = tuple(orientations)
        before = self.current
        self._rows = tuple(rows)
        was_blocked = self._table.blockSignals(True)
        self._table.setRowCount(len(self._rows))
        for i, row in enumerate(self._rows):
            state = _("doubtful") if row.doubt else _("empty") if row.empty else _("painted")
            for column, text in enumerate((row.name, orientations[row.axis], str(row.index), state)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(row.doubt)
                if column in (1, 2):
                    item.setTextAlignment(qt.Qt.AlignCenter)
                self._table.setItem(i, column, item)
        self._table.clearSelection()
        if before in self._rows:
            self._table.selectRow(self._rows.index(before))
        self._table.blockSignals(was_blocked)

    def follow(self, axis: int, index: int, segment_id: str) -> bool:
        """Select the row of a slice, that of one segment if there are several, or none; True when that was another
        one. Nobody is told."""
        rows = [n for n, row in enumerate(self._rows) if (row.axis, row.index) == (axis, index)]
        before = self.current
        if before is not None and (before.axis, before.index) == (axis, index):
            return False
        wanted = next((n for n in rows if self._rows[n].segment_id == segment_id), rows[0] if rows else None)
        if wanted is None and before is None:
            return False
        was_blocked = self._table.blockSignals(True)
        if wanted is None:
            self._table.clearSelection()
        else:
            self._table.selectRow(wanted)
        self._table.blockSignals(was_blocked)
        return True

    def _clicked(self, row: int, _column: int) -> None:
        if 0 <= row < len(self._rows):
            self._go(self._rows[row])
