"""Mean Dice of the default over what its parts may weigh, on the predictions that ``metasegment calibrate`` keeps.

    metasegment calibrate --data DATA/... --methods fusion --keep-weights --dry-run --output RUN
    python Testing/benchmarks/fusion_weights.py RUN

Weights are relative to that of the networks, which share theirs as they do by default. Every case weighs the same. A
star marks what is nearest to the weights in use.
"""

from __future__ import annotations

import argparse
import sys
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "MetaSegment"))
from MetaSegmentLib.calibrate.fit import combined, dice_met
from MetaSegmentLib.calibrate.samples import Sample, StoredSamples
from MetaSegmentLib.methods.fusion import NETWORKS
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.plan import Calibration

METHOD = "fusion"
SHAPE = (0.0, 0.2, 0.4, 0.6, 0.9, 1.4, 2.0)
PROPAGATION = (0.0, 0.2, 0.4, 0.6, 0.8)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the output folder of metasegment calibrate")
    folder = parser.parse_args().run / "predictions"
    files = {place: sorted(folder.rglob(f"*-{place}.npz")) for place in ("inside", "ends")}
    if not any(files.values()):
        sys.exit("There are no predictions in that folder; run metasegment calibrate first.")
    used = weights.load_plan(NETWORKS[0]).calibration[METHOD]
    for place, ours in files.items():
        samples = list(StoredSamples(ours, METHOD))
        for painted in sorted({sample.painted for sample in samples}):
            print_grid(place, [sample for sample in samples if sample.painted == painted], used)
    return 0


def print_grid(place: str, samples: list[Sample], used: Calibration) -> None:
    """A table, shape down and propagation across."""
    painted = samples[0].painted
    networks = {name: w for name, w in used.weights_for(painted).items() if name in NETWORKS}
    own = sum(networks.values())
    now = [used.weights_for(painted).get(name, 0.0) / own for name in ("shape", "propagation")]
    nearest = min(product(SHAPE, PROPAGATION), key=lambda pair: sum(abs(a - b) for a, b in zip(pair, now, strict=True)))
    print(f"{place}, {painted} painted slices, {len(samples)} cases; in use {mean_dice(samples, used):.4f}")
    print("shape \\ propagation " + " ".join(f"{b:7g}" for b in PROPAGATION))
    for a in SHAPE:
        row = []
        for b in PROPAGATION:
            tried = {"shape": a * own, "propagation": b * own, **networks}
            found = mean_dice(samples, Calibration(fusion_weights=tried))
            row.append(f"{found:.4f}{'*' if (a, b) == nearest else ' '}")
        print(f"{a:19g} " + " ".join(row), flush=True)


def mean_dice(samples: list[Sample], calibration: Calibration) -> float:
    """As the method would do on the cases, with weights fitted again where many slices are painted."""
    return float(np.mean([dice_met(combined(sample, calibration), sample) for sample in samples]))


if __name__ == "__main__":
    sys.exit(main())
