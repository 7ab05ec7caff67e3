"""``python -m MetaSegmentLib`` is the same as ``metasegment``."""

import sys

from .cli import main

sys.exit(main())
