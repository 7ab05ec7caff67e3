"""What painting one more slice gains: the suggested one, the middle of the widest gap, one at random, the best of many.

Each is really painted, from the truth, and the method run again. Dice is taken before and after over the slices that
were not painted at first; the one painted now counts as it was painted, empty or not.
"""

from __future__ import annotations

import statistics
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..data.protocol import paint, query_dice
from ..engine import Adapted, adapt
from ..errors import MetaSegmentError
from ..settings import Settings
from .layout import lay_out, number
from .origin import origin_of
from .records import Painted, Record
from .tables import Row, interval_of_mean

SUGGESTED, WIDEST, RANDOM, ORACLE = "suggested", "widest gap", "random", "best of many"
CHOICES = (SUGGESTED, WIDEST, RANDOM, ORACLE)

_TRIED = 8
"""Slices tried besides the first three for the best of many."""


@dataclass(frozen=True)
class Suggestions:
    """For each method the Dice before, and after each choice of one more slice."""

    methods: tuple[str, ...]
    device: str = "auto"
    seed: int = 0
    weights: str = ""

    def complete(self, record: Record) -> bool:
        return not self._missing(record)

    def fill(self, record: Record, painted: Painted) -> None:
        done = record.setdefault("suggestions", {})
        for name in self._missing(record):
            done[name] = {**self._attempt(name, painted), **origin_of(name, self.weights)}

    def _missing(self, record: Record) -> list[str]:
        done = record.get("suggestions", {})
        return [name for name in self.methods if not _is_done(name, done.get(name, {}), self.weights)]

    def _attempt(self, name: str, painted: Painted) -> Record:
        truth, slices, axis = painted.truth, painted.slices, painted.axis
        settings = Settings(name, self.device, self.seed, self.weights)
        try:
            start = adapt(
                painted.image, paint(truth, slices, axis), painted.spacing, axis=axis, slices=slices, settings=settings
            )
            first = start.predict()
            before = query_dice(first.labels == 1, truth, slices, axis)
            suggested = [slice_["index"] for slice_ in first.suggested_slices]
            random = np.random.default_rng((self.seed, zlib.crc32(np.packbits(truth).tobytes())))
            choices = choose_slices(slices, suggested, truth.shape[axis], random)
            tried = {*choices.values(), *around(slices, truth.shape[axis], _TRIED)}
            after = {index: _dice_after(start, painted, index) for index in sorted(tried)}
        except MetaSegmentError as error:
            return {"error": f"{type(error).__name__}: {error}"}
        choices[ORACLE] = max(after, key=lambda index: after[index])
        return {
            "before": before,
            "after": {choice: after[index] for choice, index in choices.items()},
            "slice": choices,
        }


def _is_done(name: str, found: Record, weights: str) -> bool:
    return "before" in found and origin_of(name, weights).items() <= found.items()


def choose_slices(
    painted: Sequence[int], suggested: Sequence[int], depth: int, random: np.random.Generator
) -> dict[str, int]:
    """One more slice by each rule; without a suggestion the middle of the widest gap stands for it."""
    middle = middle_of_widest_gap(painted, depth)
    others = around(painted, depth, depth)
    return {
        SUGGESTED: suggested[0] if suggested else middle,
        WIDEST: middle,
        RANDOM: int(random.choice(others)) if others else middle,
    }


def around(painted: Sequence[int], depth: int, count: int) -> list[int]:
    """At most ``count`` evenly spread unpainted slices, from one gap below the painted ones to one gap above."""
    gap = max((b - a for a, b in pairwise(painted)), default=depth)
    within = range(max(painted[0] - gap, 0), min(painted[-1] + gap, depth - 1) + 1)
    free = [index for index in within if index not in painted]
    return [free[i] for i in sorted({int(i) for i in np.linspace(0, len(free) - 1, min(count, len(free)))})]


def summarise_gains(records: Iterable[Record], methods: Sequence[str]) -> list[Row]:
    """A row for each placement, K, method and choice: mean Dice, gain with its interval, and the ratio to the gain of
    the widest gap."""
    records = list(records)
    rows = []
    for placement, k in sorted({(record["placement"], record["k"]) for record in records}, reverse=True):
        here = [r["suggestions"] for r in records if (r["placement"], r["k"]) == (placement, k)]
        for method in methods:
            cases = [found[method] for found in here if "before" in found[method]]
            rows += [{"placement": placement, "k": k, "method": method, **row} for row in _rows(cases)]
    return rows


def gains_to_markdown(rows: Sequence[Row]) -> str:
    """The rows as one table."""
    lines = [
        ["placement", "K", "method", "cases", "one more slice", "Dice", "gain", "over the widest gap's"],
        ["---", "---:", "---", "---:", "---", "---:", "---:", "---:"],
    ]
    for row in rows:
        low, high = row["gain_interval"] or (None, None)
        interval = f" [{number(low, '+.3f')}, {number(high, '+.3f')}]" if low is not None else ""
        lines.append(
            [
                row["placement"],
                str(row["k"]),
                row["method"],
                str(row["cases"]),
                row["choice"],
                number(row["dice"], ".3f"),
                number(row["gain"], "+.3f") + interval,
                number(row["ratio"], ".2f"),
            ]
        )
    return f"{lay_out(lines)}\n{_FOOTNOTE}"


_FOOTNOTE = f"""\
One more slice was painted from the truth and the method run again. Dice over the slices that were not painted at first,
the one painted now counted as painted. {ORACLE.capitalize()}: the best of these three and {_TRIED} more, evenly spread.
"""


def _rows(cases: Sequence[Mapping[str, Any]]) -> Iterable[Row]:
    if not cases:
        return
    before = statistics.fmean(case["before"] for case in cases)
    yield {"choice": "none", "cases": len(cases), "dice": before, "gain": None, "gain_interval": None, "ratio": None}
    gains = {choice: [case["after"][choice] - case["before"] for case in cases] for choice in CHOICES}
    widest = statistics.fmean(gains[WIDEST])
    for choice, gain in gains.items():
        mean = statistics.fmean(gain)
        yield {
            "choice": choice,
            "cases": len(cases),
            "dice": before + mean,
            "gain": mean,
            "gain_interval": interval_of_mean(gain),
            "ratio": mean / widest if widest > 0 else None,
        }


def _dice_after(start: Adapted, painted: Painted, index: int) -> float:
    slices = sorted([*painted.slices, index])
    result = start.update(paint(painted.truth, slices, painted.axis), slices=slices).predict()
    return query_dice(result.labels == 1, painted.truth, painted.slices, painted.axis)


def middle_of_widest_gap(painted: Sequence[int], depth: int) -> int:
    """Of two gaps as wide the lower one; next to a single painted slice, or where there is no gap, a neighbour."""
    low, high = max(pairwise(painted), key=lambda pair: pair[1] - pair[0], default=(painted[0], painted[0]))
    middle = (low + high) // 2
    if middle not in painted:
        return middle
    return next(index for index in sorted(range(depth), key=lambda i: abs(i - middle)) if index not in painted)
