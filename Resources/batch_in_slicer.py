"""``metasegment batch`` inside Slicer, without a window; also with any Python that has MetaSegment.

    Slicer --no-splash --no-main-window --python-script Resources/batch_in_slicer.py --manifest FILE --output FOLDER

The options are those of ``metasegment batch``; Slicer ends with its exit status.
"""

from __future__ import annotations

import sys

from MetaSegmentLib.cli import main


def end(status: int) -> None:
    """Leave the application, or this Python where there is none."""
    try:
        from slicer import app
    except ImportError:
        sys.exit(status)
    if hasattr(app, "exit"):
        app.exit(status)
    else:  # slicer-core
        sys.exit(status)


# Workers are started afresh and read this file again, under another name.
if __name__ == "__main__":
    try:
        status = main(["batch", *sys.argv[1:]])
    except SystemExit as wrong_usage:
        status = int(wrong_usage.code or 0)
    end(status)
