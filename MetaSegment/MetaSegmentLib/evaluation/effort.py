"""How many slices have to be painted until the whole structure is right.

Three slices are painted at first. A method is then given, one at a time, the slice that it suggests itself, painted
from the truth; the simple tools, which suggest nothing, are given evenly placed ones, and the best of them counts, case
by case. Dice is that of the whole structure, painted slices included.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..data.protocol import dice, paint, painted_slices
from ..engine import adapt
from ..settings import Settings
from . import tools
from .layout import TITLES, lay_out, number
from .origin import origin_of
from .records import Painted, Record
from .runner import failure
from .suggestions import middle_of_widest_gap
from .tables import ALL_DATA_SETS, BEST_TOOL, Row, interval_of_mean

log = logging.getLogger(__name__)

GOALS = (0.90, 0.95)
FIRST, MOST = 3, 12
NEVER = MOST + 1
"""Slices that a goal counts that was not reached."""


@dataclass(frozen=True)
class Effort:
    """For each method, and for the best simple tool, the Dice after each painted slice until the last goal is reached.

    Attributes:
        methods: names that ``find_method`` knows.
    """

    methods: tuple[str, ...]
    device: str = "auto"
    seed: int = 0
    weights: str = ""

    def complete(self, record: Record) -> bool:
        return not self._missing(record)

    def fill(self, record: Record, painted: Painted) -> None:
        done = record.setdefault("effort", {})
        for name in self._missing(record):
            try:
                steps = evenly(painted) if name == BEST_TOOL else self._suggested(name, painted)
            except Exception as error:  # one method's failure is a result, and must not end the others
                done[name] = failure(name, error)
            else:
                done[name] = {"steps": steps, **_origin_of(name, self.weights)}

    def _missing(self, record: Record) -> list[str]:
        done = record.get("effort", {})
        return [name for name in (BEST_TOOL, *self.methods) if not _is_done(name, done.get(name, {}), self.weights)]

    def _suggested(self, name: str, painted: Painted) -> list[Record]:
        truth, axis = painted.truth, painted.axis
        settings = Settings(name, self.device, self.seed, self.weights)
        slices, steps = list(painted.slices), []
        labels = paint(truth, slices, axis)
        adapted = adapt(painted.image, labels, painted.spacing, slices=slices, axis=axis, settings=settings)
        while True:
            result = adapted.predict()
            steps.append({"slices": len(slices), "dice": dice(result.labels == 1, truth), "painted": slices})
            if _is_over(steps[-1], truth.shape[axis]):
                return steps
            suggested = [one["index"] for one in result.suggested_slices if one["index"] not in slices]
            more = suggested[0] if suggested else middle_of_widest_gap(slices, truth.shape[axis])
            slices = sorted([*slices, more])
            adapted = adapted.update(paint(truth, slices, axis), slices=slices)


def evenly(painted: Painted) -> list[Record]:
    """What the best of the simple tools reaches with ever more evenly placed slices."""
    truth, axis = painted.truth, painted.axis
    steps: list[Record] = []
    for count in range(FIRST, MOST + 1):
        slices = painted_slices(truth, count, axis=axis)
        if steps and len(slices) <= steps[-1]["slices"]:
            continue  # the structure has no more slices to be painted there
        known = paint(truth, slices, axis) > 0
        where = (slice(None),) * axis + (slices,)
        found = {}
        for name in tools.SIMPLE_TOOLS:
            try:
                mask = tools.apply(name, painted, slices).copy()
            except Exception:  # the others may do
                log.debug("%s failed", name, exc_info=True)
                continue
            mask[where] = known[where]
            found[name] = dice(mask, truth)
        best = max(found, key=lambda name: found[name], default=None)
        steps.append({"slices": len(slices), "dice": found[best] if best else 0.0, "tool": best})
        if _is_over(steps[-1], truth.shape[axis]):
            break
    return steps


def slices_needed(effort: Mapping[str, Any], goal: float) -> int:
    """How many painted slices first reached the goal; NEVER where none did, or the method failed."""
    return next((step["slices"] for step in effort.get("steps", ()) if step["dice"] >= goal), NEVER)


def summarise_effort(records: Iterable[Record], methods: Sequence[str]) -> list[Row]:
    """A row for each data set (all together last, when there are several), goal and method, the best tool first.

    ``ratio`` is that of the mean to the best simple tool's.
    """
    records = list(records)
    data_sets = sorted({record["data_set"] for record in records})
    rows = []
    for data_set in [*data_sets, ALL_DATA_SETS] if len(data_sets) > 1 else data_sets:
        efforts = [r["effort"] for r in records if data_set in (ALL_DATA_SETS, r["data_set"])]
        for goal in GOALS:
            best = statistics.fmean(slices_needed(effort[BEST_TOOL], goal) for effort in efforts)
            for name in (BEST_TOOL, *methods):
                needed = [slices_needed(effort[name], goal) for effort in efforts]
                mean = statistics.fmean(needed)
                rows.append(
                    {
                        "data_set": data_set,
                        "goal": goal,
                        "method": name,
                        "cases": len(needed),
                        "median": statistics.median(needed),
                        "mean": mean,
                        "mean_interval": interval_of_mean(needed),
                        "reached": statistics.fmean(count < NEVER for count in needed),
                        "ratio": None if name == BEST_TOOL else mean / best,
                        "failed": sum("error" in effort[name] for effort in efforts),
                    }
                )
    return rows


def effort_to_markdown(rows: Sequence[Row]) -> str:
    """The rows as one table."""
    heads = ["data set", "Dice", "method", "cases", "median", "mean", "reached", "mean, to the best simple tool's"]
    lines = [heads, ["---", "---:", "---", *("---:" for _ in heads[3:])]]
    for row in rows:
        low, high = row["mean_interval"] or (None, None)
        interval = f" [{number(low, '.1f')}, {number(high, '.1f')}]" if low is not None else ""
        lines.append(
            [
                str(row["data_set"]),
                number(row["goal"], ".2f").removeprefix("0"),
                TITLES.get(row["method"], str(row["method"])),
                str(row["cases"]),
                number(row["median"], "g"),
                number(row["mean"], ".1f") + interval,
                number(row["reached"], ".0%"),
                number(row["ratio"], ".2f"),
            ]
        )
    return f"## Effort\n\n{lay_out(lines)}\n{_FOOTNOTE}"


_FOOTNOTE = f"""\
Painted slices until the Dice of the whole structure, painted slices included, is reached: {FIRST} at the middles of
equal parts of it, then one by one those that the method suggests, painted from the truth, {MOST} at most; {NEVER} where
it is never reached. The best simple tool, chosen case by case among Slicer's Fill between slices and Grow from seeds,
signed-distance interpolation and the random walker, is given evenly placed slices. In brackets the 95 % confidence
interval of the mean.
"""


def _is_over(step: Record, depth: int) -> bool:
    return step["dice"] >= GOALS[-1] or step["slices"] >= min(MOST, depth)


def _is_done(name: str, effort: Record, weights: str) -> bool:
    return "steps" in effort and _origin_of(name, weights).items() <= effort.items()


def _origin_of(name: str, weights: str) -> Record:
    return origin_of("random_walker" if name == BEST_TOOL else name, weights)
