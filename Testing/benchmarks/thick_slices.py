"""Thick slices and ends: volumes made as coarse across their slices as clinical stacks are, and told where it ends.

    python Testing/benchmarks/thick_slices.py --data DATA/msd_heart DATA/spine_vb2 [--weights FOLDER ...]

takes volumes that training kept out, averages every N slices to one so that slices are up to ``--pixels`` pixels apart
and twice as many as are painted are left, paints as ``metasegment evaluate`` does, and writes
``Testing/benchmarks/results/thick_slices.json`` and ``.md``: Dice of the default, with the shipped weights and those of
each other folder, and of the best of four simple tools, on all slices that were not painted and on those between
painted ones. ``ends named`` is the default to which the first empty slice on each side was named, as a user may who
has looked; the tools are not told. With ``--pixels 0`` volumes stay as they are. Not collected by pytest.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "MetaSegment"))
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

import numpy as np  # noqa: E402
from scipy.ndimage import uniform_filter1d  # noqa: E402

from MetaSegmentLib import Settings, adapt  # noqa: E402
from MetaSegmentLib.data.datasets import Case, find_cases, load, spread  # noqa: E402
from MetaSegmentLib.data.protocol import (  # noqa: E402
    PLACEMENTS,
    Placement,
    dice,
    eligible,
    occupied_slices,
    paint,
    painted_slices,
)
from MetaSegmentLib.evaluation import tools  # noqa: E402
from MetaSegmentLib.evaluation.records import Painted  # noqa: E402
from MetaSegmentLib.evaluation.tables import interval_of_mean  # noqa: E402
from MetaSegmentLib.replacing import replacing  # noqa: E402
from MetaSegmentLib.task.frame import Mask  # noqa: E402

RESULTS = Path(__file__).with_name("results")
FEWEST_PIXELS = 4.0
"""Between slices that count as thick."""
NAMED = ", ends named"
"""Behind the name of weights."""

Row = dict[str, Any]


def drawn_case(case: Case, k: int, pixels: float, placement: Placement) -> Painted | None:
    """A case with thick slices; None where its structure has too few slices for that, or too little of it is left.

    With 0 for ``pixels`` it is left as it is.
    """
    image, spacing, labels = load(case.volume)
    truth, axis = labels == case.value, case.axis
    pixel = min(mm for other, mm in enumerate(spacing) if other != axis)
    every = max(1, min(round(pixels * pixel / spacing[axis]), len(occupied_slices(truth, axis)) // (2 * k)))
    if pixels and every * spacing[axis] < FEWEST_PIXELS * pixel:
        return None
    middles = (slice(None),) * axis + (slice(every // 2, None, every),)
    truth = truth[middles]
    if not eligible(truth, k, axis):
        return None
    coarse = uniform_filter1d(image.astype(np.float32), every, axis)[middles]
    further = tuple(mm * every if other == axis else mm for other, mm in enumerate(spacing))
    return Painted(coarse, (further[0], further[1], further[2]), truth, painted_slices(truth, k, placement, axis), axis)


def named(painted: Painted) -> list[int]:
    """The painted slices and the first empty one on each side, where there is one."""
    there = occupied_slices(painted.truth, painted.axis)
    beside = {int(there[0]) - 1, int(there[-1]) + 1} & set(range(painted.truth.shape[painted.axis]))
    return sorted(beside.union(painted.slices))


def scores(found: Mask, painted: Painted) -> tuple[float, float]:
    """Dice on all slices that are not painted, and on those between painted ones."""
    found, truth = (np.moveaxis(mask, painted.axis, 0) for mask in (found, painted.truth))
    everywhere = np.setdiff1d(np.arange(len(truth)), painted.slices)
    between = np.setdiff1d(np.arange(painted.slices[0], painted.slices[-1]), painted.slices)
    return dice(found[everywhere], truth[everywhere]), dice(found[between], truth[between])


def measure(painted: Painted, weights: Mapping[str, str]) -> Row:
    """Scores of the tools and of the default with each folder's weights."""
    drawn, axis = paint(painted.truth, painted.slices, painted.axis), painted.axis
    row: Row = {tool: scores(tools.apply(tool, painted), painted) for tool in tools.SIMPLE_TOOLS}
    for told, slices in (("", painted.slices), (NAMED, named(painted))):
        for name, folder in weights.items():
            adapted = adapt(painted.image, drawn, painted.spacing, slices, axis, Settings(weights=folder))
            row[name + told] = scores(adapted.predict().labels == 1, painted)
    return row


def rows(
    folders: Sequence[Path],
    ks: Sequence[int],
    limit: int,
    make: Callable[[Case, int], Painted | None],
    weights: Mapping[str, str],
) -> Iterator[Row]:
    """One for each structure and K."""
    for folder in folders:
        cases = spread(find_cases(folder, only_held_out=True))
        for k in ks:
            taken = 0
            for case in cases:
                if taken == limit:
                    break
                if (painted := make(case, k)) is not None:
                    taken += 1
                    about = {"data": folder.name, "volume": case.volume.number, "structure": case.name, "k": k}
                    yield about | measure(painted, weights)


def as_text(found: Sequence[Row], ks: Sequence[int], weights: Iterable[str]) -> str:
    """A table with a line for each K and folder of weights."""
    lines = [
        "| K | cases | weights | best tool | default | lead [95 %] | worse by > .01 | between: best tool | default |",
        "|---:|---:|---|---:|---:|---|---:|---:|---:|",
    ]
    for k in ks:
        some = [row for row in found if row["k"] == k]
        if len(some) < 2:
            continue
        best = np.array([np.max([row[tool] for tool in tools.SIMPLE_TOOLS], axis=0) for row in some])
        for name in weights:
            own = np.array([row[name] for row in some])
            lead = own[:, 0] - best[:, 0]
            low, high = interval_of_mean(lead.tolist()) or (np.nan, np.nan)
            lines.append(
                f"| {k} | {len(some)} | {name} | {best[:, 0].mean():.3f} | "
                f"{own[:, 0].mean():.3f} | {lead.mean():+.3f} [{low:+.3f}, {high:+.3f}] | {(lead < -0.01).sum()} | "
                f"{best[:, 1].mean():.3f} | {own[:, 1].mean():.3f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--weights", nargs="*", default=[], metavar="FOLDER", help="to compare with the shipped ones")
    parser.add_argument("--k", default="3,5")
    parser.add_argument("--limit", type=int, default=4, help="structures of each folder and K (%(default)s)")
    parser.add_argument("--pixels", type=float, default=8.0, help="between slices at most (%(default)s)")
    parser.add_argument("--placement", choices=PLACEMENTS, default="inside")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--name", default="thick_slices", help="of the files that are written (%(default)s)")
    arguments = parser.parse_args()
    ks, found = [int(word) for word in arguments.k.split(",")], []
    if len({Path(folder).name for folder in arguments.weights} | {"shipped"}) <= len(arguments.weights):
        parser.error("folders of --weights are told apart by their names; rename one of them")
    weights = {"shipped": ""} | {Path(folder).name: folder for folder in arguments.weights}
    make = partial(drawn_case, pixels=arguments.pixels, placement=arguments.placement)
    for row in rows(arguments.data, ks, arguments.limit, make, weights):
        found.append(row)
        print(json.dumps(row), flush=True)
    text = as_text(found, ks, [*weights, *(name + NAMED for name in weights)])
    arguments.output.mkdir(parents=True, exist_ok=True)
    for ending, content in ((".json", json.dumps(found, indent=1) + "\n"), (".md", text)):
        with replacing(arguments.output / f"{arguments.name}{ending}") as waiting:
            waiting.write_text(content, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
