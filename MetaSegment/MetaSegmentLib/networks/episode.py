"""An episode: one structure of one volume, its painted slices (support) and the slices to predict (queries).

Every expert and every network meets a slice in the same way, whether it is a query, predicted from all painted
slices, or a painted slice, predicted from all *other* painted slices (leave one out). Training and the product share
this file, so a network is used exactly as it was trained.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from copy import copy
from functools import partial

import numpy as np

from ..predictors.grow_from_seeds import GrowFromSeeds
from ..predictors.pixel_trees import PixelClassifier
from ..predictors.propagation import ContourPropagation
from ..predictors.shape import ShapeInterpolation
from ..progress import Progress, run_all
from ..task.frame import Region, Stack
from .encode import SCALES, Evidence, SliceEvidence


class Episode:
    """The experts of one region, their answers kept.

    What is said of a slice is kept for as long as the painted slices next to it stay the same, so that one more
    painted slice costs new answers around it only.

    Args:
        region: where to work and what is painted.
        seed: for the experts that draw random samples.
        before: an episode of the same volume with other painted slices, to take over what still holds.
        progress: told of the work, and polled for a cancel.
        workers: threads that work at the same time.

    ``continues`` tells whether painted slices were only added to those of ``before``.
    """

    def __init__(
        self,
        region: Region,
        seed: int = 0,
        before: Episode | None = None,
        progress: Progress | None = None,
        workers: int = 1,
    ) -> None:
        self.region = region
        self._progress = progress or Progress()
        self._workers = workers
        same_grid = before is not None and before.region.same_grid(region)
        self._shape = ShapeInterpolation(region)
        self._grow = GrowFromSeeds(region)
        self._propagation: ContourPropagation = ContourPropagation(
            region, before._propagation if before and same_grid else None
        )
        self._pixels: PixelClassifier = PixelClassifier(region, seed, before._pixels if before and same_grid else None)
        self._hidden: Collection[str] = ()
        self._kept: dict[tuple[int, ...], SliceEvidence] = {}
        self.continues = before is not None and same_grid and before.region.paint_remains(region)
        if before and self.continues:
            self._kept = dict(before._kept)

    def without(self, experts: Collection[str]) -> Episode:
        """The same episode for a method that shall know nothing of some experts."""
        blind = copy(self)
        blind._hidden = experts
        return blind

    def prepare(self, slices: tuple[int, ...] | None = None) -> None:
        """Work out in parallel what :meth:`left_out` will be asked, and :meth:`queries` for ``slices``: by default
        those that are looked at in any case."""
        region = self.region
        asked = region.near if slices is None else slices
        wanted = [(region.support, asked), *((others, (index,)) for index, others in self._left_out())]
        missing = [(support, left) for support, targets in wanted if (left := self._missing(support, targets))]
        if not missing:
            return
        new = {index for _, targets in missing for index in targets}
        steps = self._propagation.steps(missing)
        tasks: list[Callable[[], object]] = [partial(self._propagation.step, *step) for step in steps]
        tasks += [partial(self._pixels.describe, index) for index in sorted({*new, *region.support})]
        run_all("reading the slices", tasks, self._progress, self._workers)
        learn = [partial(self._compute, support, targets) for support, targets in missing]
        run_all("learning from the paint", learn, self._progress, self._workers)

    def queries(self, slices: tuple[int, ...] | None = None) -> Evidence:
        """Evidence for unpainted slices of the region (all of them by default), from all painted ones."""
        asked = self.region.queries if slices is None else slices
        if self._missing(self.region.support, asked):
            self.prepare(asked)
        return self._evidence(self.region.support, asked)

    def left_out(self, slices: tuple[int, ...] | None = None) -> Evidence:
        """Evidence for painted slices (all of them by default), each from the other painted ones.

        Slices without which no filled one would be left are passed over.
        """
        wanted = [(index, others) for index, others in self._left_out() if slices is None or index in slices]
        parts = [self._evidence(others, (index,)).parts[0] for index, others in wanted]
        return Evidence(self.region, tuple(index for index, _ in wanted), tuple(parts))

    def own(self) -> Evidence:
        """Evidence for each painted slice from all painted ones, itself included."""
        return self._evidence(self.region.support, self.region.support)

    def expert_logits(self, name: str, targets: tuple[int, ...]) -> Stack:
        """(T, GRID, GRID): what one expert of EXPERTS alone says of slices, from all painted ones."""
        support = self.region.support
        if name == "propagation":
            steps = self._propagation.steps([(support, targets)])
            tasks: list[Callable[[], object]] = [partial(self._propagation.step, *step) for step in steps]
        else:
            tasks = [partial(self._pixels.describe, i) for i in {*support, *targets}] if name == "pixels" else []
        run_all("reading the slices", tasks, self._progress, self._workers)
        self._progress.report("learning from the paint", 0, 1)
        experts: dict[str, Callable[..., Stack]] = {
            "shape": self._shape.predict,
            "propagation": self._propagation.predict,
            "grow": self._grow.predict,
            "pixels": self._pixels.predict,
        }
        return np.asarray(SCALES[name].logit(experts[name](support, targets)))

    def _left_out(self) -> list[tuple[int, tuple[int, ...]]]:
        """(painted slice, the other painted slices) wherever a filled one is among the others."""
        region = self.region
        pairs = [(index, tuple(i for i in region.support if i != index)) for index in region.support]
        return [(index, others) for index, others in pairs if any(region.distances[i] is not None for i in others)]

    def _key(self, support: tuple[int, ...], target: int) -> tuple[int, ...]:
        """By what is next to it: the painted slices on both sides, or one of them and how far the region reaches."""
        below = max((i for i in support if i <= target), default=-1)
        above = min((i for i in support if i >= target), default=-1)
        inside = below >= 0 and above >= 0
        return (target, below, above, 0 if inside else self.region.gap_of(support))

    def _missing(self, support: tuple[int, ...], targets: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(target for target in targets if self._key(support, target) not in self._kept)

    def _evidence(self, support: tuple[int, ...], targets: tuple[int, ...]) -> Evidence:
        missing = self._missing(support, targets)
        if missing:
            self._progress.check()
            self._compute(support, missing)
        found = (self._kept[self._key(support, target)] for target in targets)
        return Evidence(self.region, targets, tuple(part.without(self._hidden) for part in found))

    def _compute(self, support: tuple[int, ...], targets: tuple[int, ...]) -> None:
        shape = self._shape.predict(support, targets).astype(np.float16)
        propagation = self._propagation.predict(support, targets).astype(np.float16)
        last = self.region.depth - 1
        around = sorted({min(max(t + d, 0), last) for t in targets for d in (-1, 0, 1)})
        grown = dict(zip(around, self._grow.predict(support, around).astype(np.float16), strict=True))
        pixels = self._pixels.predict(support, targets).astype(np.float16)
        for place, target in enumerate(targets):
            answers = {
                "grow below": grown[max(target - 1, 0)],
                "grow": grown[target],
                "grow above": grown[min(target + 1, last)],
                "shape": shape[place],
                "propagation": propagation[place],
                "pixels": pixels[place],
            }
            near = _nearest(support, target)
            self._kept[self._key(support, target)] = SliceEvidence(answers, near, self._scalars(support, target, near))

    def _scalars(self, support: tuple[int, ...], target: int, near: tuple[int, int]) -> dict[str, float]:
        gap = self.region.gap_of(support)
        scalars = {
            "distance 1": (target - near[0]) / gap,
            "distance 2": (target - near[1]) / gap,
            "outside": target < min(support) or target > max(support),
            "anisotropy": np.log(self.region.anisotropy) / 2,
            "painted slices": len(support) / 8,
        }
        return {name: float(np.clip(value, -3, 3)) for name, value in scalars.items()}


def _nearest(support: Sequence[int], target: int) -> tuple[int, int]:
    """The painted slices that say most: one on each side, or the two nearest when all lie on one side."""
    below = [i for i in support if i <= target]
    above = [i for i in support if i > target]
    if below and above:
        return below[-1], above[0]
    ordered = sorted(support, key=lambda i: abs(i - target))
    return ordered[0], ordered[min(1, len(ordered) - 1)]
