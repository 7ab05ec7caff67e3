"""Pieces far apart, or tiles of a large window, each on a frame of its own: better than one frame around all of them?

    python Testing/benchmarks/one_frame.py FOLDER:LABEL+LABEL FOLDER:all ... [--k 3,5] [--volumes 4]

reads data sets (``images/`` and ``labels/``), joins the labels (or all of them) to one structure, paints it as
``metasegment evaluate`` does, and prints the Dice of the slices that were not painted: as the default finds them, on
one frame, and of the best of Slicer's two tools and signed distances. Not collected by pytest.
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

from MetaSegmentLib import adapt, engine  # noqa: E402
from MetaSegmentLib.data.protocol import paint, painted_slices, query_dice  # noqa: E402
from MetaSegmentLib.evaluation import peers  # noqa: E402
from MetaSegmentLib.files.images import read_image  # noqa: E402
from MetaSegmentLib.task.pieces import in_pieces  # noqa: E402
from MetaSegmentLib.task.tiles import in_tiles  # noqa: E402

AXIS = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", nargs="+", metavar="FOLDER:LABELS")
    parser.add_argument("--k", default="3,5")
    parser.add_argument("--volumes", type=int, default=4, help="of each set, the last ones in order")
    options = parser.parse_args()
    changes = []
    for structure in options.structures:
        folder, labels = structure.rsplit(":", 1)
        for file in sorted((Path(folder) / "labels").iterdir())[-options.volumes :]:
            found, grid = read_image(file)
            wanted = np.unique(found[found > 0]) if labels == "all" else [int(label) for label in labels.split("+")]
            truth = np.isin(found, wanted)
            if not all((found == label).any() for label in wanted):
                continue
            image, _ = read_image(Path(folder) / "images" / file.name)
            for k in map(int, options.k.split(",")):
                if truth.any((1, 2)).sum() >= 2 * k:
                    name = f"{Path(folder).name} {labels} K={k}"
                    changes += compare(name, image, truth, tuple(reversed(grid.spacing)), k)
    if changes:
        print(f"change {np.mean(changes):+.4f}, better in {sum(c > 0 for c in changes)} of {len(changes)}")
    return 0


def compare(name: str, image: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...], k: int) -> list[float]:
    """Prints the figures of a structure; its change by frames of its parts, if it has any."""
    slices = painted_slices(truth, k, "inside", AXIS)
    given = paint(truth, slices, AXIS)
    dice, seconds, frames = [], [], []
    for apart in (True, False):
        vars(engine)["in_pieces"] = in_pieces if apart else lambda paint, *_: [paint]
        vars(engine)["in_tiles"] = in_tiles if apart else lambda *_: []
        start = time.monotonic()
        adapted = adapt(image, given, spacing, slices, AXIS)
        dice.append(query_dice(adapted.predict().labels == 1, truth, slices, AXIS))
        seconds.append(time.monotonic() - start)
        frames.append(len(adapted._frames))
        if frames == [1]:
            print(f"{name}: has one frame", flush=True)
            return []
    tools = (
        peers.fill_between_slices(truth, slices),
        peers.grow_from_seeds(image, truth, slices, spacing),
        peers.signed_distance_interpolation(truth, slices),
    )
    best = max(query_dice(tool, truth, slices, AXIS) for tool in tools)
    print(
        f"{name}: on {frames[0]} frames {dice[0]:.3f}, on one {dice[1]:.3f}, best tool {best:.3f}; "
        f"{seconds[0] / seconds[1]:.1f} times as long",
        flush=True,
    )
    return [dice[0] - dice[1]]


if __name__ == "__main__":
    sys.exit(main())
