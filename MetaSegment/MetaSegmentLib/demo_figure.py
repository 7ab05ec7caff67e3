"""The picture of the demo: a row a structure, its painted slices, and the result with its errors on three views."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import DependencyError

if TYPE_CHECKING:
    from .demo import Outcome, Scan

VIEWS = ("axial", "coronal", "sagittal")
MARGIN_VOXELS = 14
PAINTED, RIGHT, EXTRA, MISSED = (1.0, 0.8, 0.1), (0.2, 0.85, 0.35), (1.0, 0.25, 0.2), (0.25, 0.6, 1.0)
OPACITY = 0.55
BACKGROUND = "#14161a"


def draw(path: Path, scan: Scan, outcomes: dict[str, Outcome], column: str) -> None:
    """Draw the result of one column of the table as PNG.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError as error:
        raise DependencyError("The picture needs matplotlib; run 'python3 setup_deps.py demo'.") from error

    most = max(len(outcome.painted) for outcome in outcomes.values())
    figure = Figure(figsize=(1.75 * most + 7.2, 2.45 * len(outcomes) + 0.9), facecolor=BACKGROUND, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(outcomes), most + len(VIEWS), squeeze=False, width_ratios=[1.0] * most + [1.35] * len(VIEWS)
    )
    for row, (name, outcome) in zip(axes, outcomes.items(), strict=True):
        truth, found = scan.truth[name], outcome.masks[column]
        box = _box(truth | found)
        for panel in row:
            panel.set_axis_off()
        for panel, index in zip(row, outcome.painted, strict=False):
            _show(panel, scan, 0, index, box, [(truth, PAINTED)])
            panel.set_title(f"slice {index}", color="white", fontsize=9)
        errors = [(truth & found, RIGHT), (found & ~truth, EXTRA), (truth & ~found, MISSED)]
        for axis, (panel, view) in enumerate(zip(row[most:], VIEWS, strict=True)):
            index = _widest_unpainted(truth, axis, outcome.painted if axis == 0 else [])
            _show(panel, scan, axis, index, box, errors)
            if axis > 0:
                for painted in outcome.painted:
                    panel.axhline(painted, color=PAINTED, linewidth=0.7, alpha=0.7)
            panel.set_title(f"{view} {index}", color="white", fontsize=9)
        label = {"rotation": 90, "ha": "center", "va": "center", "color": "white", "fontsize": 10}
        title = f"{name}\nDice {outcome.dice[column]:.3f}"
        row[0].text(-0.12, 0.5, title, transform=row[0].transAxes, **label)
    title = f"Left: the painted slices. Right: {column} on slices that were not painted"
    figure.suptitle(title, color="white", fontsize=13)
    keys = {"painted": PAINTED, "right": RIGHT, "too much": EXTRA, "missed": MISSED}
    figure.legend(
        handles=[Patch(color=colour, label=label) for label, colour in keys.items()],
        loc="outside lower center",
        ncols=len(keys),
        frameon=False,
        labelcolor="white",
    )
    canvas.print_png(str(path))


def _box(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last voxel along each axis, with a margin."""
    bounds = []
    for axis, size in enumerate(mask.shape):
        inside = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        bounds.append((max(int(inside[0]) - MARGIN_VOXELS, 0), min(int(inside[-1]) + MARGIN_VOXELS, size - 1)))
    return bounds


def _widest_unpainted(mask: NDArray[np.bool_], axis: int, painted: list[int]) -> int:
    areas = mask.sum(axis=tuple({0, 1, 2} - {axis}))
    areas[painted] = 0
    return int(areas.argmax())


def _show(
    panel: Any,
    scan: Scan,
    axis: int,
    index: int,
    box: list[tuple[int, int]],
    overlays: list[tuple[NDArray[np.bool_], tuple[float, float, float]]],
) -> None:
    grey = scan.image.take(index, axis).astype(float)
    rows, columns = (bounds for other, bounds in enumerate(box) if other != axis)
    near = grey[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1]
    low, high = np.percentile(near, (1, 99.5))
    scale_row, scale_column = (step for other, step in enumerate(scan.grid.array_spacing) if other != axis)
    place: dict[str, Any] = {"origin": "lower", "aspect": scale_row / scale_column}
    panel.imshow(grey, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), interpolation="bicubic", **place)
    for mask, colour in overlays:
        opacity = OPACITY * np.moveaxis(mask, axis, 0)[index, ..., np.newaxis]
        panel.imshow(np.concatenate([np.broadcast_to(colour, (*grey.shape, 3)), opacity], axis=-1), **place)
    panel.set_xlim(columns[0] - 0.5, columns[1] + 0.5)
    if axis < 2:
        # As radiologists look at it: the patient's left is on the right.
        panel.invert_xaxis()
    panel.set_ylim(rows[0] - 0.5, rows[1] + 0.5)
