"""The program: ``python -m MetaSegmentLib`` is the same as ``metasegment``."""

import atexit
import os
import sys
from pathlib import Path

INTERRUPTED = 130
"""As ``terminal.INTERRUPTED``, which an interruption may keep from being imported."""


def start() -> int:
    """Run the command that the process was given; see :func:`~MetaSegmentLib.cli.main`."""
    status = 0

    def leave() -> None:
        if status == INTERRUPTED:
            try:
                sys.stderr.flush()
                sys.stdout.flush()
            finally:
                os._exit(status)

    # Python ends by SIGINT itself, whatever the status, where an interruption has passed through code that somebody
    # made from text, as packages do while they are imported. What is registered first is called last.
    atexit.register(leave)
    try:
        from .cli import main
    except KeyboardInterrupt:  # while modules were read, before there was anything to tidy away
        print("metasegment: Interrupted before it began; nothing was written, run it again.", file=sys.stderr)
        status = INTERRUPTED
        return status
    try:
        status = main()
    except KeyboardInterrupt:  # a second one, or after the work: what there is to say is said
        status = INTERRUPTED
    return status


if __name__ == "__main__":
    # Python looks into the current folder first for -m, where a file of the user's may have the name of a package.
    if not sys.flags.safe_path:
        sys.path[:] = [*sys.path[1:], str(Path(__file__).parents[1])]
    sys.exit(start())
