"""A small scan with a painted ball, as files, and the command line that segments it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from MetaSegmentLib.cli import main
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import write_image
from MetaSegmentLib.files.segmentations import plain_segment, write_segmentation

SHAPE = (24, 40, 36)
GRID = Grid(SHAPE[::-1], (12.0, -34.0, 56.0), (0.8, 0.9, 2.5), (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
SLICES = (5, 9, 13, 17)
Triple = tuple[float, float, float]


def a_ball(
    centre: tuple[float, float, float] = (11.5, 20.0, 17.0), radii: tuple[float, ...] = (9, 11, 9)
) -> np.ndarray:
    """(K, J, I) boolean ellipsoid."""
    index = np.indices(SHAPE)
    return sum(((index[n] - centre[n]) / radii[n]) ** 2 for n in range(3)) <= 1


def painted_on(mask: np.ndarray, slices: tuple[int, ...] = SLICES, axis: int = 0, value: int = 1) -> np.ndarray:
    labels = np.zeros(mask.shape, np.uint8)
    where = (slice(None),) * axis + (list(slices),)
    labels[where] = mask[where] * np.uint8(value)
    return labels


def an_image_of(mask: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 8, mask.shape)
    return (100 + 60 * mask + noise).astype(np.int16)


@dataclass
class Workplace:
    """A folder with ``image.nrrd`` and ``painted.seg.nrrd``, and the words that segment them."""

    folder: Path
    truth: np.ndarray
    options: dict[str, str] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        return self.folder / name

    def image(self, array: np.ndarray, grid: Grid = GRID, name: str = "image.nrrd") -> None:
        write_image(self.path(name), array, grid)

    def paint(self, labels: np.ndarray, grid: Grid = GRID, name: str = "painted.seg.nrrd") -> None:
        values = [int(value) for value in np.unique(labels) if value]
        segments = [plain_segment(value, {1: "liver", 2: "spleen"}.get(value)) for value in values]
        write_segmentation(self.path(name), [labels], segments, grid)

    def words(self, **changed: object) -> list[str]:
        """The command line; ``support_image="x.nrrd"`` adds ``--support-image FOLDER/x.nrrd``, True a bare flag."""
        files = {"image", "support", "support_image", "output", "probabilities", "uncertainty", "report"}
        words = ["segment"]
        for name, value in ({**self.options, **changed}).items():
            option = "--" + name.replace("_", "-")
            words += [option] if value is True else [option, str(self.path(str(value)) if name in files else value)]
        return words

    def segment(self, **changed: object) -> int:
        return main(self.words(**changed))

    def listing(self) -> dict[str, tuple[str, int]]:
        """Name → hash and time of every file."""
        return {
            str(path.relative_to(self.folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }
