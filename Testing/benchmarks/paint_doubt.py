"""How often paint is doubted: false alarms on complete slices, and faults that are noticed.

    python Testing/benchmarks/paint_doubt.py --data FOLDER... [--limit 20] [--axes natural|all]

takes the structures of labelled volumes (``images/`` and ``labels/``, as for ``metasegment evaluate``), paints them

- clean: on the slices of the protocol, alone and with other structures of the volume painted on slices of their own, on
  runs of neighbouring slices, on every second and on all slices;
- faulty: with a stray mark, with what a 3D brush leaves beside its slices, with a slice across another axis, on turned
  planes;

and prints a table: how often paint was taken without a warning, left out with one, or refused. ``wrong`` counts clean
paint whose axis or slices were not read as they were painted; of a structure painted on all slices any axis is right.
Structures of which half the painted slices have fewer than 60 voxels get no faults. Not collected by pytest.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "MetaSegment"))
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

import numpy as np  # noqa: E402
from scipy import ndimage  # noqa: E402

from MetaSegmentLib.data.datasets import Case, find_cases, load, spread  # noqa: E402
from MetaSegmentLib.data.protocol import PAINTED_COUNTS, PLACEMENTS, painted_slices  # noqa: E402
from MetaSegmentLib.errors import InputError  # noqa: E402
from MetaSegmentLib.task.paint import read_paint  # noqa: E402

_LARGE_ENOUGH = 60
_TOGETHER = 4
_MARGIN = 8
_BRUSHES = ((2.5, 1.0), (4.3, 1.0), (4.3, 3.0), (6.0, 2.0))
"""Radius in pixels, and slice distance in pixels."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--limit", type=int, default=20, help="structures of each data set")
    parser.add_argument(
        "--axes", choices=["natural", "all"], default="natural", help="paint across the natural axis only"
    )
    parser.add_argument("--list", action="store_true", help="name every false alarm")
    options = parser.parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    seconds = []
    for folder in options.data:
        if not (folder / "labels").is_dir():
            continue
        cases = find_cases(folder, rendered=True)
        for case in spread([case for case in cases if case.voxels >= 200])[: options.limit]:
            for kind, labels, axis, expected in paints(case, cases, options.axes == "all"):
                start = time.perf_counter()
                verdict = judge(labels, axis, expected)
                seconds.append(time.perf_counter() - start)
                counts[kind, verdict] += 1
                if options.list and expected is not None and verdict != "silent":
                    print(f"{kind}: {verdict}: {case.volume.data_set} {case.volume.number} {case.name} axis {axis}")
    print_table(counts)
    print(f"\n{len(seconds)} label maps, {1000 * np.median(seconds):.1f} ms each, {1000 * max(seconds):.0f} at most")
    return 0


def judge(labels: np.ndarray, axis: int, expected: dict[int, list[int]] | None) -> str:
    """What becomes of paint; ``expected`` are the slices of clean paint by label value."""
    try:
        paint = read_paint(labels, labels.shape)
    except InputError:
        return "refused"
    if paint.warnings:
        return "left out"
    if expected is None:
        return "silent"
    right = all(paint.axes.get(v) == axis and list(paint.slices[v]) == slices for v, slices in expected.items())
    return "silent" if right else "wrong"


def paints(
    case: Case, cases: Sequence[Case], all_axes: bool
) -> Iterator[tuple[str, np.ndarray, int, dict[int, list[int]] | None]]:
    """(kind, labels, slice axis, expected slices): clean and faulty paint of a structure."""
    _, _, labels = load(case.volume)
    rng = np.random.default_rng(case.volume.fingerprint + case.value)
    beside = [other.value for other in cases if other.volume.labels == case.volume.labels and other.voxels >= 200]
    chosen = [case.value, *rng.permutation([v for v in beside if v != case.value])[: _TOGETHER - 1]]
    for axis in range(3) if all_axes else [case.axis]:
        mask = np.moveaxis(labels == case.value, axis, 0)
        occupied = np.flatnonzero(mask.any(axis=(1, 2)))
        suffix = "" if axis == case.axis else ", other axes"
        for count in PAINTED_COUNTS:
            if len(occupied) < 2 * count:
                continue
            for placement in PLACEMENTS:
                slices = {1: painted_slices(mask, count, placement)}
                yield f"clean: protocol, {placement}{suffix}", on(mask, slices[1], axis), axis, slices
                together, slices = side_by_side(labels, chosen, axis, count, placement)
                if len(slices) > 1:
                    yield f"clean: protocol, {placement}, several structures{suffix}", together, axis, slices
        if len(occupied) >= 6:
            for kind, wanted in neighbouring(occupied, rng):
                expected = {1: wanted} if len(wanted) < len(occupied) else {}
                yield f"clean: {kind}{suffix}", on(mask, wanted, axis), axis, expected
    yield from faulty(np.moveaxis(labels == case.value, case.axis, 0), rng)


def on(mask: np.ndarray, slices: list[int], axis: int = 0) -> np.ndarray:
    """The mask, slices first, painted on some slices, in the volume's order."""
    labels = np.zeros(mask.shape, np.uint8)
    labels[slices] = mask[slices]
    return np.ascontiguousarray(np.moveaxis(labels, 0, axis))


def side_by_side(
    labels: np.ndarray, values: Sequence[int], axis: int, count: int, placement: str
) -> tuple[np.ndarray, dict[int, list[int]]]:
    """Structures of one volume, each painted on slices of its own."""
    painted = np.zeros(np.moveaxis(labels, axis, 0).shape, np.uint8)
    slices = {}
    for number, value in enumerate(values, start=1):
        mask = np.moveaxis(labels == value, axis, 0)
        if np.count_nonzero(mask.any(axis=(1, 2))) < 2 * count:
            continue
        slices[number] = painted_slices(mask, count, placement)  # type: ignore[arg-type]
        for index in slices[number]:
            painted[index][mask[index]] = number
    return np.ascontiguousarray(np.moveaxis(painted, 0, axis)), slices


def neighbouring(occupied: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, list[int]]]:
    """Slices that touch: runs of two to four, three in the middle, every second slice, all slices."""
    present = set(occupied.tolist())
    length = int(rng.integers(2, 5))
    wanted = {start + i for start in rng.choice(occupied, 2) for i in range(length)}
    yield "two runs of neighbouring slices", sorted(int(i) for i in wanted & present)
    middle = len(occupied) // 2
    yield "three neighbouring slices", occupied[middle - 1 : middle + 2].tolist()
    yield "every second slice", occupied[::2].tolist()
    yield "all slices", occupied.tolist()


def faulty(mask: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray, int, None]]:
    """Paint with one fault; the structure, slices first, has a margin all around."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    mask = np.pad(mask[box], _MARGIN)
    slices = painted_slices(mask, 3 if rng.random() < 0.5 else 5)
    clean = on(mask, slices)
    if len(slices) < 3 or np.median(clean[slices].sum(axis=(1, 2))) < _LARGE_ENOUGH:
        return
    free = [i for i in range(slices[0] + 1, slices[-1]) if i not in slices]
    row, column = (int(rng.integers(1, n - 1)) for n in mask.shape[1:])
    if free:
        index = int(rng.choice(free))
        for name, reach in (("1 voxel", 0), ("3 × 3 voxels", 1)):
            marked = clean.copy()
            marked[index, row - reach : row + reach + 1, column - reach : column + reach + 1] = 1
            yield f"stray mark of {name} between slices", marked, 0, None
    beyond = [i for i in range(len(mask)) if i < slices[0] - 1 or i > slices[-1] + 1]
    marked = clean.copy()
    marked[int(rng.choice(beyond)), row, column] = 1
    yield "stray mark of 1 voxel beyond the ends", marked, 0, None
    for radius, distance in _BRUSHES:
        for name, drawn in (("all slices", slices), ("one slice", slices[len(slices) // 2 :][:1])):
            brushed = clean.copy()
            for index in drawn:
                for away, disc in enumerate(brush_discs(mask[index], radius, distance), start=1):
                    for other in {index - away, index + away} - set(slices):
                        brushed[other][disc] = 1
            if (brushed != clean).any():
                yield f"3D brush on {name}", brushed, 0, None
    for axis in (1, 2):
        occupied = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        crossed = clean.copy()
        index = int(rng.choice(occupied[len(occupied) // 3 : -(len(occupied) // 3) or None]))
        np.moveaxis(crossed, axis, 0)[index] = np.moveaxis(mask, axis, 0)[index]
        yield "one slice across another axis", crossed, 0, None
    for degrees in (5, 10, 20, 35):
        turned = on_turned_planes(mask, degrees, rng)
        if turned is not None:
            yield f"planes turned by {degrees}°", turned, 0, None


def brush_discs(drawn: np.ndarray, radius: float, distance: float) -> Iterator[np.ndarray]:
    """What a ball that filled a drawn slice leaves on the slices beside it, nearest first."""
    depth = ndimage.distance_transform_edt(np.pad(drawn, 1))[1:-1, 1:-1]
    radius = min(radius, depth.max())
    around = ndimage.distance_transform_edt(depth < radius)
    away = 1
    while away * distance < radius:
        disc = (around <= np.sqrt(radius**2 - (away * distance) ** 2) - 0.5) & drawn
        if disc.any():
            yield disc
        away += 1


def on_turned_planes(mask: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray | None:
    """Three planes of a structure, turned about a random axis in the slices; None where it is too small for them."""
    around = rng.uniform(0, 2 * np.pi)
    tilt = np.deg2rad(degrees)
    normal = (np.cos(tilt), np.sin(tilt) * np.cos(around), np.sin(tilt) * np.sin(around))
    depth = sum(n * grid for n, grid in zip(normal, np.indices(mask.shape), strict=True))
    first, last = depth[mask].min(), depth[mask].max()
    if last - first < 12:
        return None
    planes = first + (np.arange(3) + 0.5) / 3 * (last - first)
    painted = mask & np.any([np.abs(depth - at) <= 0.5 for at in planes], axis=0)
    return np.asarray(painted, np.uint8)


def print_table(counts: Counter[tuple[str, str]]) -> None:
    verdicts = ("silent", "left out", "refused", "wrong")
    print(f"{'':52}" + "".join(f"{verdict:>10}" for verdict in verdicts))
    for kind in sorted({kind for kind, _ in counts}, key=lambda kind: (not kind.startswith("clean"), kind)):
        print(f"{kind:52}" + "".join(f"{counts[kind, verdict]:>10}" for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
