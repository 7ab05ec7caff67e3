"""Slicer is left in the middle of a run, and ends as it should:

    Slicer --additional-module-paths MetaSegment --python-script Testing/slicer/check_quit.py

The exit status is 0 when it does; a Slicer that hangs or crashes on its way out has another one, or none.
"""

from __future__ import annotations

import runpy
import traceback
from pathlib import Path

import slicer

PANEL = runpy.run_path(str(Path(__file__).resolve().parent / "check_panel.py"))


def start_a_run() -> None:
    """A method that takes long enough to be interrupted."""
    widget = PANEL["open_panel"]()
    PANEL["put_ball"](widget)
    widget._parameterNode.method = "propagation"
    widget.ui.applyButton.click()
    assert widget.logic.session.running, widget.ui.statusLabel.text


if __name__ == "__main__":
    try:
        start_a_run()
    except Exception:
        traceback.print_exc()
        slicer.util.exit(1)
    else:
        slicer.util.exit(0)
