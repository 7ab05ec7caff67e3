"""Several structures painted on slices of their own: together against each alone, in Dice and in seconds.

    python3 Testing/benchmarks/structures.py --data FOLDER [FOLDER ...] [--volumes 3] [--k 5]

A folder holds ``images/`` and ``labels/``. Of each volume the four largest eligible structures are painted, each on K
slices of its own (``inside``); Dice is that of the whole structure without its own painted slices.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from MetaSegmentLib import Settings, segment
from MetaSegmentLib.data.datasets import find_cases, load
from MetaSegmentLib.data.protocol import painted_slices, query_dice

STRUCTURES = 4


def measure(folder: Path, volumes: int, k: int, method: str) -> list[dict[str, Any]]:
    """One record for each volume."""
    cases: dict[int, list[Any]] = {}
    for case in find_cases(folder):
        if case.eligible(k):
            cases.setdefault(case.volume.number, []).append(case)
    records = []
    for number, found in sorted(cases.items()):
        chosen = sorted(found, key=lambda case: -case.voxels)[:STRUCTURES]
        if len(chosen) < STRUCTURES or len(records) == volumes:
            continue
        image, spacing, labels = load(chosen[0].volume)
        axis = chosen[0].axis
        truths = [labels == case.value for case in chosen]
        slices = [painted_slices(np.moveaxis(truth, axis, 0), k, "inside") for truth in truths]
        paints = []
        for place, (truth, own) in enumerate(zip(truths, slices, strict=True), start=1):
            paint = np.zeros(labels.shape, np.uint8)
            np.moveaxis(paint, axis, 0)[own] = np.moveaxis(truth, axis, 0)[own] * np.uint8(place)
            paints.append(paint)
        settings = Settings(method=method)
        alone, seconds = [], []
        for truth, own, paint in zip(truths, slices, paints, strict=True):
            start = time.perf_counter()
            result = segment(image, paint, spacing, axis=axis, settings=settings)
            seconds.append(time.perf_counter() - start)
            alone.append(query_dice(result.labels > 0, truth, own, axis))
        start = time.perf_counter()
        result = segment(image, np.max(paints, axis=0), spacing, axis=axis, settings=settings)
        all_seconds = time.perf_counter() - start
        together = [
            query_dice(result.labels == place, truth, own, axis)
            for place, (truth, own) in enumerate(zip(truths, slices, strict=True), start=1)
        ]
        records.append(
            {
                "data": folder.name,
                "volume": number,
                "alone": [round(d, 4) for d in alone],
                "together": [round(d, 4) for d in together],
                "seconds_of_one": round(statistics.fmean(seconds), 2),
                "seconds_of_four": round(all_seconds, 2),
            }
        )
        print(json.dumps(records[-1]), flush=True)
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--volumes", type=int, default=3)
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--method", default="fusion")
    arguments = parser.parse_args()
    records = [
        record
        for folder in arguments.data
        for record in measure(folder, arguments.volumes, arguments.k, arguments.method)
    ]
    alone = np.concatenate([record["alone"] for record in records])
    together = np.concatenate([record["together"] for record in records])
    ratio = statistics.fmean(record["seconds_of_four"] / record["seconds_of_one"] for record in records)
    print(f"{len(alone)} structures: alone {alone.mean():.4f}, together {together.mean():.4f}, ", end="")
    print(f"worst loss {(alone - together).max():.4f}, time of four / time of one {ratio:.2f}")


if __name__ == "__main__":
    main()
