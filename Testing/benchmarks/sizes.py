"""Held to the painted sizes between painted slices, or not: whole structures, their surfaces and their sides.

    python Testing/benchmarks/sizes.py FOLDER... [--k 3,5,8] [--limit 3] [--all] [--weights FOLDER]

reads data sets (``images/`` and ``labels/``), paints slices of volumes that are kept out of training as ``metasegment
evaluate`` does, and prints the Dice of the slices that were not painted: as it is, without that rule, and of the best
of Fill between slices, Grow from seeds and signed distances. Surfaces and sides are one voxel thick: structures of a
kind that is not in the label maps. Not collected by pytest.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "MetaSegment"))
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

import numpy as np  # noqa: E402

from MetaSegmentLib import Settings, adapt  # noqa: E402
from MetaSegmentLib.answer.sizes import Sizes  # noqa: E402
from MetaSegmentLib.data.datasets import Case, choose, find_cases, load  # noqa: E402
from MetaSegmentLib.data.protocol import enough, occupied_slices, paint, painted_slices, query_dice  # noqa: E402
from MetaSegmentLib.evaluation import peers  # noqa: E402
from MetaSegmentLib.task.frame import Mask  # noqa: E402
from MetaSegmentLib.training import derived  # noqa: E402

KINDS: dict[str, Callable[[Mask], Mask]] = {
    "whole": lambda mask: mask,
    "surface": lambda mask: derived.surface(mask, 1, np.random.default_rng(0)),
    "side": lambda mask: derived.cap(mask, 1, np.random.default_rng(0)),
}
HOLD = Sizes.hold


def measure(case: Case, kind: str, k: int, settings: Settings) -> tuple[float, float, float] | None:
    """Dice as it is, without the rule, and of the best tool; None where there is too little to paint."""
    image, spacing, labels = load(case.volume)
    axis, truth = case.axis, KINDS[kind](labels == case.value)
    if not enough(int(truth.sum()), len(occupied_slices(truth, axis)), k):
        return None
    slices = painted_slices(truth, k, "inside", axis)
    if len(slices) < 2:
        return None
    adapted, dice = adapt(image, paint(truth, slices, axis), spacing, slices, axis, settings), []
    for hold in (HOLD, lambda self, index, logits: logits):
        with patch.object(Sizes, "hold", hold):
            dice.append(query_dice(adapted.predict().mask(1), truth, slices, axis))
    front, shown = np.moveaxis(truth, axis, 0), np.moveaxis(image, axis, 0)
    mm = [spacing[axis], *(s for i, s in enumerate(spacing) if i != axis)]
    tools = [
        peers.fill_between_slices(front, slices),
        peers.grow_from_seeds(shown, front, slices, mm),
        peers.signed_distance_interpolation(front, slices),
    ]
    return dice[0], dice[1], max(query_dice(found, front, slices, 0) for found in tools)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--k", default="3,5,8")
    parser.add_argument("--limit", type=int, default=3, help="structures of each folder (%(default)s)")
    parser.add_argument("--all", action="store_true", help="of all volumes, not only of those kept out of training")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--weights", default="")
    options = parser.parse_args()
    settings, found = Settings(weights=options.weights), defaultdict(list)
    for folder in options.data:
        cases = find_cases(folder, only_held_out=not options.all)
        for k, chosen in choose(cases, [int(k) for k in options.k.split(",")], options.limit).items():
            for case in chosen:
                for kind in options.kinds.split(","):
                    if one := measure(case, kind, k, settings):
                        found[kind, k].append(one)
                        dice = ", ".join(f"{d:.3f}" for d in one)
                        print(f"{folder.name} {case.name}, {kind}, K = {k}: {dice}", flush=True)
    print("\n| structures | K | cases | best tool | not held | held | change | better | worse | worse than the tool |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for (kind, k), rows in sorted(found.items()):
        held, free, tool = np.array(rows).T
        change = held - free
        print(
            f"| {kind} | {k} | {len(rows)} | {tool.mean():.3f} | {free.mean():.3f} | {held.mean():.3f} | "
            f"{change.mean():+.4f} | {(change > 0.002).sum()} | {(change < -0.002).sum()} | "
            f"{(free < tool - 0.01).sum()} → {(held < tool - 0.01).sum()} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
