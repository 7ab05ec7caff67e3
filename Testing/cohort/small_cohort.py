"""Small volumes with a ball each, paint on three slices, and an engine without processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from MetaSegmentLib.cohort.cases import Case
from MetaSegmentLib.cohort.order import Order, Outcome
from MetaSegmentLib.cohort.work import perform
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import read_image, write_image
from MetaSegmentLib.files.segmentations import plain_segment, write_segmentation
from MetaSegmentLib.settings import Settings

SHAPE = (24, 24, 24)
GRID = Grid(SHAPE, (0.0, 0.0, 0.0), (1.0, 1.0, 2.0), tuple(np.eye(3).ravel()))
PAINTED = [7, 12, 16]
SHAPE_ONLY = Settings("shape")
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "MetaSegment"),
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}
"""For programs that the tests start."""


@dataclass
class SmallCohort:
    """Images ``i0.nrrd`` … and their painted slices ``s0.seg.nrrd`` …, in a folder named like a patient."""

    folder: Path
    count: int

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for number in range(self.count):
            chance = np.random.default_rng(number)
            centre = 11.5 + chance.uniform(-2, 2, 3)
            ball = sum(((np.indices(SHAPE)[axis] - centre[axis]) / 7) ** 2 for axis in range(3)) <= 1
            image = (100 + 60 * ball + chance.normal(0, 8, SHAPE)).astype(np.int16)
            paint = np.zeros(SHAPE, np.uint8)
            paint[PAINTED] = ball[PAINTED]
            write_image(self.image(number), image, GRID)
            write_segmentation(self.paint(number), [paint], [plain_segment(1, "ball")], GRID)

    def image(self, number: int) -> Path:
        return self.folder / f"i{number}.nrrd"

    def paint(self, number: int) -> Path:
        return self.folder / f"s{number}.seg.nrrd"

    def painted(self) -> list[Case]:
        """Every case with paint of its own."""
        return [Case(f"case{n}", self.image(n), (self.paint(n),)) for n in range(self.count)]

    def from_first(self) -> list[Case]:
        """All but the first case, from what is painted on that."""
        common = {"support": (self.paint(0),), "support_images": (self.image(0),)}
        return [Case(f"case{n}", self.image(n), **common) for n in range(1, self.count)]

    def manifest(self) -> Path:
        """A CSV file of :meth:`painted`."""
        lines = [f"case{n},{self.image(n).name},{self.paint(n).name}" for n in range(self.count)]
        file = self.folder / "cases.csv"
        file.write_text("\n".join(["id,image,support", *lines, ""]), encoding="utf-8")
        return file


@dataclass
class InTurn:
    """An engine in this process, which notes what it was given; ``answer`` may take the place of the real work."""

    answer: Callable[[Order], Outcome] = perform
    orders: list[Order] = field(default_factory=list)
    rooms: int = 0
    dashboard: str = ""

    def start(self) -> InTurn:
        return self

    def __enter__(self) -> InTurn:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def run(self, orders: Sequence[Order], cancel: Callable[[], bool] | None = None) -> Iterator[Outcome]:
        for order in orders:
            self.orders.append(order)
            yield self.answer(order)

    def make_room(self) -> None:
        self.rooms += 1


def labels_in(folder: Path) -> dict[str, bytes]:
    """Name → voxels of all results in a folder."""
    return {file.name: read_image(file)[0].tobytes() for file in sorted(folder.glob("*.seg.nrrd"))}
