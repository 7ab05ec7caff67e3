"""What painted slices of other persons are worth to Matching Networks that remember them: K own slices and a memory.

    python Testing/benchmarks/memory.py --data DATA/msd_hippocampus --targets 4

Targets are persons that training kept out; the memory holds one and three persons that training may use, five slices of
each structure painted. Both are compared with no memory and, by ``--carried``, with what a method does without one:
three persons' segmentations, carried by registration, beside the own slices, where fewer than three are painted. Writes
``Testing/benchmarks/results/memory.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "MetaSegment"))
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

from MetaSegmentLib import Settings, adapt  # noqa: E402
from MetaSegmentLib.across import AdaptedMany  # noqa: E402
from MetaSegmentLib.data.datasets import Case, LabelledVolume, find_cases, load  # noqa: E402
from MetaSegmentLib.data.protocol import painted_slices, query_dice  # noqa: E402
from MetaSegmentLib.engine import Adapted  # noqa: E402
from MetaSegmentLib.registration.carry import ENOUGH_PAINTED  # noqa: E402
from MetaSegmentLib.replacing import replacing  # noqa: E402

RESULTS = Path(__file__).with_name("results")
MEMORY = (1, 3)
SUPPORT_SLICES = 5
ALONE = "own slices alone"
CARRIED, BOTH = "3 persons, carried", "3 persons, carried and remembered"


def remembered(count: int) -> str:
    return f"memory of {count}"


def painted(labels: np.ndarray, k: int, axis: int) -> tuple[np.ndarray, dict[int, list[int]]]:
    """K slices of each structure."""
    paint, slices = np.zeros(labels.shape, np.uint16), {}
    for value in np.unique(labels[labels > 0]).tolist():
        slices[value] = painted_slices(labels == value, k, "inside", axis)
        front, truth = np.moveaxis(paint, axis, 0), np.moveaxis(labels == value, axis, 0)
        front[slices[value]] = np.where(truth[slices[value]], value, front[slices[value]])
    return paint, slices


def learned(volume: LabelledVolume, k: int, axis: int, method: str) -> tuple[Adapted, np.ndarray, dict[int, list[int]]]:
    image, spacing, labels = load(volume)
    paint, slices = painted(labels, k, axis)
    return adapt(image, paint, spacing, slices, axis, Settings(method)), labels, slices


def mean_dice(found: np.ndarray, truth: np.ndarray, slices: dict[int, list[int]], axis: int) -> float:
    return fmean(query_dice(found == value, truth == value, some, axis) for value, some in slices.items())


def _plainly(one: Adapted) -> Adapted:
    """The same volume, learned by a method that remembers nothing."""
    settings = replace(one._settings, method="matching")
    return Adapted(one._volume, one._paint, settings, one._context, one.names, one._given_axis)


def volumes(cases: list[Case], count: int) -> list[Case]:
    """So many volumes, evenly spread, one case of each."""
    each = list({case.volume: case for case in cases if case.eligible(SUPPORT_SLICES)}.values())
    return [each[place] for place in np.linspace(0, len(each) - 1, min(count, len(each))).round().astype(int)]


def measure(folder: Path, targets: int, ks: list[int], carried: bool) -> Iterator[dict[str, Any]]:
    """One record a target and K."""
    wanted = find_cases(folder, only_held_out=True)
    kept_out = {case.volume for case in wanted}
    others = volumes([case for case in find_cases(folder) if case.volume not in kept_out], max(MEMORY))
    memory = [learned(case.volume, SUPPORT_SLICES, case.axis, "matching-memory")[0] for case in others]
    plain = [_plainly(one) for one in memory] if carried else []
    for case in volumes(wanted, targets):
        image, spacing, truth = load(case.volume)
        for k in ks:
            alone, _, slices = learned(case.volume, k, case.axis, "matching-memory")
            dice = {ALONE: mean_dice(alone.predict().labels, truth, slices, case.axis)}
            for count in MEMORY:
                given = (alone._volume, alone._paint, alone._settings, alone._context, alone.names, case.axis)
                found = Adapted(*given, memory[:count]).predict().labels
                dice[remembered(count)] = mean_dice(found, truth, slices, case.axis)
            own = painted(truth, k, case.axis)[0]
            for name, supports in ((CARRIED, plain), (BOTH, memory)) if carried and k < ENOUGH_PAINTED else ():
                found = AdaptedMany(supports).predict(image, spacing, own, slices, case.axis).labels
                dice[name] = mean_dice(found, truth, slices, case.axis)
            scores = {name: round(score, 4) for name, score in dice.items()}
            yield {"data": folder.name, "volume": case.volume.number, "k": k, "dice": scores}


def as_text(records: list[dict[str, Any]]) -> str:
    ks = sorted({one["k"] for one in records})
    count = len({one["volume"] for one in records})
    lines = [
        f"Mean Dice of `matching-memory`, {count} targets, by painted slices of their own; in brackets the gain over "
        "them alone and its 95 % interval (bootstrap over targets).",
        "",
        "| | " + " | ".join(f"K = {k}" for k in ks) + " |",
        "|---|" + "---:|" * len(ks),
    ]
    asked = [name for name in (ALONE, *(remembered(n) for n in MEMORY), CARRIED, BOTH) if name in records[0]["dice"]]
    for name in asked:
        cells = []
        for k in ks:
            some = [one["dice"] for one in records if one["k"] == k and name in one["dice"]]
            if not some:
                cells.append("")
                continue
            gains = np.array([one[name] - one[ALONE] for one in some])
            drawn = np.random.default_rng(0).choice(gains, (5000, len(gains))).mean(1)
            low, high = np.percentile(drawn, (2.5, 97.5))
            gain = "" if name == ALONE else f" ({gains.mean():+.3f}; {low:+.3f} to {high:+.3f})"
            cells.append(f"{fmean(one[name] for one in some):.3f}{gain}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--targets", type=int, default=4)
    parser.add_argument("--k", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--carried", action="store_true", help="compare with registration as well, which takes longer")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    records = []
    for record in measure(arguments.data, arguments.targets, arguments.k, arguments.carried):
        records.append(record)
        print(json.dumps(record), flush=True)
        for ending, content in ((".json", json.dumps(records, indent=1) + "\n"), (".md", as_text(records))):
            with replacing(arguments.output / f"memory{ending}") as waiting:
                waiting.write_text(content, encoding="utf-8")
    print(as_text(records))


if __name__ == "__main__":
    main()
