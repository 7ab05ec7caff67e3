"""How far the expected Dice is off on data sets that it was not fitted on, with and without agreement.

    metasegment calibrate --data DATA/... --methods fusion --keep-weights --dry-run --output RUN
    python Testing/benchmarks/expected_dice.py RUN

Each data set in turn is left out, the numbers of the expected Dice are fitted on the others, and the mean absolute
error on it is taken. Intervals are over data sets (bootstrap), since cases of one are not independent.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "MetaSegment"))
from MetaSegmentLib.answer.calibration import expected_dice
from MetaSegmentLib.calibrate.fit import DiceCases, cases_of, fit_dice
from MetaSegmentLib.calibrate.samples import StoredSamples
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.plan import Calibration

METHOD = "fusion"
DRAWS = 2000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the output folder of metasegment calibrate")
    files = sorted((parser.parse_args().run / "predictions").rglob("*.npz"))
    if not files:
        sys.exit("There are no predictions in that folder; run metasegment calibrate first.")
    used = weights.load_plan("context").calibration[METHOD]
    by_set = {
        folder: cases_of(StoredSamples([file for file in files if file.parent == folder], METHOD), used)
        for folder in sorted({file.parent for file in files})
    }
    with_it, without = errors(by_set, used, True), errors(by_set, used, False)
    print("| data set | cases | agreement counts | it does not |\n|---|---:|---:|---:|")
    for folder, cases in by_set.items():
        print(f"| {folder.name} | {len(cases.met)} | {with_it[folder].mean():.4f} | {without[folder].mean():.4f} |")
    for k in sorted({int(n) for cases in by_set.values() for n in cases.painted}):
        chosen = {folder: cases.painted == k for folder, cases in by_set.items()}
        print_row(
            f"all, K = {k}",
            [with_it[f][some] for f, some in chosen.items()],
            [without[f][some] for f, some in chosen.items()],
        )
    print_row("all", list(with_it.values()), list(without.values()))
    return 0


def errors(by_set: dict[Path, DiceCases], used: Calibration, agreement: bool) -> dict[Path, NDArray[np.float64]]:
    """(cases,) absolute error of every set, by numbers that were fitted on all others."""
    found = {}
    for left_out, cases in by_set.items():
        others = [one for folder, one in by_set.items() if folder != left_out]
        columns = [np.concatenate(column) for column in zip(*(one[:3] for one in others), strict=True)]
        agreed = np.concatenate([one.agreed for one in others if one.agreed is not None]) if agreement else None
        fitted = fit_dice(DiceCases(*columns, agreed), used)
        known = cases.agreed if agreement and cases.agreed is not None else [None] * len(cases.met)
        rows = zip(cases.implied, cases.painted, known, strict=True)
        guesses = [expected_dice(implied, int(painted), fitted, some) for implied, painted, some in rows]
        found[left_out] = np.abs(np.array(guesses) - cases.met)
    return found


def print_row(title: str, first: list[NDArray[np.float64]], second: list[NDArray[np.float64]]) -> None:
    """Means over all cases, and the interval of what the first ones have less."""
    random, less = np.random.default_rng(0), [b - a for a, b in zip(first, second, strict=True)]
    drawn = [np.concatenate([less[n] for n in random.integers(0, len(less), len(less))]).mean() for _ in range(DRAWS)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    ours, plain = np.concatenate(first).mean(), np.concatenate(second).mean()
    more = f"{plain - ours:.4f} more [{low:.4f}, {high:.4f}]"
    print(f"| {title} | {sum(map(len, first))} | {ours:.4f} | {plain:.4f}, {more} |")


if __name__ == "__main__":
    sys.exit(main())
