"""Both sides of a paired structure as one: found on a frame of its own each, or on one frame around both?

    python Testing/benchmarks/pieces.py FOLDER:LABEL+LABEL... [--k 3,5] [--volumes 4]

reads data sets (``images/`` and ``labels/``), joins the labels, paints the same slices of both as ``metasegment
evaluate`` does, and prints the Dice of the slices that were not painted: in pieces, on one frame, and of the better of
Slicer's two tools. Not collected by pytest.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "MetaSegment"))
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

import numpy as np  # noqa: E402

from MetaSegmentLib import engine, segment  # noqa: E402
from MetaSegmentLib.data.protocol import paint, painted_slices, query_dice  # noqa: E402
from MetaSegmentLib.files.images import read_image  # noqa: E402
from MetaSegmentLib.task.pieces import in_pieces  # noqa: E402

AXIS = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", nargs="+", metavar="FOLDER:LABEL+LABEL")
    parser.add_argument("--k", default="3,5")
    parser.add_argument("--volumes", type=int, default=4, help="of each pair, the last ones in order")
    options = parser.parse_args()
    changes = []
    for pair in options.pairs:
        folder, labels = pair.rsplit(":", 1)
        wanted = [int(label) for label in labels.split("+")]
        for file in sorted((Path(folder) / "labels").iterdir())[-options.volumes :]:
            found, grid = read_image(file)
            truth = np.isin(found, wanted)
            if not all((found == label).any() for label in wanted):
                continue
            image, _ = read_image(Path(folder) / "images" / file.name)
            spacing = tuple(reversed(grid.spacing))
            for k in map(int, options.k.split(",")):
                if truth.any((1, 2)).sum() < 2 * k:
                    continue
                slices = painted_slices(truth, k, "inside", AXIS)
                given = paint(truth, slices, AXIS)
                dice = []
                seconds = []
                for apart in (True, False):
                    vars(engine)["in_pieces"] = in_pieces if apart else lambda paint, *_: [paint]
                    start = time.monotonic()
                    answer = segment(image, given, spacing, slices, AXIS).mask(1)
                    seconds.append(time.monotonic() - start)
                    dice.append(query_dice(answer, truth, slices, AXIS))
                changes.append(dice[0] - dice[1])
                print(
                    f"{Path(folder).name} {labels} K={k}: in pieces {dice[0]:.3f}, on one frame {dice[1]:.3f}, "
                    f"{seconds[0] / seconds[1]:.1f} times as long",
                    flush=True,
                )
    print(f"change {np.mean(changes):+.4f}, better in {sum(c > 0 for c in changes)} of {len(changes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
