"""The program: ``python -m MetaSegmentLib`` is the same as ``metasegment``."""

import sys
from pathlib import Path


def start() -> int:
    """Run the command that the process was given; see :func:`~MetaSegmentLib.cli.main`."""
    try:
        from .cli import main

        return main()
    except KeyboardInterrupt:  # while modules were read, before there was anything to tidy away
        print("metasegment: Interrupted before it began; nothing was written, run it again.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    # Python looks into the current folder first for -m, where a file of the user's may have the name of a package.
    if not sys.flags.safe_path:
        sys.path[:] = [*sys.path[1:], str(Path(__file__).parents[1])]
    sys.exit(start())
