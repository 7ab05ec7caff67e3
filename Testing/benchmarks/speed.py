"""Time and memory of every method: one structure, five painted slices, a region of 40 slices of 128 × 128.

    python Testing/benchmarks/speed.py --methods protonet,maml,fusion

writes ``Testing/benchmarks/results/speed.json``. Seconds depend on the machine; the ratios in the file were measured
within one run: against the limits, of twice the slices to once, of an update to the first time, of the peak memory of
a 512 × 512 × 400 CT to its limit. Not collected by pytest: a busy machine must not fail a test.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "MetaSegment"))
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

from MetaSegmentLib import MetaSegmentError, Settings, adapt, segment  # noqa: E402
from MetaSegmentLib.data.protocol import paint, painted_slices, query_dice  # noqa: E402
from MetaSegmentLib.evaluation.measure import Measured  # noqa: E402
from MetaSegmentLib.replacing import replacing  # noqa: E402

REGION = (40, 128, 128)
CT = (400, 512, 512)
PAINTED = 5
SPACING = (2.0, 1.0, 1.0)
# What each may take on two cores, start-up not counted.
LIMIT_SECONDS = {"protonet": 2.0, "maml": 10.0, "fusion": 10.0}
LIMIT_UPDATE = 0.5
DEPTHS = (20, 40, 80)


def phantom(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """int16 image (K, J, I) and the mask of a lumpy ellipsoid that fills the region's window."""
    random = np.random.default_rng(0)
    k, j, i = (np.linspace(-1, 1, size, dtype=np.float32) for size in shape)
    radius = np.hypot(j[:, None], i[None]) * (1 + 0.12 * np.cos(3 * np.arctan2(j[:, None], i[None])))
    mask = radius[None] < 0.55 * np.sqrt(np.clip(1 - (k / 0.9) ** 2, 0, None))[:, None, None]
    image = np.empty(shape, np.int16)
    for index, plane in enumerate(mask):
        image[index] = 60 * plane + random.normal(0, 25, plane.shape)
    return image, mask


def seconds_of(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def measure(method: str, device: str) -> dict[str, Any]:
    """All figures of one method but the memory of a CT."""
    settings = Settings(method=method, device=device)
    small, small_mask = phantom((12, 32, 32))
    start_up, _ = seconds_of(lambda: run(small, small_mask, settings))

    by_depth = {}
    for depth in DEPTHS:
        image, mask = phantom((depth, *REGION[1:]))
        seconds, result = seconds_of(lambda image=image, mask=mask: run(image, mask, settings))
        by_depth[depth] = seconds
        if depth == REGION[0]:
            dice = query_dice(result.labels == 1, mask, painted_slices(mask, PAINTED))
            stages = result.report["seconds"]
    image, mask = phantom(REGION)
    slices = painted_slices(mask, PAINTED)
    more = sorted({*slices, (slices[0] + slices[1]) // 2})

    def first_time() -> Any:
        adapted = adapt(image, paint(mask, slices), spacing=SPACING, settings=settings)
        adapted.predict()
        return adapted

    first, adapted = seconds_of(first_time)
    again, _ = seconds_of(lambda: adapted.update(paint(mask, more)).predict())
    limit = LIMIT_SECONDS.get(method)
    return {
        "dice": round(dice, 4),
        "start_up_and_tiny_volume_seconds": round(start_up, 3),
        "seconds": round(by_depth[REGION[0]], 3),
        "seconds_over_limit": limit and round(by_depth[REGION[0]] / limit, 3),
        "stages": {name: round(value, 3) for name, value in stages.items()},
        "seconds_by_depth": {depth: round(value, 3) for depth, value in by_depth.items()},
        "twice_the_slices_over_once": round(by_depth[80] / by_depth[40], 3),
        "update_over_first_time": round(again / first, 3),
        "update_within_limit": again / first < LIMIT_UPDATE,
    }


def run(image: np.ndarray, mask: np.ndarray, settings: Settings) -> Any:
    slices = painted_slices(mask, PAINTED)
    return segment(image, paint(mask, slices), spacing=SPACING, settings=settings)


def peak_memory_of_ct(method: str, device: str) -> dict[str, Any]:
    """In a process of its own, which ends with this one line."""
    image, mask = phantom(CT)
    slices = painted_slices(mask, PAINTED)
    painted = paint(mask, slices)
    del mask
    with Measured() as measured:
        segment(image, painted, spacing=SPACING, settings=Settings(method=method, device=device))
    peak, volume = measured.peak_memory_mb or float("nan"), image.nbytes / 2**20
    limit = 1536 + 3 * volume
    return {
        "peak_mb": round(peak),
        "volume_mb": round(volume),
        "limit_mb": round(limit),
        "peak_over_limit": round(peak / limit, 3),
        "seconds": round(measured.seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="protonet,maml,fusion")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "speed.json")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        print(json.dumps(peak_memory_of_ct(arguments.memory_of, arguments.device)))
        return

    methods = {}
    for method in arguments.methods.split(","):
        try:
            figures = measure(method, arguments.device)
        except MetaSegmentError as error:
            methods[method] = {"error": str(error)}
            continue
        command = [sys.executable, __file__, "--memory-of", method, "--device", arguments.device]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        ct = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"error": done.stderr[-300:]}
        methods[method] = {**figures, "ct_512x512x400": ct}
        print(method, json.dumps(methods[method], indent=1), flush=True)

    about = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    found = {"about": about, "region": REGION, "methods": methods}
    with replacing(arguments.output) as waiting:
        waiting.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
