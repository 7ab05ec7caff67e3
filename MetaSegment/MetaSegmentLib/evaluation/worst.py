"""The ten worst cases of a method as one picture: the worst slice of each, with the true and the found outline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.protocol import Mask, query_slices
from ..files.atomic import Staging
from ..progress import Progress
from .layout import number
from .records import Record, Task, paint_task
from .runner import Comparison
from .tables import BEST_TOOL, dice_of, scores_of

COUNT = 10
_COLUMNS = 5
_MARGIN = 8
"""Pixels around both outlines."""
_TRUE, _FOUND = "#00e05a", "#ff3b30"


@dataclass(frozen=True)
class Panel:
    """One slice: image and masks (H, W), a pixel's height by its width, and a title without names of files."""

    image: NDArray[Any]
    truth: Mask
    found: Mask
    aspect: float
    title: str


def draw(
    method: str, tasks: Sequence[Task], records: Sequence[Record], plan: Comparison, file: Path, progress: Progress
) -> None:
    """One PNG; the cases are run again, as records hold no masks."""
    worst = worst_cases(records, method)
    panels = [_panel(method, tasks[n], records[n], plan) for n in progress.steps("drawing the worst cases", worst)]
    if panels:
        with Staging() as staging:
            _save(panels, f"{method}: lowest lead over the best simple tool", staging.path(file))
            staging.commit()


def worst_cases(records: Sequence[Record], method: str, count: int = COUNT) -> list[int]:
    """Places of the records with the lowest lead over the best simple tool, the worst first; failures left out."""
    leads = {n: lead_of(record, method) for n, record in enumerate(records) if "dice" in record["methods"][method]}
    return sorted(leads, key=lambda n: leads[n])[:count]


def lead_of(record: Record, method: str) -> float:
    """Dice less that of the best simple tool."""
    return dice_of(record["methods"][method]) - dice_of(scores_of(record, BEST_TOOL))


def worst_slice(found: Mask, truth: Mask, painted: Sequence[int], axis: int) -> int:
    """Index along ``axis`` of the slice with the most wrong voxels of those that were not painted."""
    others = tuple(other for other in range(3) if other != axis)
    wrong = (found ^ truth).sum(axis=others)
    return int(np.argmax(np.where(query_slices(len(wrong), painted), wrong, -1)))


def _panel(method: str, task: Task, record: Record, plan: Comparison) -> Panel:
    painted = paint_task(task, record)
    axis, truth = painted.axis, painted.truth
    found = plan.predict(method, painted)[0]
    index = worst_slice(found, truth, painted.slices, axis)
    image, true, mine = (np.take(array, index, axis) for array in (painted.image, truth, found))
    box = _around(true | mine)
    height, width = (step for other, step in enumerate(painted.spacing) if other != axis)
    scores = record["methods"][method]
    title = (
        f"{record['data_set']}\n{record['name']}, K = {record['k']}, {record['placement']}\n"
        f"Dice {number(scores['dice'], '.3f')} ({number(lead_of(record, method), '+.3f')}), slice {index}"
    )
    return Panel(image[box], true[box], mine[box], height / width, title)


def _around(mask: Mask) -> tuple[slice, ...]:
    """The bounding box and a margin; all of it where there is nothing."""
    if not mask.any():
        return (slice(None), slice(None))
    return tuple(slice(max(int(hit.min()) - _MARGIN, 0), int(hit.max()) + _MARGIN + 1) for hit in np.nonzero(mask))


def _save(panels: Sequence[Panel], heading: str, file: Path) -> None:
    from matplotlib.figure import Figure

    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(3.2 * _COLUMNS, 3.7 * rows + 0.6), layout="constrained")
    figure.suptitle(f"{heading} (green: true, red: found)")
    places = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for place in places:
        place.axis("off")
    for place, panel in zip(places, panels, strict=False):
        low, high = np.percentile(panel.image, (1, 99))
        place.imshow(panel.image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), aspect=panel.aspect)
        for mask, colour, style in ((panel.truth, _TRUE, "solid"), (panel.found, _FOUND, "dashed")):
            if mask.any() and not mask.all():
                place.contour(mask.astype(float), levels=[0.5], colors=colour, linestyles=style, linewidths=1.2)
        place.set_title(panel.title, fontsize=8)
    figure.savefig(file, dpi=110)
