"""Is a second run of the default, from its own answer, better than the first; is a finer frame?

    python Testing/benchmarks/second_run.py --data FOLDER... [--k 3,5] [--limit 4] [--size 144]

paints structures of labelled volumes (``images/`` and ``labels/``, as for ``metasegment evaluate``) and prints the Dice
on the slices that were not painted, of

- the first answer;
- a second one, whose paint is that of the first and what the first found in the middle of every gap;
- the sum of their logits, and the same with the first counted twice;
- for windows much larger than the frame, one on a frame of ``--size`` pixels, and the sum with that of the first.

With ``--only finer`` the second run is left out. Not collected by pytest.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "MetaSegment"))
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

import numpy as np  # noqa: E402
from scipy.special import logit  # noqa: E402

from MetaSegmentLib import Settings, segment  # noqa: E402
from MetaSegmentLib.data.datasets import Case, choose, find_cases, load  # noqa: E402
from MetaSegmentLib.data.protocol import paint, painted_slices, query_dice  # noqa: E402
from MetaSegmentLib.networks import weights  # noqa: E402
from MetaSegmentLib.predictors.registry import find_method  # noqa: E402
from MetaSegmentLib.settings import DEFAULT_METHOD  # noqa: E402
from MetaSegmentLib.task.frame import Mask, Stack  # noqa: E402
from MetaSegmentLib.task.paint import read_paint  # noqa: E402
from MetaSegmentLib.task.task import make_task  # noqa: E402
from MetaSegmentLib.task.volume import check_volume  # noqa: E402

_GAP = 4
"""Slices from one painted slice to the next, from which on the one in the middle is painted too."""
_LARGE = 1.2
"""Voxels on a pixel of the frame, from which on a window is large."""


@dataclass
class Painted:
    """A structure with some of its slices painted, slices first."""

    case: Case
    k: int

    def __post_init__(self) -> None:
        self.image, self.spacing, labels = load(self.case.volume)
        self.truth = labels == self.case.value
        self.front = np.ascontiguousarray(np.moveaxis(self.truth, self.case.axis, 0))
        self.slices = painted_slices(self.truth, self.k, "inside", self.case.axis)
        self.paint = paint(self.truth, self.slices, self.case.axis)

    def answer(self, more: Mapping[int, Mask], folder: str = "") -> tuple[Mask, Stack]:
        """Labels and logits, slices first; ``more`` is painted too."""
        axis = self.case.axis
        given = np.moveaxis(self.paint, axis, 0).copy()
        for index, mask in more.items():
            given[index] = mask
        slices = sorted({*self.slices, *more})
        settings = Settings(weights=folder)
        result = segment(self.image, np.moveaxis(given, 0, axis), self.spacing, slices, axis, settings)
        probabilities = np.moveaxis(np.asarray(result.probabilities[1], np.float32), axis, 0)
        return np.moveaxis(result.mask(1), axis, 0), logit(np.clip(probabilities, 1e-3, 1 - 1e-3))

    def dice(self, mask: Mask) -> float:
        return query_dice(mask, self.front, self.slices, 0)

    @property
    def shrinkage(self) -> float:
        given = read_paint(self.paint, self.paint.shape, self.slices, self.case.axis)
        return make_task(check_volume(self.image, self.spacing), given, (1,)).frame.shrinkage


def second(one: Painted, first: tuple[Mask, Stack]) -> dict[str, float]:
    """Dice of the second run; nothing where no gap is wide enough."""
    mask, logits = first
    middles = [(a + b) // 2 for a, b in zip(one.slices, one.slices[1:], strict=False) if b - a >= _GAP]
    more = {index: mask[index] for index in middles if mask[index].any()}
    if not more:
        return {}
    again, others = one.answer(more)
    others[list(more)] = logits[list(more)]
    sums = {"sum": logits + others, "sum, first twice": 2 * logits + others}
    return {"second": one.dice(again)} | {name: one.dice(total > 0) for name, total in sums.items()}


def finer(one: Painted, first: tuple[Mask, Stack], folder: str) -> dict[str, float]:
    """Dice on the finer frame that the weights in ``folder`` ask for; nothing where the window is small."""
    if one.shrinkage < _LARGE:
        return {}
    mask, logits = one.answer({}, folder)
    return {"finer": one.dice(mask), "sum with finer": one.dice(first[1] + logits > 0)}


def cases(folders: list[Path], ks: list[int], limit: int, held_out: bool) -> Iterator[Painted]:
    for folder in folders:
        for k, chosen in choose(find_cases(folder, only_held_out=held_out), ks, limit).items():
            yield from (Painted(case, k) for case in chosen)


def store_finer(size: int, folder: Path) -> None:
    """The weights of the default, to be used on a frame of another size."""
    for name in find_method(DEFAULT_METHOD).weights:
        plan = weights.load_plan(name)
        weights.store(name, weights.load(name), replace(plan, frame=replace(plan.frame, size=size)), folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--k", default="3,5", help="painted slices (%(default)s)")
    parser.add_argument("--limit", type=int, default=4, help="structures of each data set (%(default)s)")
    parser.add_argument("--size", type=int, default=144, help="pixels of the finer frame (%(default)s)")
    parser.add_argument("--held-out", action="store_true", help="volumes that training has not seen only")
    parser.add_argument("--only", choices=["second", "finer"])
    options = parser.parse_args()
    change: dict[tuple[int, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        store_finer(options.size, Path(folder))
        for one in cases(options.data, [int(k) for k in options.k.split(",")], options.limit, options.held_out):
            if len(one.slices) < 2 or (options.only == "finer" and one.shrinkage < _LARGE):
                continue
            first = one.answer({})
            found = {} if options.only == "finer" else second(one, first)
            found |= {} if options.only == "second" else finer(one, first, folder)
            dice = one.dice(first[0])
            for name, value in found.items():
                change[one.k, name].append(value - dice)
            shown = "  ".join(f"{name} {value:.3f}" for name, value in found.items())
            print(f"{one.case.volume.data_set} {one.case.name} K={one.k}  first {dice:.3f}  {shown}", flush=True)
    print("\n| K | against the first answer | mean change of the Dice | better | cases |\n|---|---|---:|---:|---:|")
    for (k, name), values in sorted(change.items()):
        print(f"| {k} | {name} | {np.mean(values):+.4f} | {sum(v > 0 for v in values)} | {len(values)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
