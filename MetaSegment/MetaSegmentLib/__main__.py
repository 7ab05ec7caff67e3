"""``python -m MetaSegmentLib`` is the same as ``metasegment``."""

import sys
from pathlib import Path

# Python looks into the current folder first for -m, where a file of the user's may have the name of a package.
if not sys.flags.safe_path:
    sys.path[:] = [*sys.path[1:], str(Path(__file__).parents[1])]

from .cli import main

sys.exit(main())
