"""Several structures painted on the same slices: predicted together (N ways, K shots) against one by one.

    python Testing/benchmarks/n_way.py --data DATA/openkbp DATA/spine_vb2 DATA/msd_hippocampus --volumes 3

paints K slices, evenly spread over what N structures of a volume cover, with all of them (N = 2 to 5, the largest that
lie on two painted slices or more); writes ``Testing/benchmarks/results/n_way.json`` and ``.md``. Only volumes that
training kept out are taken, or all of ``--all-volumes``.

Structures that are predicted together lie on one frame, which is coarser than a frame of one's own. So there is a third
way: one by one, on the frame of all. Seconds are without those of the predictors that all ways share.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "MetaSegment"))
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

from MetaSegmentLib import Settings, adapt  # noqa: E402
from MetaSegmentLib.data.datasets import LabelledVolume, find_cases, load  # noqa: E402
from MetaSegmentLib.data.protocol import MINIMUM_VOXELS, painted_slices, query_dice  # noqa: E402
from MetaSegmentLib.predictors.protocol import OneByOne, Predictor  # noqa: E402
from MetaSegmentLib.predictors.registry import METHODS, Maker  # noqa: E402
from MetaSegmentLib.replacing import replacing  # noqa: E402

RESULTS = Path(__file__).with_name("results")
WAYS = (2, 5, 3, 4)
"""N by volume, in turns; fewer where a volume has fewer."""
FAMILIES = ("protonet", "maml")
ALONE, SHARED, TOGETHER = "one by one", "one by one, on one frame", "together"

Record = dict[str, Any]
Loaded = tuple[np.ndarray, Any, np.ndarray]
"""Image, spacing, labels."""


class _Lifted(Maker):
    """Makes a method that is given all structures and takes one after the other."""

    def make(self) -> Predictor:
        return OneByOne(super().make())


def on_one_frame(name: str) -> str:
    """Enters a method a second time, one by one on the frame of all structures; returns the name of that."""
    info, entered = METHODS[name], f"{name}-one-frame"
    maker = _Lifted(info.maker.module, info.maker.function, info.maker.arguments)
    calibrated = info.calibrated_as or name
    METHODS[entered] = replace(info, name=entered, maker=maker, joint=True, calibrated_as=calibrated, baseline=True)
    return entered


def chosen(labels: np.ndarray, axis: int, ways: int, k: int) -> tuple[list[int], list[int]] | None:
    """(label values, painted slices): the largest structures of which at least two painted slices show something."""
    values, counts = np.unique(labels[labels > 0], return_counts=True)
    ordered = [int(v) for v, n in sorted(zip(values, counts, strict=True), key=lambda one: -one[1])]
    rest = [v for v in ordered if (labels == v).sum() >= MINIMUM_VOXELS]
    while len(rest) >= ways:
        some = rest[:ways]
        slices = painted_slices(np.isin(labels, some), k, "inside", axis)
        seen = np.moveaxis(labels, axis, 0)[slices]
        poor = [v for v in some if (seen == v).any(axis=(1, 2)).sum() < 2]
        if not poor:
            return sorted(some), slices
        rest.remove(poor[-1])
    return None


def ask(case: tuple[Any, ...], method: str, alone: Any = None) -> tuple[Any, np.ndarray, float]:
    """The method adapted, its labels, its seconds; what earlier methods left in the memo of ``alone`` is used."""
    image, spacing, painted, slices, axis = case
    start = time.monotonic()
    if alone is None:
        adapted = adapt(image, painted, spacing, slices, axis, Settings(method))
    else:
        adapted = alone.update(painted, slices, method=method, axis=axis)
    return adapted, adapted.predict().labels, time.monotonic() - start


def measure(folder: Path, volumes: int, ks: list[int], ways: Iterator[int], all_volumes: bool) -> Iterator[Record]:
    """One record a volume and K."""
    found = {case.volume: case.axis for case in find_cases(folder, only_held_out=not all_volumes)}
    done = 0
    for volume, axis in found.items():
        if done == volumes:
            return
        whole = load(volume)
        labels, wanted = whole[2], next(ways)
        counts = (n for n in range(wanted, 1, -1) if all(chosen(labels, axis, n, k) for k in ks))
        if not (count := next(counts, 0)):
            continue
        done += 1
        for k in ks:
            values, slices = chosen(labels, axis, count, k) or ([], [])
            yield _record(volume, whole, values, slices, axis, k)


def _record(volume: LabelledVolume, whole: Loaded, values: list[int], slices: list[int], axis: int, k: int) -> Record:
    image, spacing, labels = whole
    painted = np.zeros(labels.shape, np.uint16)
    front, truth = np.moveaxis(painted, axis, 0), np.moveaxis(labels, axis, 0)
    front[slices] = np.where(np.isin(truth[slices], values), truth[slices], 0)
    case = (image, spacing, painted, slices, axis)
    adapted, _, seconds = ask(case, "experts")
    adapted, _, more = ask(case, on_one_frame("experts"), adapted)
    dice: dict[str, list[float]] = {}
    spent = {"predictors, own frames": seconds, "predictors, one frame": more}
    for family in FAMILIES:
        methods = {ALONE: family, SHARED: on_one_frame(family), TOGETHER: f"{family}-joint"}
        for way, method in methods.items():
            adapted, result, spent[f"{family}, {way}"] = ask(case, method, adapted)
            scores = [query_dice(result == value, labels == value, slices, axis) for value in values]
            dice[f"{family}, {way}"] = [round(score, 4) for score in scores]
    seconds_of = {name: round(value, 1) for name, value in spent.items()}
    about = {"data": volume.data_set, "volume": volume.number, "k": k, "n": len(values)}
    return {**about, "dice": dice, "seconds": seconds_of}


def interval(records: list[Record], first: str, second: str) -> tuple[float, float, float]:
    """Mean gain of ``first`` over ``second`` and its 95 % interval, by bootstrap over volumes."""
    by_volume: dict[Any, list[float]] = {}
    for one in records:
        gain = fmean(one["dice"][first]) - fmean(one["dice"][second])
        by_volume.setdefault((one["data"], one["volume"]), []).append(gain)
    gains = np.array([fmean(some) for some in by_volume.values()])
    drawn = np.random.default_rng(0).choice(gains, (5000, len(gains))).mean(1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(gains.mean()), float(low), float(high)


def as_text(records: list[Record]) -> str:
    count = len({(one["data"], one["volume"]) for one in records})
    sets = ", ".join(sorted({one["data"] for one in records}))
    ks = sorted({one["k"] for one in records})
    lines = [
        f"Mean Dice of N = {min(r['n'] for r in records)} to {max(r['n'] for r in records)} structures painted on the "
        f"same slices, {count} volumes of {sets}; gain over one by one with a 95 % interval (bootstrap over volumes); "
        "seconds without the predictors.",
        "",
        "| method | " + " | ".join(f"K = {k}" for k in ks) + " | gain | seconds |",
        "|---|" + "---:|" * (len(ks) + 2),
    ]
    for family in FAMILIES:
        for way in (ALONE, SHARED, TOGETHER):
            name = f"{family}, {way}"
            means = [fmean(fmean(one["dice"][name]) for one in records if one["k"] == k) for k in ks]
            gain, low, high = interval(records, name, f"{family}, {ALONE}")
            shown = "" if way == ALONE else f"{gain:+.3f} ({low:+.3f} to {high:+.3f})"
            spent = fmean(one["seconds"][name] for one in records)
            lines.append(f"| {name} | " + " | ".join(f"{mean:.3f}" for mean in means) + f" | {shown} | {spent:.1f} |")
    lines.append("")
    for family in FAMILIES:
        gain, low, high = interval(records, f"{family}, {TOGETHER}", f"{family}, {SHARED}")
        lines.append(f"On the same frame, `{family}` gains {gain:+.3f} ({low:+.3f} to {high:+.3f}) together.")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--volumes", type=int, default=3, help="of each folder")
    parser.add_argument("--k", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--all-volumes", action="store_true", help="of folders that no weights were trained on")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    ways = cycle(WAYS)
    given = (arguments.volumes, arguments.k, ways, arguments.all_volumes)
    running = [measure(folder, *given) for folder in arguments.data]
    records: list[Record] = []
    # In turns, so that what is there when it is stopped is of all folders; written after each.
    while running:
        for one in list(running):
            record = next(one, None)
            if record is None:
                running.remove(one)
                continue
            records.append(record)
            print(json.dumps(record), flush=True)
            for ending, content in ((".json", json.dumps(records, indent=1) + "\n"), (".md", as_text(records))):
                with replacing(arguments.output / f"n_way{ending}") as waiting:
                    waiting.write_text(content, encoding="utf-8")
    print(as_text(records))


if __name__ == "__main__":
    main()
